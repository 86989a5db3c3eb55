"""The training loop: a run that was cut off anywhere ends with the bits of an uninterrupted one."""

import concurrent.futures
import json
import math
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.common import locks
from dna_tf.training import loop
from tests.helpers import tool_runs, toy_training
from tests.helpers.toy_training import EPOCHS, STEPS


def _saved(monkeypatch):
    """The list of the states that checkpoints save from now on."""
    states, save = [], loop.checkpoints.Checkpoint.save

    def noted(self, state):
        states.append(json.loads(json.dumps(state)))
        save(self, state)

    monkeypatch.setattr(loop.checkpoints.Checkpoint, "save", noted)
    return states


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    toy = toy_training.Toy()
    history = toy_training.run(tmp_path_factory.mktemp("whole"), toy)
    return toy.values(), history


def test_the_history_holds_the_means_of_each_epoch(tmp_path):
    toy, twin = toy_training.Toy(), toy_training.Toy()
    history = toy_training.run(tmp_path, toy, seconds=1e9)
    assert toy.seen == list(range(EPOCHS * STEPS))
    for epoch, means in enumerate(history):
        assert list(means) == ["loss", "norm"]
        steps = [twin.step(batch, 0) for batch in twin.batches(epoch, 0)]
        for name, value in means.items():
            expected = np.mean([float(figures[name]) for figures in steps])
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert len(history) == EPOCHS and toy.values() == twin.values()
    saved = json.loads((tmp_path / "history.json").read_text())
    assert saved == {"kind": "dna_tf.history", "epochs": history}


@pytest.mark.parametrize("after", [False, True], ids=["before", "inside"])
@pytest.mark.parametrize("number", range(EPOCHS * STEPS))
def test_a_run_that_was_cut_off_resumes_to_the_same_bits(tmp_path, whole, number, after):
    toy = toy_training.Toy()
    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, toy, toy_training.cut_at(toy, number, after))
    assert not (tmp_path / "history.json").exists()
    again = toy_training.Toy()
    history = toy_training.run(tmp_path, again)
    assert again.seen == list(range(number, EPOCHS * STEPS))  # nothing twice, nothing left out
    assert (again.values(), history) == whole


def test_a_run_cut_off_at_every_step_resumes_to_the_same_bits(tmp_path, whole):
    for number in range(1, EPOCHS * STEPS):
        toy = toy_training.Toy()
        with pytest.raises(toy_training.Cut):
            toy_training.run(tmp_path, toy, toy_training.cut_at(toy, number))
        assert toy.seen == [number - 1]
    toy = toy_training.Toy()
    assert toy_training.run(tmp_path, toy) == whole[1] and toy.values() == whole[0]


def test_checkpoints_are_only_as_frequent_as_requested(tmp_path, whole, monkeypatch):
    toy_training.Clock(
        monkeypatch
    )  # it stands still: no epoch takes long enough for one of its own
    toy = toy_training.Toy()
    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, toy, toy_training.cut_at(toy, 9), seconds=1e9)
    assert not list(tmp_path.rglob("*.index"))
    toy = toy_training.Toy()
    assert toy_training.run(tmp_path, toy, seconds=1e9) == whole[1]
    assert toy.seen == list(range(12)) and toy.values() == whole[0]


def test_a_finished_run_returns_at_once(tmp_path, whole):
    toy_training.run(tmp_path, toy_training.Toy())
    toy = toy_training.Toy()

    def forbidden(*_):
        raise AssertionError("there is nothing left to do")

    toy.batches = forbidden
    assert toy_training.run(tmp_path, toy, forbidden) == whole[1]
    assert toy.values() == whole[0]


def test_a_run_resumes_with_the_same_data_only(tmp_path, whole, monkeypatch):
    toy = toy_training.Toy()
    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, toy, toy_training.cut_at(toy, 3), data_fingerprint="one")
    with pytest.raises(ValueError, match=r"toy: the data has changed .* two now, one then\. Bring"):
        toy_training.run(tmp_path, toy_training.Toy(), data_fingerprint="two")
    states, again = _saved(monkeypatch), toy_training.Toy()
    # The data knows its fingerprint of an earlier version, and the checkpoints keep it.
    with pytest.raises(ValueError, match="the data has changed"):
        toy_training.run(tmp_path, again, data_fingerprint="two", same_data={"two"}.__contains__)
    history = toy_training.run(
        tmp_path, again, data_fingerprint="two", same_data={"one", "two"}.__contains__
    )
    assert (again.values(), history) == whole
    assert {state["data_fingerprint"] for state in states} == {"one"}


