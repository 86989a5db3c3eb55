"""TF_CONFIG is read or refused in one sentence, and waiting for a worker is not silent."""

import json
import socket
import time

import pytest

from dna_tf.training import workers

TWO = {"cluster": {"worker": ["a.b:2222", "[::1]:2223"]}, "task": {"type": "worker", "index": 1}}


def _with(**changes):
    return json.dumps({**TWO, **changes})


def _listing(value):
    return _with(cluster={"worker": value})


def _task(**task):
    return _with(task=task)


WRONG = {
    None: "it is not set",
    "": "it is not set",
    "{cluster: worker": "it is not JSON .*Received: '{cluster: worker'",
    "[" * 100_000: "it is not JSON",
    "[]": "it lists no workers",
    "7": "it lists no workers",
    "{}": "it lists no workers",
    _with(cluster=["a:1"]): "it lists no workers",
    _with(cluster={"worker": ["a:1"], "chief": ["b:1"]}): "must have workers only",
    _listing("a:1"): "workers are not a list",
    _listing({"0": "a:1"}): "workers are not a list",
    _listing([]): "workers are not a list",
    _listing(["a:1", 7]): "7 is not an address as HOST:PORT",
    _listing(["localhost:notaport", "a:1"]): "'localhost:notaport' is not an address",
    _listing(["http://a:1", "a:1"]): "'http://a:1' is not an address",
    _listing(["a:0", "a:1"]): "'a:0' is not an address",
    _listing(["a:65536", "a:1"]): "'a:65536' is not an address",
    _listing(["a", "a:1"]): "'a' is not an address",
    _listing(["a:1", "a:1"]): "two workers have the same address",
    json.dumps({"cluster": TWO["cluster"]}): "its task is not of the type",
    _task(type="chief", index=0): "its task is not of the type",
    _with(task="worker"): "its task is not of the type",
    _task(type="worker"): "index of its task is not a whole number from 0 to 1",
    _task(type="worker", index=2): "index of its task is not",
    _task(type="worker", index=-1): "index of its task is not",
    _task(type="worker", index=True): "index of its task is not",
    _task(type="worker", index=0.0): "index of its task is not",
}


def test_what_is_no_list_of_workers_is_refused_in_one_line():
    for text, message in WRONG.items():
        with pytest.raises(ValueError, match=message) as error:
            workers.read(text)
        assert "TF_CONFIG" in str(error.value) and "\n" not in str(error.value)
        assert len(str(error.value)) < 700


def test_workers_are_read():
    assert workers.read(json.dumps(TWO)) == (["a.b:2222", "[::1]:2223"], 1)
    assert workers.read(_task(type="worker", index="0"))[1] == 0


def test_a_worker_that_waits_says_for_whom(capsys):
    with socket.create_server(("localhost", 0)) as server, socket.socket() as closed:
        closed.bind(("localhost", 0))  # nobody listens there
        present, absent = (f"localhost:{s.getsockname()[1]}" for s in (server, closed))
        errors = ""
        with workers.waiting(["me:1", present, absent], 0, after=0.01, every=0.01):
            while "waits" not in errors:
                time.sleep(0.01)
                errors += capsys.readouterr().err
    assert f"Worker 0 of 3 waits for the others; no answer at {absent}\n" in errors
    assert present not in errors
