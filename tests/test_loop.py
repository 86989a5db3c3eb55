"""The training loop: a run that was cut off anywhere ends with the bits of one that was not."""

import itertools
import json
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from dna_tf import checkpoint, loop

EPOCHS, STEPS = 3, 4


class _Cut(Exception):
    """What stops a run in these tests, as a kill would."""


class Toy:
    """A training of one vector with momentum, whose every bit depends on all steps before."""

    def __init__(self):
        self.weights = tf.Variable(tf.linspace(-1.0, 1.0, 5))
        self.speed = tf.Variable(tf.zeros(5))
        self.steps = tf.Variable(0, dtype=tf.int64)
        self.variables = [self.weights, self.speed, self.steps]
        self.seen = []

    def batches(self, epoch, skip):
        batches = (np.random.RandomState([epoch, i]).normal(0, 1, 5) for i in range(STEPS))
        return (tf.constant(batch, tf.float32) for batch in itertools.islice(batches, skip, None))

    def step(self, batch, number):
        self.seen.append(number)
        gradient = tf.sin(3.0 * self.weights) + batch / 3.0
        self.speed.assign(0.9 * self.speed + gradient)
        self.weights.assign_sub(0.01 * self.speed)
        self.steps.assign_add(1)
        return {"loss": tf.reduce_sum(batch / 3.0), "norm": tf.norm(self.weights)}

    def values(self):
        return b"".join(variable.numpy().tobytes() for variable in self.variables)


def _run(folder, toy, step=None, epochs=EPOCHS, seconds=0):
    return loop.run(
        label="toy",
        folder=folder,
        variables=toy.variables,
        epochs=epochs,
        steps_per_epoch=STEPS,
        batches=toy.batches,
        step=step or toy.step,
        checkpoint_seconds=seconds,
    )


def _cut_at(toy, number, after=False):
    """The toy's step, cut off before or in the middle of a step."""

    def step(batch, at):
        if at == number and not after:
            raise _Cut
        figures = toy.step(batch, at)
        if at == number:
            raise _Cut
        return figures

    return step


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    toy = Toy()
    history = _run(tmp_path_factory.mktemp("whole"), toy)
    return toy.values(), history


def test_the_history_holds_the_means_of_each_epoch(tmp_path):
    toy, twin = Toy(), Toy()
    history = _run(tmp_path, toy, seconds=1e9)
    assert toy.seen == list(range(EPOCHS * STEPS))
    for epoch, figures in enumerate(history):
        assert list(figures) == ["loss", "norm"]
        given = [twin.step(batch, 0) for batch in twin.batches(epoch, 0)]
        for name, value in figures.items():
            expected = np.mean([float(each[name]) for each in given])
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert len(history) == EPOCHS and toy.values() == twin.values()
    held = json.loads((tmp_path / "history.json").read_text())
    assert held == {"kind": "dna_tf.history", "epochs": history}


@pytest.mark.parametrize("after", [False, True], ids=["before", "inside"])
@pytest.mark.parametrize("number", range(EPOCHS * STEPS))
def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(tmp_path, whole, number, after):
    toy = Toy()
    with pytest.raises(_Cut):
        _run(tmp_path, toy, _cut_at(toy, number, after))
    assert not (tmp_path / "history.json").exists()
    again = Toy()
    history = _run(tmp_path, again)
    assert again.seen == list(range(number, EPOCHS * STEPS))  # nothing twice, nothing left out
    assert (again.values(), history) == whole


def test_a_run_cut_off_at_every_step_goes_on_to_the_same_bits(tmp_path, whole):
    for number in range(1, EPOCHS * STEPS):
        toy = Toy()
        with pytest.raises(_Cut):
            _run(tmp_path, toy, _cut_at(toy, number))
        assert toy.seen == [number - 1]
    toy = Toy()
    assert _run(tmp_path, toy) == whole[1] and toy.values() == whole[0]


def test_checkpoints_are_only_as_frequent_as_asked(tmp_path, whole):
    toy = Toy()
    with pytest.raises(_Cut):
        _run(tmp_path, toy, _cut_at(toy, 9), seconds=1e9)
    assert not list(tmp_path.rglob("*.index"))
    toy = Toy()
    assert _run(tmp_path, toy, seconds=1e9) == whole[1]
    assert toy.seen == list(range(12)) and toy.values() == whole[0]


def test_a_finished_run_returns_at_once(tmp_path, whole):
    _run(tmp_path, Toy())
    toy = Toy()

    def forbidden(*_):
        raise AssertionError("there is nothing left to do")

    toy.batches = forbidden
    assert _run(tmp_path, toy, forbidden) == whole[1]
    assert toy.values() == whole[0]


def test_more_epochs_go_on_from_a_finished_run(tmp_path, whole):
    _run(tmp_path, Toy(), epochs=2)
    toy = Toy()
    assert _run(tmp_path, toy) == whole[1]
    assert toy.values() == whole[0] and toy.seen == [8, 9, 10, 11]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("seconds", [0, 1e9], ids=["every-step", "epoch-end"])