def test_a_fingerprint_that_is_no_text_is_that_of_other_data(tmp_path):
    toy = toy_training.Toy()
    with pytest.raises(toy_training.Cut):  # the state as a broken checkpoint may have it
        toy_training.run(tmp_path, toy, toy_training.cut_at(toy, 3), data_fingerprint=7)
    with pytest.raises(ValueError, match="the data has changed .* one now, 7 then"):
        toy_training.run(tmp_path, toy_training.Toy(), data_fingerprint="one")


def test_checkpoints_that_do_not_name_their_data_can_be_resumed(tmp_path, whole):
    toy, again = toy_training.Toy(), toy_training.Toy()
    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, toy, toy_training.cut_at(toy, 3))
    history = toy_training.run(tmp_path, again, data_fingerprint="one")
    assert again.seen[0] == 3 and (again.values(), history) == whole


def test_more_epochs_continue_a_finished_run(tmp_path, whole):
    toy_training.run(tmp_path, toy_training.Toy(), epochs=2)
    toy = toy_training.Toy()
    assert toy_training.run(tmp_path, toy) == whole[1]
    assert toy.values() == whole[0] and toy.seen == [8, 9, 10, 11]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("seconds", [0, 1e9], ids=["every-step", "epoch-end"])
def test_a_figure_that_is_not_finite_stops_the_run(tmp_path, bad, seconds):
    toy = toy_training.Toy()

    def step(batch, number):
        figures = toy.step(batch, number)
        return {**figures, "loss": tf.constant(bad)} if number == 5 else figures

    at = 2 if seconds == 0 else STEPS
    message = rf"toy: loss became {bad} by epoch 2, step {at}\. Lower the learning rate.* folder"
    with pytest.raises(ValueError, match=message):
        toy_training.run(tmp_path, toy, step, seconds=seconds)
    again = toy_training.Toy()  # no checkpoint is of the run that diverged
    toy_training.run(tmp_path, again)
    assert again.seen[0] == (5 if seconds == 0 else 0)


@pytest.mark.parametrize(
    ("step_seconds", "checkpoint_seconds", "expected"),
    [
        (0.2, 1e9, [(2, 0), (3, 0)]),  # epochs of 0.8 s; the last one gets one always
        (0.3, 1e9, [(1, 0), (2, 0), (3, 0)]),  # epochs of 1.2 s
        (0.3, 0.5, [(0, 2), (0, 4), (1, 2), (1, 4), (2, 2), (2, 4), (3, 0)]),
        (0.3, 0.8, [(0, 3), (1, 2), (2, 1), (2, 4), (3, 0)]),
        (0.5, 1.2, [(0, 3), (1, 2), (2, 1), (2, 4), (3, 0)]),
    ],
)
def test_checkpoints_come_by_the_clock_and_after_long_epochs(
    tmp_path, monkeypatch, step_seconds, checkpoint_seconds, expected
):
    clock, states, toy = toy_training.Clock(monkeypatch), _saved(monkeypatch), toy_training.Toy()
    toy_training.run(tmp_path, toy, clock.takes(step_seconds, toy.step), seconds=checkpoint_seconds)
    assert [(state["epoch"], state["step"]) for state in states] == expected
    assert all(len(state["history"]) == state["epoch"] for state in states)
    assert all(bool(state["sums"]) == bool(state["step"]) for state in states)


def test_a_run_resumes_from_the_checkpoint_of_an_epochs_end(tmp_path, whole, monkeypatch):
    clock, toy = toy_training.Clock(monkeypatch), toy_training.Toy()
    step = clock.takes(0.3, toy_training.cut_at(toy, 6))
    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, toy, step, seconds=1e9)
    again = toy_training.Toy()
    assert toy_training.run(tmp_path, again) == whole[1]
    assert again.values() == whole[0] and again.seen == list(range(4, 12))


def test_the_bar_counts_images(tmp_path, capsys):
    toy = toy_training.Toy()
    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, toy, toy_training.cut_at(toy, 5), images_per_step=32)
    toy_training.run(tmp_path, toy_training.Toy(), images_per_step=32)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("toy: 0/384 images, ")
    assert [line for line in lines if line.startswith("toy: 160/384 images, ")]  # went on there
    assert lines[-1].startswith("toy: 384/384 images, ") and "image/s, " in lines[-1]


