"""The training loop that teachers, supernets and students share.

It owns time, not mathematics: epochs and steps, the sums behind the curves, the
checkpoints, and going on after a kill to the same bits. The step is the caller's.
"""

import math
import re
import time

import tensorflow as tf

from dna_tf.common import files, progress
from dna_tf.training import checkpoint

HISTORY_KIND = "dna_tf.history"

# Seconds from one reading of the figures to the next, at most: they lie on the device,
# and reading them waits for it. Source: our choice.
READ_SECONDS = 10.0
# An epoch ends with a checkpoint if the last one is older than this. Source: our choice.
EPOCH_END_SECONDS = 1.0

_ADVICE = (
    "Lower the learning rate in the config, or look for broken images in the data, and "
    "start again in a new workdir."
)

_now = time.monotonic


def run(
    label,
    folder,
    variables,
    epochs,
    steps_per_epoch,
    batches,
    step,
    checkpoint_seconds,
    images_per_step=1,
    on_epoch=None,
    failures=None,
    watcher=None,
    chief=True,
    data_fingerprint=None,
):
    """Trains, resuming where an earlier run was killed.

    In the main thread, SIGTERM ends the program with status 143 after the present step
    and a checkpoint.

    Args:
        label: what the progress line says.
        folder: where `checkpoints/` and, at the end, `history.json` go.
        variables: all `tf.Variable`s that the training changes.
        epochs: how many epochs in all.
        steps_per_epoch: steps of each epoch.
        batches: `batches(epoch, skip)` returns an iterable of the batches of an
            epoch without the first `skip`; the same ones at every call.
        step: `step(batch, number)` trains one step, counted from 0 over all epochs,
            and returns a dict from names to scalar tensors, the figures to average.
        checkpoint_seconds: how much work a kill may lose.
        images_per_step: images of a batch, those of all workers together.
        on_epoch: `on_epoch(epoch)`, called after each epoch (from 0), returns a dict of
            floats for the history. It must change no variable and depend on nothing but
            them and the epoch: after a kill it may be called again. A figure of it that is
            not finite is left out, with a warning.
        failures: `failures()` returns a dict from names of figures that failed to what
            happened, in sentences that name the figure. It must depend on the variables
            alone, and a name must stay in it. Such a figure is left out of the history from
            its epoch on, with these sentences as a warning, and may be anything.
        watcher: a `tensorboard.Watcher` that gets the figures for TensorBoard; it stays open.
        chief: `False` for the other workers of a run of several. They restore, and they
            write and show nothing but warnings. They leave SIGTERM to the chief while they
            train: the chief's present step needs them.
        data_fingerprint: text that stands for the data, saved with each checkpoint; a run
            goes on with the same data only. `None` checks nothing.

    Returns:
        The history: a dict of means for each epoch, with what `on_epoch` gave.

    Raises:
        ValueError: the data is another than that of the checkpoints. A figure is not finite
            and did not fail; the message has its name, epoch and step. All figures failed;
            the message has all texts. `on_epoch` gave a name that the step has, too.
    """
    folder = files.as_path(folder)
    saver = checkpoint.Checkpoint(folder / "checkpoints", variables)
    state = saver.restore() or {"epoch": 0, "step": 0, "sums": {}, "history": []}
    known = {} if data_fingerprint is None else {"data_fingerprint": data_fingerprint}
    then = {**known, **state}.get("data_fingerprint")  # older checkpoints do not say
    if known and then != data_fingerprint:
        raise ValueError(
            f"{label}: the data has changed since the checkpoints in {folder} were saved: "
            f"fingerprint {data_fingerprint} now, {then} then. Bring the data back, or start in a "
            "new workdir."
        )
    sums, history = _Sums(label, state["sums"], failures), state["history"]
    done = state["epoch"] * steps_per_epoch + state["step"]
    watcher = watcher if chief else None
    saved_at = _now()

    def save(epoch, step, totals):
        nonlocal saved_at
        if watcher is not None:
            watcher.flush()  # what a resumed run will not write again
        saver.save({"epoch": epoch, "step": step, "sums": totals, "history": history, **known})
        saved_at = _now()

    images, done_images = epochs * steps_per_epoch * images_per_step, done * images_per_step
    with (
        checkpoint.Sigterm(says=chief) as ending,
        progress.bar(label, images, "image", done_images, hidden=not chief) as shown,
    ):
        display = _Display(shown, watcher, images_per_step)
        # The figures of an epoch that was not ended come again, at the step of its end.
        display.start(done if state["step"] == steps_per_epoch else done + 1, state["sums"])
        for epoch in range(state["epoch"], epochs):
            first = state["step"] if epoch == state["epoch"] else 0
            steps_before = epoch * steps_per_epoch
            position = f"epoch {epoch + 1}/{epochs}"
            for index, batch in enumerate(batches(epoch, first), first):
                sums.add(step(batch, steps_before + index))
                display.count_step()
                stops = chief and ending.received
                saves = chief and (stops or _now() - saved_at > checkpoint_seconds)
                if saves or display.is_due():
                    # Read before saving, so that a checkpoint is never one of a diverged run.
                    totals = sums.read(epoch, index + 1)
                    display.line(position, _means(totals, index + 1))
                    display.measure(totals)
                    display.write(steps_before + index + 1)
                if saves:
                    save(epoch, index + 1, totals)
                    display.start_clock()
                if stops:
                    return history  # to nobody: the end of the `with` ends the program
            totals = sums.read(epoch, steps_per_epoch)
            means = _means(totals, steps_per_epoch)
            display.line(position, means)
            display.measure(totals)
            ended = {} if on_epoch is None else sums.check_ended(epoch, on_epoch(epoch))
            display.write(steps_before + steps_per_epoch, ended)
            history.append({**means, **ended})
            sums.clear()
            display.begin_epoch()
            stops = chief and ending.received
            due = stops or epoch + 1 == epochs or _now() - saved_at > EPOCH_END_SECONDS
            if chief and due:
                save(epoch + 1, 0, {})
            display.start_clock()
            if stops:
                return history
        if chief:
            files.write_json(folder / "history.json", {"kind": HISTORY_KIND, "epochs": history})
    return history