def test_a_figure_that_is_not_finite_stops_the_run(tmp_path, bad, seconds):
    toy = Toy()

    def step(batch, number):
        figures = toy.step(batch, number)
        return {**figures, "loss": tf.constant(bad)} if number == 5 else figures

    at = 2 if seconds == 0 else STEPS
    message = rf"toy: loss became {bad} by epoch 2, step {at}\. Lower the learning rate .* workdir"
    with pytest.raises(ValueError, match=message):
        _run(tmp_path, toy, step, seconds=seconds)
    again = Toy()  # no checkpoint is of the run that diverged
    _run(tmp_path, again)
    assert again.seen[0] == (5 if seconds == 0 else 0)


def _data_files(folder):
    """The data files of the checkpoints, oldest first."""
    found = (folder / "checkpoints").glob("*.data-*")
    return sorted(found, key=lambda path: int(path.name.split(".")[0].split("-")[1]))


def _flip(path):
    content = bytearray(path.read_bytes())
    for i in range(0, len(content), 7):
        content[i] ^= 0xFF
    path.write_bytes(content)


def _flip_one(path):
    content = bytearray(path.read_bytes())
    content[2] ^= 1
    path.write_bytes(content)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-9])


def _truncate_index(path):
    index = pathlib.Path(str(path).split(".data")[0] + ".index")
    index.write_bytes(index.read_bytes()[:-9])


@pytest.mark.parametrize(
    "damage", [_flip, _flip_one, _truncate, _truncate_index, pathlib.Path.unlink]
)
def test_the_checkpoint_before_a_damaged_one_is_used(tmp_path, whole, capsys, damage):
    toy = Toy()
    with pytest.raises(_Cut):
        _run(tmp_path, toy, _cut_at(toy, 7))
    newest = _data_files(tmp_path)[-1]
    damage(newest)
    again = Toy()
    history = _run(tmp_path, again)
    assert again.seen[0] == 6  # what step 6 did was in the damaged one
    assert (again.values(), history) == whole
    name = newest.name.split(".")[0]
    assert f"{name} cannot be used: " in capsys.readouterr().err.split("warning: checkpoint ")[1]
    # The new checkpoints have taken the damaged one's place.
    final = Toy()
    assert _run(tmp_path, final) == history and final.seen == []
    assert "warning" not in capsys.readouterr().err


def test_checkpoints_are_found_without_tensorflows_list_of_them(tmp_path, whole):
    listing = tmp_path / "checkpoints" / "checkpoint"
    for cut, content in ((3, None), (5, b"no list of checkpoints")):
        with pytest.raises(_Cut):
            toy = Toy()
            _run(tmp_path, toy, _cut_at(toy, cut))
        listing.unlink()
        if content is not None:
            listing.write_bytes(content)
    assert toy.seen == [3, 4]
    for content in (b"", b"\xff\xfe"):
        listing.write_bytes(content)
        with pytest.raises(ValueError, match="checkpoint is damaged: .* Delete that one file"):
            _run(tmp_path, Toy())
    listing.unlink()
    toy = Toy()
    assert _run(tmp_path, toy) == whole[1]
    assert toy.seen[0] == 5 and toy.values() == whole[0]


def test_only_damaged_checkpoints_are_an_error(tmp_path, capsys):
    toy = Toy()
    with pytest.raises(_Cut):
        _run(tmp_path, toy, _cut_at(toy, 7))
    for path in _data_files(tmp_path):
        _flip(path)
    toy = Toy()
    with pytest.raises(ValueError, match=r"None of the 2 checkpoints in .* Delete that folder"):
        _run(tmp_path, toy)
    assert toy.seen == []
    assert capsys.readouterr().err.count("warning: checkpoint ") == 2


def test_checkpoints_of_other_variables_are_an_error(tmp_path):
    checkpoint.Checkpoint(tmp_path, [tf.Variable(tf.zeros(3))]).save({})
    for others in (
        [tf.Variable(tf.zeros(4))],
        [],
        [tf.Variable(tf.zeros(3)), tf.Variable(tf.zeros(3))],
    ):
        with pytest.raises(ValueError, match="None of the 1 checkpoints .* can be read"):
            checkpoint.Checkpoint(tmp_path, others).restore()


def test_a_state_and_variables_come_back_bit_by_bit(tmp_path):
    variable = tf.Variable([0.1, -0.0, 1e-42, np.float32(np.pi)])
    saver = checkpoint.Checkpoint(tmp_path / "new", [variable])
    assert saver.restore() is None
    state = {"sum": 0.1 + 0.2, "tiny": 5e-324, "history": [{"loss": 1 / 3}], "name": "größer"}
    bits = variable.numpy().tobytes()
    saver.save(state)
    variable.assign(tf.ones(4))
    assert saver.restore() == state and variable.numpy().tobytes() == bits
    other = tf.Variable(tf.zeros(4))
    assert checkpoint.Checkpoint(tmp_path / "new", [other]).restore() == state
    assert other.numpy().tobytes() == bits


def test_as_many_checkpoints_stay_as_asked(tmp_path):
    saver = checkpoint.Checkpoint(tmp_path, [tf.Variable(0.0)], keep=3)
    for number in range(6):
        saver.save({"number": number})
    names = sorted(path.name for path in tmp_path.glob("*.index"))
    assert names == ["ckpt-4.index", "ckpt-5.index", "ckpt-6.index"]