def test_the_bar_shows_the_first_figures_or_the_mean_of_each_block(tmp_path, capsys):
    losses = {"block1_cell1": 0.5, "block1_cell2": 0.25, "block2_cell1": 2.0, "block10_cell1": 1.0}
    others = {"loss": 0.5, "accuracy": 0.25, "speed": 2.0, "more": 1.0}
    for name, figures in (("cells", losses), ("others", others)):
        tensors = {name: tf.constant(value) for name, value in figures.items()}
        toy_training.run(tmp_path / name, toy_training.Toy(), lambda *_, figures=tensors: figures)
    lines = [line for line in capsys.readouterr().err.splitlines() if ": 12/12" in line]
    assert lines[0].endswith(", epoch 3/3: b1 0.375 b2 2 b10 1")
    assert lines[1].endswith(", epoch 3/3: loss 0.5, accuracy 0.25, speed 2, ...")


def _ended(toy):
    """What the toy gives at the end of an epoch; it notes that it was called, and with what."""
    toy.ended = []

    def on_epoch(epoch):
        toy.ended.append(epoch)
        return {"weights": float(tf.reduce_sum(toy.weights)), "epochs": epoch + 1}

    return on_epoch


@pytest.fixture(scope="module")
def whole_with_epochs(tmp_path_factory):
    toy = toy_training.Toy()
    history = toy_training.run(tmp_path_factory.mktemp("epochs"), toy, on_epoch=_ended(toy))
    assert toy.ended == [0, 1, 2]
    return history


def test_the_figures_of_an_epoch_join_its_history(tmp_path, whole, whole_with_epochs):
    twin = toy_training.Toy()
    for epoch, figures in enumerate(whole_with_epochs):
        for batch in twin.batches(epoch, 0):
            twin.step(batch, 0)
        expected = {"weights": float(tf.reduce_sum(twin.weights)), "epochs": epoch + 1.0}
        assert figures == {**whole[1][epoch], **expected}
        assert list(figures) == ["loss", "norm", "weights", "epochs"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("seconds", [-1, 1e9], ids=["saved", "unsaved"])
@pytest.mark.parametrize("cut", range(EPOCHS))
def test_a_run_cut_off_at_the_end_of_an_epoch_ends_it_once_more(
    tmp_path, monkeypatch, whole, whole_with_epochs, cut, seconds, after
):
    toy_training.Clock(monkeypatch)
    first = toy_training.Toy()
    on_epoch = _ended(first)

    def cut_off(epoch):
        figures = on_epoch(epoch) if epoch < cut or after else {}
        if epoch == cut:
            raise toy_training.Cut
        return figures

    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, first, seconds=seconds, on_epoch=cut_off)
    again = toy_training.Toy()
    assert (
        toy_training.run(tmp_path, again, on_epoch=_ended(again), seconds=seconds)
        == whole_with_epochs
    )
    assert again.values() == whole[0]
    # Saved after its last step: nothing but the end is done once more.
    assert again.seen == list(range(STEPS * (cut + 1) if seconds < 0 else 0, EPOCHS * STEPS))
    assert again.ended == list(range(cut if seconds < 0 else 0, EPOCHS))


def test_a_figure_of_an_epoch_that_is_not_finite_is_left_out(tmp_path, capsys):
    figures = {"good": 1.0, "bad": math.nan, "worse": math.inf}
    history = toy_training.run(tmp_path, toy_training.Toy(), on_epoch=lambda epoch: figures)
    assert all(list(figures) == ["loss", "norm", "good"] for figures in history)
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warned == [
        "warning: toy: bad is nan after epoch 1 and is left out",
        "warning: toy: worse is inf after epoch 1 and is left out",
    ]


def test_a_figure_of_an_epoch_cannot_have_a_name_of_the_step(tmp_path):
    message = "toy: 'loss' is a figure of the step and of on_epoch. Rename the one of on_epoch"
    with pytest.raises(ValueError, match=message):
        toy_training.run(tmp_path, toy_training.Toy(), on_epoch=lambda epoch: {"loss": 0.0})


