"""The training of whole networks: resumed to the bit, on two replicas, on random labels."""

import os
import subprocess
import sys

import numpy as np
import pytest

from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.data import loading
from dna_tf.search import finding
from dna_tf.space import presets, tasks
from dna_tf.supernet import phase_settings, whole_training
from tests.helpers import tool_runs, whole_replicas, whole_runs

SHORT = {"epochs": 2, "batch_size": 256, "checkpoint_seconds": 0.0}


class Cut:
    """Images whose training batches end with an error after some of them, as a kill would."""

    def __init__(self, images, batches):
        self._images, self._left = images, batches

    def __getattr__(self, name):
        return getattr(self._images, name)

    def with_random_labels(self, seed):
        return Cut(self._images.with_random_labels(seed), self._left)

    def epoch(self, *arguments, **options):
        for batch in self._images.epoch(*arguments, **options):
            self._left -= 1
            if self._left < 0:
                raise OSError("cut off")
            yield batch


@pytest.fixture(scope="module")
def images():
    return loading.load(whole_runs.get_config().data, 0)


def _train(images, folder=None, **changes):
    return whole_training.train_whole(
        whole_runs.space(), images, folder=folder, seed=3, **{**SHORT, **changes}
    )


@pytest.mark.parametrize(
    "changes",
    [{}, {"sampling": "fair_step", "labels": "random", "optimizer": "adam"}],
    ids=["spos", "fair_random_adam"],
)
def test_a_killed_training_ends_with_the_same_bits(images, tmp_path, changes):
    whole = _train(images, **changes)
    with pytest.raises(OSError, match="cut off"):
        _train(Cut(images, 7), tmp_path, **changes)
    assert (tmp_path / "checkpoints").exists() and not (tmp_path / "result.json").exists()
    resumed = _train(images, tmp_path, **changes)
    assert resumed.fingerprint == whole.fingerprint and resumed.result == whole.result
    assert (
        np.sum(whole.result["op_counts"], axis=1).tolist()
        == [whole.result["steps"] * (3 if changes else 1)] * 3
    )
    history = files.read_json(files.as_path(tmp_path / "history.json"), "dna_tf.history", "")
    assert ("held_out_accuracy" in history["epochs"][0]) == (not changes)


@pytest.mark.parametrize("sampling", ["uniform", pytest.param("fair_step", marks=pytest.mark.slow)])
def test_two_replicas_are_one_device_on_the_joined_batch(tmp_path, sampling):
    output = tmp_path / "weights.npz"
    program = [sys.executable, "-m", "tests.helpers.whole_replicas", str(output), sampling]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    run = subprocess.run(
        program, cwd=tool_runs.ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    weights, losses = whole_replicas.on_one_device(sampling)
    with np.load(output) as arrays:
        assert arrays["replicas"] == 2
        np.testing.assert_allclose(arrays["losses"], losses, rtol=1e-5)
        for u, array in enumerate(weights):
            # The same gradients in float32, added in another order, over 90 steps.
            assert np.abs(arrays[f"unit{u}"] - array).max() < 1e-3


def test_random_labels_are_drawn_once_for_each_image(images):
    one, same, other = (images.with_random_labels(seed) for seed in (3, 3, 4))
    labels = one.labels("train")
    np.testing.assert_array_equal(labels, same.labels("train"))
    assert 0.05 < np.mean(labels == images.labels("train")) < 0.16  # ten classes
    assert np.mean(labels == other.labels("train")) < 0.16
    counts = np.bincount(labels, minlength=10)
    assert np.abs(counts - len(labels) / 10).max() < 4.5 * np.sqrt(len(labels) * 0.09)
    np.testing.assert_array_equal(one.labels("rating"), images.labels("rating"))
    # In every epoch and order an image has its own label.
    pixels, _ = one.arrays("train")
    label_of = {image.tobytes(): label for image, label in zip(pixels, labels, strict=True)}
    for epoch in (0, 1):
        for batch, own in one.epoch(256, epoch, 0, augment=False):
            expected = [label_of[image.tobytes()] for image in batch.numpy()]
            np.testing.assert_array_equal(own, expected)


def test_the_settings_have_the_defaults_of_the_config():
    section = run_config.default_config().whole
    settings = phase_settings.of_section(phase_settings.WholeSettings, section)
    assert settings == phase_settings.WholeSettings()


def test_rates_fall_as_the_schedule_says():
    def rates(schedule):
        settings = phase_settings.WholeSettings(schedule=schedule, learning_rate=0.4)
        return [whole_training.learning_rate(settings, step, 4) for step in range(4)]

    assert rates("linear") == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert rates("cosine") == pytest.approx([0.4, 0.3414, 0.2, 0.0586], abs=1e-4)
    assert rates("constant") == [0.4] * 4


def test_bins_are_those_of_macs_and_an_empty_one_is_an_error_before_any_work(images):
    task = tasks.Task(16, 3, 10)
    settings = phase_settings.WholeSettings(
        sampling="cost_bins", macs_bins=("13k", "22k", "3k"), batch_size=8
    )
    bins = whole_training.bins_of(whole_runs.space(), task, settings)
    low, high = bins.range
    zeros = {(b, 0): np.zeros(whole_runs.space().num_paths(b, 0)) for b in (0, 1)}
    problem = finding.search_problem(whole_runs.space(), zeros, task)
    assert (problem.lowest("macs"), problem.highest("macs")) == (low, high)
    assert len(bins.ends) == 3
    with pytest.raises(ValueError, match="No network has macs from 1,000 to 2,000, the bin 1"):
        _train(images, sampling="cost_bins", macs_bins=("1k", "3k", "1k"))
    for changes, message in (
        ({"macs_bins": ("1k", "3k", "1k")}, "has an effect with .*cost_bins only"),
        ({"sampling": "cost_bins"}, r"must be three texts.*Received: \(\)"),
        ({"labels": "none"}, "must be one of"),
        ({"epoch": 3}, "Unknown key .*epoch.*'epochs'"),
        ({"learning_rate": 0.0}, "learning_rate must be in"),
        ({"norm_images": 7}, "does not divide the 256 images"),
        ({"batch_size": 100_000}, "number of training images"),
    ):
        with pytest.raises(ValueError, match=message):
            _train(images, **changes)
    with pytest.raises(ValueError, match="one cell in each block"):
        whole_training.train_whole(presets.get_space("digits"), images)
