"""Graphs of parts are those of students, and this host times them."""

import itertools
import os
import time

import numpy as np
import pytest
from ai_edge_litert import interpreter

from dna_tf.export import conversion
from dna_tf.latency import graphs, host, validation
from dna_tf.models import students
from dna_tf.space import op_costs, part_keys, presets, tasks

SPACE = presets.PRESETS["digits"]
TASK = tasks.Task(32, 3, 10)


def _ops(content):
    loaded = interpreter.Interpreter(
        model_content=content,
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    loaded.allocate_tensors()
    return sorted(op["op_name"] for op in loaded._get_ops_details())


@pytest.mark.parametrize("name", ["digits", "digits_lite"])
def test_parts_one_after_another_are_the_student(name):
    """The ops of the parts' graphs, together, are those of the whole student's graph."""
    space = presets.get_space(name)
    student = validation.random_architectures(space, TASK, 3, seed=0)[1]
    parts = op_costs.network_keys(student)
    assert any(p.stride == 1 and p.in_width == p.out_width for p in parts)  # a residual
    together = sorted(op for p in parts for op in _ops(graphs.part_graph(p)))
    assert together == _ops(graphs.student_graph(student))


def test_int8_graphs_compute_in_int8():
    student = validation.random_architectures(SPACE, TASK, 3, seed=0)[1]
    layer = next(p for p in op_costs.network_keys(student) if p.part == "layer")
    for content in (
        graphs.part_graph(layer, "int8"),
        graphs.student_graph(student, "int8"),
    ):
        loaded = interpreter.Interpreter(model_content=content)
        loaded.allocate_tensors()
        types = {details["dtype"] for details in loaded.get_tensor_details() if details["name"]}
        assert types <= {np.int8, np.int32} and np.int8 in types
        kernels = [d for d in loaded.get_tensor_details() if d["shape"].size == 4]
        assert any(len(d["quantization_parameters"]["scales"]) > 1 for d in kernels)


def test_parts_with_the_weights_of_a_student_compute_what_it_computes():
    student = validation.random_architectures(SPACE, TASK, 3, seed=0)[2]
    whole, models = students.build_student(student), []
    for part in op_costs.network_keys(student):
        models.append(graphs.part_model(part))
    rng = np.random.default_rng(0)
    for weight in whole.weights:
        if not weight.path.endswith("kernel"):
            weight.assign(weight + rng.uniform(0, 0.5, weight.shape))
    values = iter(whole.get_weights())
    for model in models:
        model.set_weights([next(values) for _ in model.weights])
    assert next(values, None) is None
    y = images = rng.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    for model in models:
        y = _run(conversion.convert(model, "float32", None), y)
    expected = np.asarray(whole(images, training=False))
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4 * np.std(expected))


def _run(content, values):
    loaded = interpreter.Interpreter(model_content=content)
    loaded.allocate_tensors()
    loaded.set_tensor(loaded.get_input_details()[0]["index"], values)
    loaded.invoke()
    return loaded.get_tensor(loaded.get_output_details()[0]["index"])


def test_this_host_times_graphs():
    small = part_keys.LayerKey("layer", 3, 3, 8, 8, 1, 4, "swish", 0.25)
    large = part_keys.LayerKey("layer", 7, 6, 64, 64, 1, 32, "swish", 0.25)
    core = min(os.sched_getaffinity(0))
    meter = host.HostMeter(cores=(core,), rounds=5, burst_s=0.002, warmup_s=0.005)
    before = os.sched_getaffinity(0)
    entries = meter.measure({part: graphs.part_graph(part) for part in (small, large)})
    assert os.sched_getaffinity(0) == before
    # 800 times the work: whatever else the machine does.
    assert 0 < 5 * entries[small].value < entries[large].value
    assert entries[large].repeats >= 15 and entries[small].repeats > entries[large].repeats
    assert entries[small].spread >= 0
    conditions = meter.conditions()
    assert conditions["threads"] == 1 and conditions["cores"] == [core]
    assert "ai-edge-litert" in conditions["runtime"] and conditions["device"]
    assert meter.state()["xnnpack_ran_all"] is True and meter.state()["rounds"] == 5