@pytest.mark.parametrize(
    "failing",
    [
        {"block1_cell2": 5},
        {"block1_cell2": 4, "block1_cell1": 7},  # at the first and last step of an epoch
        {"block1_cell3": 0},
        {"block1_cell3": 11},
    ],
    ids=str,
)
def test_what_fails_is_left_out_from_its_epoch_on_whenever_that_is_seen(
    tmp_path, monkeypatch, capsys, failing
):
    healthy = toy_training.Cells()
    expected = toy_training.run(tmp_path / "healthy", healthy)
    for epoch, figures in enumerate(expected):
        for name, at in failing.items():
            if at < (epoch + 1) * STEPS:
                del figures[name]
    states = _saved(monkeypatch)
    for name, seconds in (("often", 0), ("seldom", 1e9)):
        cells = toy_training.Cells(**failing)
        folder = tmp_path / name
        assert toy_training.run(folder, cells, seconds=seconds, failures=cells.failures) == expected
        assert json.loads((folder / "history.json").read_text())["epochs"] == expected
        assert cells.values() == healthy.values()
        warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
        assert sorted(warned) == sorted(
            f"warning: toy: {cell} failed at step {at}." for cell, at in failing.items()
        )
    for number in range(EPOCHS * STEPS):
        folder, cells = tmp_path / f"cut{number}", toy_training.Cells(**failing)
        with pytest.raises(toy_training.Cut):
            toy_training.run(
                folder, cells, toy_training.cut_at(cells, number), failures=cells.failures
            )
        cells = toy_training.Cells(**failing)
        assert toy_training.run(folder, cells, failures=cells.failures) == expected
        assert cells.values() == healthy.values()
    assert all(math.isfinite(value) for state in states for value in state["sums"].values())


def test_when_all_fail_the_run_ends_with_all_reasons(tmp_path, monkeypatch):
    states = _saved(monkeypatch)
    for name, seconds in (("often", 0), ("seldom", 1e9)):
        cells = toy_training.Cells(block1_cell1=2, block1_cell2=6, block1_cell3=5)
        at = 3 if seconds == 0 else STEPS
        texts = " ".join(
            f"{name} failed at step {number}." for name, number in cells.failing.items()
        )
        message = f"toy: all figures failed by epoch 2, step {at}. {texts} Lower the learning rate"
        with pytest.raises(ValueError, match=message):
            toy_training.run(tmp_path / name, cells, seconds=seconds, failures=cells.failures)
    assert all(state["epoch"] * STEPS + state["step"] < 7 for state in states)


def test_what_is_not_finite_and_did_not_fail_is_an_error_still(tmp_path):
    cells = toy_training.Cells(block1_cell1=2, block1_cell2=3)

    def failures():
        return {name: text for name, text in cells.failures().items() if name[-1] == "1"}

    with pytest.raises(ValueError, match="toy: block1_cell2 became nan by epoch 1, step 4"):
        toy_training.run(tmp_path, cells, failures=failures)


def test_failures_are_read_every_ten_seconds(tmp_path, monkeypatch):
    clock, cells = toy_training.Clock(monkeypatch), toy_training.Cells()
    step = clock.takes(4.0, cells.step)
    toy_training.run(tmp_path, cells, step, seconds=1e9, failures=cells.failures)
    # After three steps of each epoch, and at its end, from where the time counts anew.
    assert cells.calls == 2 * EPOCHS


def test_another_worker_restores_and_writes_nothing(tmp_path, whole, capsys):
    forbidden = object()  # it has no method to be called

    def others(toy, **more):
        return toy_training.run(tmp_path, toy, chief=False, images_per_step=2, **more)

    toy = toy_training.Toy()
    assert others(toy) == whole[1] and toy.values() == whole[0]
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == ""
    with pytest.raises(toy_training.Cut):
        toy_training.run(tmp_path, toy := toy_training.Toy(), toy_training.cut_at(toy, 6))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    toy = toy_training.Toy()
    assert others(toy, watcher=forbidden) == whole[1]
    assert toy.values() == whole[0] and toy.seen == list(range(6, 12))
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert capsys.readouterr().err == ""
    cells = toy_training.Cells(block1_cell1=8)
    toy_training.run(tmp_path / "new", cells, chief=False, failures=cells.failures)
    assert capsys.readouterr().err.splitlines() == ["warning: toy: block1_cell1 failed at step 8."]


def _terminate():
    os.kill(os.getpid(), signal.SIGTERM)


STOPPED = "Stopped by SIGTERM after a checkpoint; run again to resume."