class _Sums:
    """Sums of the step's figures since the beginning of the epoch, kept on the device.

    Args:
        label: what errors and warnings name.
        totals: sums of the steps before, from a checkpoint.
        failures: as of `run`.
    """

    def __init__(self, label, totals, failures):
        self._label, self._failures = label, failures
        self._sums = {name: tf.constant(value, tf.float32) for name, value in totals.items()}
        self._warned = set()

    def add(self, figures):
        """Adds the figures of a step."""
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in figures.items()}

    def clear(self):
        """Begins a new epoch."""
        self._sums = {}

    def read(self, epoch, steps):
        """Returns the sums as floats, without those that failed.

        Args:
            epoch: the epoch, from 0, for errors.
            steps: its steps so far.
        """
        failed = {} if self._failures is None else self._failures()
        for name, text in failed.items():
            self._warn(name, text)
        totals = {name: float(value) for name, value in self._sums.items() if name not in failed}
        if failed and not totals:
            raise ValueError(
                f"{self._label}: all figures failed by epoch {epoch + 1}, step {steps}. "
                f"{' '.join(failed.values())} {_ADVICE}"
            )
        for name, value in totals.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"{self._label}: {name} became {value} by epoch {epoch + 1}, step {steps}. "
                    f"{_ADVICE}"
                )
        return totals

    def check_ended(self, epoch, figures):
        """Returns what `on_epoch` gave as floats, without what is not finite."""
        for name in figures:
            if name in self._sums:
                raise ValueError(
                    f"{self._label}: {name!r} is a figure of the step and of on_epoch. "
                    "Give the one of on_epoch another name."
                )
        figures = {name: float(value) for name, value in figures.items()}
        for name, value in figures.items():
            if not math.isfinite(value):
                self._warn(name, f"{name} is {value} after epoch {epoch + 1} and is left out")
        return {name: value for name, value in figures.items() if math.isfinite(value)}

    def _warn(self, name, text):
        if name not in self._warned:
            self._warned.add(name)
            progress.warn(f"{self._label}: {text}")


class _Display:
    """What is seen of a run: the progress line, and TensorBoard through a watcher.

    Args:
        shown: the bar.
        watcher: a `tensorboard.Watcher`, or `None`.
        images_per_step: images of a step.
    """

    def __init__(self, shown, watcher, images_per_step):
        self._shown, self._watcher = shown, watcher
        self._images_per_step = images_per_step
        self._seconds = READ_SECONDS if watcher is None else min(READ_SECONDS, watcher.seconds)
        self._first = True
        self._written_at = _now()
        self._measured = {}
        self._totals, self._steps = {}, 0  # of the last measure; steps since then
        self.start_clock()

    def start(self, first_step, totals):
        """Begins at a step; `totals` are the sums of its epoch so far."""
        self._totals = totals
        if self._watcher is not None:
            self._watcher.start(first_step)

    def begin_epoch(self):
        """Begins an epoch: its sums are zero."""
        self._totals = {}

    def start_clock(self):
        """Begins to measure the rate: what came before was no training."""
        self._timed_from, self._timed_steps = _now(), 0

    def count_step(self):
        """Counts a step."""
        self._steps += 1
        self._timed_steps += 1
        if self._first:  # it traced graphs: no measure of the rate
            self._first = False
            self._shown.unpause()
            self.start_clock()
        self._shown.update(self._images_per_step)

    def is_due(self):
        """Whether it is time to read the figures again."""
        return _now() - self._written_at >= self._seconds

    def line(self, position, means):
        """Puts means beside the bar."""
        self._shown.set_postfix_str(f"{position}: {_short(means)}", refresh=False)

    def measure(self, totals):
        """Takes the figures since the last measure; `totals` are the sums of the epoch."""
        since = {name: total - self._totals.get(name, 0.0) for name, total in totals.items()}
        self._measured = {_curve(name): mean for name, mean in _means(since, self._steps).items()}
        seconds = _now() - self._timed_from
        if self._timed_steps and seconds > 0:
            images = self._timed_steps * self._images_per_step
            self._measured["images_per_second"] = images / seconds
        self._totals, self._steps = totals, 0
        self.start_clock()

    def write(self, steps_done, ended=()):
        """Gives the watcher what was measured, and the figures of an epoch that ended."""
        self._written_at = _now()
        if self._watcher is not None:
            self._watcher.scalars(steps_done, {**self._measured, **dict(ended)})


def _means(sums, steps):
    return {name: value / steps for name, value in sums.items()} if steps else {}


def _block_of(name):
    """The block's number in the name of a cell, or `None`."""
    found = re.fullmatch(r"block(\d+)_cell\d+", name)
    return int(found[1]) if found else None


def _curve(name):
    """What TensorBoard calls a figure of the step."""
    return name if _block_of(name) is None else f"loss/{name}"


def _short(means):
    """Means in a few words: of cells for each block, else the first three."""
    blocks = {}
    for name, value in means.items():
        blocks.setdefault(_block_of(name), []).append(value)
    if None not in blocks:
        return " ".join(f"b{b} {sum(of) / len(of):.3g}" for b, of in sorted(blocks.items()))
    shown = [f"{name} {value:.4g}" for name, value in list(means.items())[:3]]
    return ", ".join(shown) + (", ..." if len(means) > 3 else "")