def test_turns_are_taken_round_by_round(monkeypatch):
    order = []

    class FakeGraph:
        def __init__(self, key):
            self.key = key

        def invoke(self):
            order.append(self.key)

    meter = host.HostMeter(rounds=3, burst_s=0, warmup_s=0)
    monkeypatch.setattr(meter, "load", lambda key, content: FakeGraph(key))
    meter.measure({"a": b"", "b": b""})
    turns = "".join(order)
    assert turns.endswith("aaaabbbb" * 3), turns


@pytest.mark.parametrize(("threads", "expected"), [(1, 4.0), (2, 10.0)])
def test_waiting_for_the_core_does_not_count(monkeypatch, threads, expected):
    """Runs of 4 ms, each with 6 ms of another process on the same core."""
    wall, thread_time = itertools.count(0, 10_000_000), itertools.count(0, 4_000_000)

    class Clocks:
        perf_counter = time.perf_counter

        def perf_counter_ns(self):
            return next(wall)

        def thread_time_ns(self):
            return next(thread_time)

    class FakeGraph:
        def invoke(self):
            pass

    meter = host.HostMeter(threads=threads, rounds=4, burst_s=0, warmup_s=0)
    monkeypatch.setattr(meter, "load", lambda key, content: FakeGraph())
    monkeypatch.setattr(host, "time", Clocks())
    assert meter.measure({"a": b""})["a"].value == expected
    assert meter.state()["waited_share"] == pytest.approx(1 - expected / 10)
    assert ("without waiting" in meter.conditions()["clock"]) == (threads == 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": 0}, "threads must be a whole number above 0. Received: 0"),
        ({"rounds": 1.5}, "rounds must be a whole number"),
        ({"cores": (4096,)}, r"Cores of this host are .*Received: cores=\[4096\]"),
        ({"cores": ()}, r"Received: cores=\[\]"),
        ({"cores": (0,), "threads": 2}, "2 threads on 1 cores would wait for each other"),
    ],
)
def test_bad_settings_are_refused(monkeypatch, changes, message):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    with pytest.raises(ValueError, match=message):
        host.HostMeter(**changes)


def test_a_failing_converter_names_the_part(monkeypatch):
    def convert(model, precision, calibration):
        raise RuntimeError("op not supported\nlong trace")

    monkeypatch.setattr(conversion, "convert", convert)
    part = part_keys.LayerKey("layer", 3, 6, 16, 24, 2, 8, "swish", 0.25)
    message = r"converter failed on the part k3e6 16->24 stride 2 at 8 px: op not supported Nothing"
    with pytest.raises(ValueError, match=message):
        graphs.part_graph(part)
    student = validation.random_architectures(SPACE, TASK, 1, seed=0)[0]
    with pytest.raises(ValueError, match="failed on the network 'random' .*k"):
        graphs.student_graph(student)


def test_a_graph_that_is_none_is_named():
    with pytest.raises(ValueError, match="LiteRT cannot run the graph of broken: "):
        host.HostMeter(rounds=1).measure({"broken": b"no model"})


@pytest.mark.slow
def test_networks_of_keras():
    macs = graphs.keras_macs("mobilenet_v2", tasks.Task(224, 3, 1000))
    assert 299e6 < macs < 302e6  # 300 M by its paper's Table 4
    content = graphs.keras_graph("mobilenet_v2", tasks.Task(224, 3, 1000))
    assert _run(content, np.zeros((1, 224, 224, 3), np.float32)).shape == (1, 1000)
    content = graphs.keras_graph("mobilenet_v3_small", tasks.Task(64, 3, 10))
    assert _run(content, np.zeros((1, 64, 64, 3), np.float32)).shape == (1, 10)
