"""The workers of a training on several machines: their list in TF_CONFIG, and waiting for them."""

import contextlib
import json
import re
import socket
import threading

from dna_tf.common import checks, progress

_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/]+):(\d{1,5})")
_WORD_AFTER, _WORD_EVERY = 20.0, 60.0  # seconds of waiting
_ANSWERS_WITHIN = 2.0  # seconds


def read(text):
    """Reads the environment variable TF_CONFIG.

    Args:
        text: its value; `None` if it is not set.

    Returns:
        `(addresses, index)`: of all workers, such as `"host1:2222"`, and which of them this is.

    Raises:
        ValueError: it is not set, is not of this form, or has other jobs than workers.
    """
    if not text or not text.strip():
        raise _problem("it is not set")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _problem(f"it is not JSON ({error})", text) from error
    cluster = content.get("cluster") if isinstance(content, dict) else None
    if not isinstance(cluster, dict) or "worker" not in cluster:
        raise _problem("it lists no workers", text)
    if set(cluster) != {"worker"}:
        # A chief beside worker 0 would be a second process that writes the files.
        raise ValueError(
            "TF_CONFIG must have workers only: worker 0 is the chief. Put the address of another "
            f'job among those of "worker". Received: jobs {sorted(cluster)}'
        )
    addresses = cluster["worker"]
    if not isinstance(addresses, list) or not addresses:
        raise _problem("its workers are not a list of addresses", text)
    for address in addresses:
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if not match or not 1 <= int(match[1]) <= 65535:
            raise _problem(
                f"{checks.short_repr(address)} is not an address as HOST:PORT, with a port from 1 "
                "to 65535",
                text,
            )
    if len(set(addresses)) < len(addresses):
        raise _problem("two workers have the same address", text)
    task = content.get("task")
    if not isinstance(task, dict) or task.get("type") != "worker":
        raise _problem('its task is not of the type "worker"', text)
    index = task.get("index")
    index = int(index) if isinstance(index, str) and re.fullmatch(r"\d{1,9}", index) else index
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(addresses):
        raise _problem(
            f"the index of its task is not a whole number from 0 to {len(addresses) - 1}", text
        )
    return addresses, index


def _problem(text, value=None):
    received = "" if value is None else f" Received: {checks.short_repr(value, 200)}"
    return ValueError(
        "The strategy multi_worker needs the environment variable TF_CONFIG with the workers' "
        f"addresses and the index of this one, and {text}. Expected: {_EXAMPLE}.{received}"
    )


@contextlib.contextmanager
def waiting(addresses, index, after=_WORD_AFTER, every=_WORD_EVERY):
    """Context in which the workers find each other: says for whom this one waits.

    Args:
        addresses, index: as `read` returns them.
        after: seconds after which it says so for the first time.
        every: seconds between one line and the next.
    """
    others = [address for i, address in enumerate(addresses) if i != index]
    over = threading.Event()

    def speak():
        pause = after
        while not over.wait(pause):
            silent = [address for address in others if not _answers(address)]
            who = ", ".join(silent or others)
            why = "no answer at" if silent else "all answer, none has begun:"
            progress.warn(f"Worker {index} of {len(addresses)} waits for the others; {why} {who}")
            pause = every

    thread = threading.Thread(target=speak, daemon=True)
    if others:
        thread.start()
    try:
        yield
    finally:
        over.set()


def _answers(address):
    """Whether a program listens at an address."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN):
            return True
    except OSError:
        return False