def _stopped(folder, toy, step=None, **more):
    """Runs until a SIGTERM ends it; asserts that it does so as it should."""

    def usual(*_):
        raise AssertionError("the loop has not caught the signal")

    before = signal.signal(signal.SIGTERM, usual)
    try:
        with pytest.raises(SystemExit) as end:
            toy_training.run(folder, toy, step, seconds=1e9, **more)
        assert end.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is usual
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", range(EPOCHS * STEPS))
def test_sigterm_stops_after_the_current_step(tmp_path, whole, capsys, number):
    toy = toy_training.Toy()
    _stopped(tmp_path, toy, toy_training.calling(toy, number, _terminate))
    assert toy.seen == list(range(number + 1))
    assert capsys.readouterr().err.splitlines()[-1] == STOPPED
    assert not (tmp_path / "history.json").exists()
    again = toy_training.Toy()
    assert toy_training.run(tmp_path, again) == whole[1]
    assert again.seen == list(range(number + 1, EPOCHS * STEPS)) and again.values() == whole[0]


@pytest.mark.parametrize("at", range(EPOCHS))
def test_sigterm_at_the_end_of_an_epoch_loses_nothing_of_it(tmp_path, whole, whole_with_epochs, at):
    toy = toy_training.Toy()
    on_epoch = _ended(toy)

    def interrupted(epoch):
        if epoch == at:
            _terminate()
        return on_epoch(epoch)

    _stopped(tmp_path, toy, on_epoch=interrupted)
    assert toy.ended == list(range(at + 1)) and toy.seen == list(range((at + 1) * STEPS))
    assert not (tmp_path / "history.json").exists()
    again = toy_training.Toy()
    assert toy_training.run(tmp_path, again, on_epoch=_ended(again)) == whole_with_epochs
    assert again.ended == list(range(at + 1, EPOCHS)) and again.values() == whole[0]


def test_sigterm_while_the_last_checkpoint_is_saved_is_not_lost(tmp_path, whole, monkeypatch):
    save = loop.checkpoints.Checkpoint.save

    def interrupted(self, state):
        _terminate()
        save(self, state)

    with monkeypatch.context() as patched:
        patched.setattr(loop.checkpoints.Checkpoint, "save", interrupted)
        toy_training.Clock(patched)
        _stopped(tmp_path, toy_training.Toy())
    toy = toy_training.Toy()
    assert toy_training.run(tmp_path, toy) == whole[1] and toy.seen == []


def test_other_workers_leave_sigterm_to_the_chief(tmp_path, whole, capsys):
    toy = toy_training.Toy()
    _stopped(tmp_path, toy, toy_training.calling(toy, 5, _terminate), chief=False)
    assert toy.values() == whole[0] and capsys.readouterr().err == ""


def test_signals_are_left_alone_outside_the_main_thread(tmp_path, whole):
    ended, before = [], signal.getsignal(signal.SIGTERM)

    def work():
        toy = toy_training.Toy()
        step = toy_training.calling(toy, 3, lambda: ended.append(signal.getsignal(signal.SIGTERM)))
        ended.append(toy_training.run(tmp_path, toy, step))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [before, whole[1]]


PROGRAM = """
import sys
from tests.helpers import toy_training

toy = toy_training.Toy()

def step(batch, number):
    print(number, flush=True)
    if number == 5:
        sys.stdin.read()  # the SIGTERM comes in here
    return toy.step(batch, number)

toy_training.run(sys.argv[1], toy, step, seconds=1e9)
"""


def test_a_program_that_gets_sigterm_ends_with_143_and_resumes(tmp_path, whole):
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(
        words,
        cwd=tool_runs.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line == "5\n":
                process.send_signal(signal.SIGTERM)
                process.stdin.close()
        errors = process.stderr.read()
    assert process.returncode == 143, errors
    assert errors.splitlines()[-1] == STOPPED
    again = toy_training.Toy()
    assert toy_training.run(tmp_path, again) == whole[1]
    assert again.values() == whole[0]
    assert again.seen and again.seen == list(range(again.seen[0], 12)) and again.seen[0] >= 6


def test_a_training_of_another_process_is_left_alone(tmp_path):
    """Its half-written checkpoint too; another thread stands for the other process."""
    half = tmp_path / "checkpoints" / "ckpt-1_temp"
    half.mkdir(parents=True)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        lock = locks.hold(tmp_path / "checkpoints", "it")
        thread.submit(lock.__enter__).result()
        with pytest.raises(locks.InUse, match="^The training in .* is being written by process"):
            toy_training.run(tmp_path, toy_training.Toy())
        thread.submit(lock.__exit__, None, None, None).result()
    assert half.exists()
    toy_training.run(tmp_path, toy_training.Toy())
    assert not half.exists()
