"""Two replicas: two logical CPUs of one process, or two worker processes."""

import json
import os
import socket
import subprocess

import tensorflow as tf

from tests.helpers import tool_runs


def split_cpu():
    """Splits the CPU into two logical ones, for `mirrored`; call it before TensorFlow starts."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)


def run_workers(commands):
    """Runs one command line for each worker of a cluster on this machine, all at once.

    Returns:
        `(stdout, stderr)` of each, as a list.
    """
    ports = []
    for _ in commands:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            ports.append(free.getsockname()[1])
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    processes = []
    for index, words in enumerate(commands):
        place = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                words,
                cwd=tool_runs.ROOT,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CONFIG": json.dumps(place)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ends = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, ends, strict=True):
        assert process.returncode == 0, errors
    return ends
