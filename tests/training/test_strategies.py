"""Training under strategies: two replicas are one device on the joined batch."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dna_tf import workdirs
from dna_tf.models import keras_files
from dna_tf.space import architectures
from dna_tf.supernet import cell_trainer
from dna_tf.training import strategies
from tests.helpers import replica_training, replicas, student_runs, tiny_config, tool_runs

UNITS = {0: 4, 1: 2}  # packed variables of the two cells: stem and layers, layers
CELLS = {0: (0, 0), 1: (1, 1)}
HALF = replica_training.BATCH // 2
CASES = {
    "mirrored": ("mirrored", {}),
    "mirrored_fair_decay_clip": (
        "mirrored",
        {"sampling": "fair", "weight_decay": 0.01, "clip_norm": 0.5},
    ),
    "workers": ("multi_worker", {}),
}


def _two_replicas(strategy, settings, folder):
    """Trains with two replicas; what each process wrote, by the names of `replica_training`."""
    paths = [folder / f"{index}.npz" for index in range(2 if strategy == "multi_worker" else 1)]
    program = [sys.executable, "-m", "tests.helpers.replica_training", strategy]
    words = [f"{key}={value!r}" for key, value in settings.items()]
    commands = [[*program, str(path), *words] for path in paths]
    if strategy == "multi_worker":
        replicas.run_workers(commands)
    else:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(
            commands[0], cwd=tool_runs.ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    results = []
    for path in paths:
        with np.load(path) as arrays:
            results.append(dict(arrays))
    return results


def _one_device(settings):
    """What one device makes of the joined batches, halves having statistics of their own."""
    options = cell_trainer.StepOptions(norm_images=HALF, **settings)
    return {
        b: replica_training.train(tf.distribute.get_strategy(), *CELLS[b], options) for b in CELLS
    }


@pytest.mark.parametrize(
    "case",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "mirrored")) for name in CASES],
)
def test_two_replicas_are_one_device_on_the_joined_batch(case, tmp_path):
    # Both average the same gradients in float32, in another order: their relative error is
    # 1e-7 and less. Adam divides a gradient by its own size. So where a gradient is nothing but
    # rounding (a weight whose effect the batch norm behind it takes away) the step has the
    # learning rate's size and any sign, and later losses feel it. Such weights are few, their
    # distance is bound by the learning rate, and all others agree to float rounding.
    strategy, settings = CASES[case]
    first, *others = _two_replicas(strategy, settings, tmp_path)
    assert len(others) == (strategy == "multi_worker")
    for other in others:  # all processes have the same bits
        assert other.keys() == first.keys()
        for name, value in first.items():
            assert value.tobytes() == other[name].tobytes(), name
    assert first["num_replicas"] == 2
    bound = 2 * replica_training.STEPS * replica_training.RATE
    for block, (losses, trainer, _) in _one_device(settings).items():
        np.testing.assert_allclose(first[f"{block}_losses"], losses, rtol=5e-4)
        np.testing.assert_allclose(first[f"{block}_losses"][0], losses[0], rtol=5e-7)
        values = [np.array(variable) for variable in trainer.variables]
        units = UNITS[block]
        assert len(values) == 4 * units + 2
        # With the stem some gradients are rounding alone: after the first step 3 weights of one of
        # its ops are up to 3e-3 apart and all others within 1e-7; then the others follow.
        near = 1e-3 if block == 0 else 1e-6
        for number, value in enumerate(values):
            both = first[f"{block}_{number}"]
            # All replicas of a process have the same bits.
            assert all(one.tobytes() == both[0].tobytes() for one in both)
            if number >= 3 * units:  # how often each op was drawn, and the state of the cell
                np.testing.assert_array_equal(both[0], value)
                continue
            far = np.abs(both[0] - value) / max(1.0, np.abs(value).max())
            assert np.quantile(far, 0.9) <= near, number
            assert far.max() <= bound, number
            # Ops that no step drew did not move by a bit, nor did their state.
            undrawn = values[3 * units + number % units] == 0
            start = first[f"{block}_{number}_first"]
            assert both[0][undrawn].tobytes() == start[undrawn].tobytes()
            assert number or np.all(both[0][~undrawn].any(axis=1))


@pytest.mark.slow
def test_tools_train_a_teacher_and_a_student_in_two_workers(tmp_path):
    architectures.save(student_runs.tiny_architecture(), tmp_path / "tiny.json")
    config = tiny_config.get_config()
    two, one = (workdirs.open_workdir(tmp_path / name, config)[0] for name in ("two", "one"))
    tools = (["train_teacher"], ["retrain", f"--arch={tmp_path / 'tiny.json'}", "--seeds=1"])
    for tool, *more in tools:
        words = (tool, f"--workdir={two}", "--strategy=multi_worker", *more)
        for output, _ in replicas.run_workers([tool_runs.command(*words)] * 2):
            assert "Next: python -m tools." in output
    alone = tool_runs.run_all([[tool, f"--workdir={one}", *more] for tool, *more in tools])
    assert [done["returncode"] for done in alone] == [0, 0], alone
    assert two.teacher_result()["test_accuracy"] > 0.5
    for folder in (two.teacher, two.student("tiny", 1)):
        there = json.loads((folder / "history.json").read_text())["epochs"]
        other = one.path / folder.relative_to(two.path) / "history.json"
        loss = json.loads(other.read_text())["epochs"][-1]["loss"]
        assert there[-1]["loss"] == pytest.approx(loss, rel=0.3)
        assert there[-1]["loss"] != loss  # each worker has batch statistics of its own
        assert keras_files.load_model(folder / "model.keras").count_params() > 0
    assert two.student_result("tiny", 1)["seed"] == 1
    assert not two.student("tiny", 0).exists()
    assert list(pathlib.Path(two.path).rglob("*.tmp")) == []


def test_names_and_what_they_need(monkeypatch):
    assert strategies.make("auto").num_replicas_in_sync == 1
    assert strategies.make("cpu").num_replicas_in_sync == 1
    assert strategies.is_chief(strategies.make("cpu"))
    with pytest.raises(ValueError, match=r"no strategy 'miror'\. Did you mean 'mirrored'"):
        strategies.make("miror")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="needs the environment variable TF_CONFIG"):
        strategies.make("multi_worker")

    hosts = {"chief": ["localhost:1"], "worker": ["localhost:2"]}
    place = {"cluster": hosts, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(place))
    calls = []
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda: calls.append(1))
    with pytest.raises(ValueError, match=r"workers only.*Received: jobs \['chief', 'worker'\]"):
        strategies.make("multi_worker")
    assert not calls

    def connect(tpu):
        raise OSError(f"{tpu}: no such host")

    monkeypatch.setattr(tf.distribute.cluster_resolver.TPUClusterResolver, "connect", connect)
    with pytest.raises(ValueError, match="No TPU can be reached as 'nowhere': .*no such host"):
        strategies.make("tpu", "nowhere")


def test_cpu_hides_the_gpus_or_names_the_cpu_where_they_are_in_use(monkeypatch):
    hidden = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"a {kind}"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *devices: hidden.append(devices))
    assert strategies.make("cpu") is tf.distribute.get_strategy()
    assert hidden == [([], "GPU")]

    def refuse(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    strategy = strategies.make("cpu")
    assert strategy.extended.worker_devices[0].endswith("CPU:0")


def test_a_batch_must_divide_among_the_replicas():
    class Three:
        num_replicas_in_sync = 3

    strategies.check_batch(Three, "batch_size", 63)
    with pytest.raises(ValueError, match="batch_size=64 does not divide among 3 .* 63 or 66"):
        strategies.check_batch(Three, "batch_size", 64)
    with pytest.raises(ValueError, match=r"batch_size=2 .*do: 3\."):
        strategies.check_batch(Three, "batch_size", 2)
