"""What a benchmark says about where and how it ran."""

import json
import os
import platform
import sys


def describe():
    """The machine: processor, cores and memory."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
        name = models[0] if models else name
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {os.cpu_count()} cores, {gib:.0f} GiB, {platform.system()}"


def print_json(figures, seed):
    """Prints one JSON object: figures by name, command, seed and machine."""
    command = " ".join(["python -m", f"benchmarks.{_module()}", *sys.argv[1:]])
    shown = {"figures": figures, "command": command, "seed": seed, "machine": describe()}
    print(json.dumps(shown), flush=True)


def _module():
    return os.path.splitext(os.path.basename(sys.argv[0]))[0]
