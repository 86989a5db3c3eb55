"""The training loop that teachers, supernets and students share.

It counts epochs and steps, sums the figures behind the curves, saves checkpoints, and
resumes a killed run to the same bits. What a step computes is the caller's.
"""

import dataclasses
import math
import re
import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from dna_tf import workdirs
from dna_tf.common import files, locks, progress
from dna_tf.training import checkpoints

# Seconds from one reading of the figures to the next, at most: they are on the device,
# and reading them waits for it.
READ_SECONDS = 10.0
# An epoch ends with a checkpoint if the last one is older than this.
EPOCH_END_SECONDS = 1.0

_ADVICE = (
    "Lower the learning rate, or look for broken images in the data, and start again in a new "
    "folder."
)

now = time.monotonic


@dataclasses.dataclass(frozen=True)
class Keep:
    """What a training keeps on disk, so that it can resume.

    Args:
        folder: where `checkpoints/` and, at the end, `history.json` go.
        variables: all `tf.Variable`s that the training changes.
        seconds: time between two checkpoints: as much work as a kill may lose.
        data_fingerprint: text that stands for the data, saved with each checkpoint; a run
            resumes with the same data only. `None` checks nothing.
        begins_from: the folder of another training of the same variables. If `folder` has no
            checkpoints, the training goes on from those of that one, which stay as they are.
        same_data: function from a saved text to whether it stands for the same data; `None`
            compares it with `data_fingerprint`.
    """

    folder: object
    variables: Sequence
    seconds: float
    data_fingerprint: str | None = None
    begins_from: object = None
    same_data: Callable | None = None


@dataclasses.dataclass(frozen=True)
class Show:
    """What a training shows while it runs.

    Args:
        label: text of the progress line; errors and warnings start with it.
        images_per_step: images of a batch, those of all workers together.
        watcher: a `tensorboard.Watcher` that gets the figures for TensorBoard, or `None`. It
            stays open.
    """

    label: str
    images_per_step: int = 1
    watcher: object = None


def run(
    step,
    batches,
    epochs,
    steps_per_epoch,
    keep,
    show,
    on_epoch=None,
    failures=None,
    chief=True,
):
    """Trains, resuming where an earlier run was killed.

    In the main thread, SIGTERM ends the program with status 143 after the current step
    and a checkpoint.

    Args:
        step: `step(batch, number)` trains one step, counted from 0 over all epochs,
            and returns a dict from names to scalar tensors, the figures to average.
        batches: `batches(epoch, skip)` returns an iterable of the batches of an
            epoch without the first `skip`; the same ones at every call.
        epochs: how many epochs in all.
        steps_per_epoch: steps of each epoch.
        keep: a `Keep`.
        show: a `Show`.
        on_epoch: `on_epoch(epoch)`, called after each epoch (from 0), returns a dict of
            floats for the history. It must not change any variable, and must depend on
            nothing but the variables and the epoch: after a kill it may be called again. A
            figure of it that is not finite is left out, with a warning.
        failures: `failures()` returns a dict from the names of figures that failed to a text
            that names the figure and says what happened. It must depend on the variables
            alone. Once a name is in the dict it must stay. From that epoch on the figure is
            left out of the history and the text is logged as a warning; its value is then
            ignored.
        chief: `False` for the other workers of a run of several. They restore; they write no
            files and show nothing but warnings. They leave SIGTERM to the chief while they
            train: the chief's current step needs them.

    Returns:
        The history: for each epoch a dict of the means, with what `on_epoch` returned.

    Raises:
        ValueError: the data differs from that of the checkpoints. A figure is not finite
            and did not fail; the message has its name, epoch and step. All figures failed;
            the message has all texts. `on_epoch` returned a name that the step has too.
    """
    folder = files.as_path(keep.folder)
    # Before checkpoints are looked at: another process may be writing one.
    with locks.hold(folder / "checkpoints", f"The training in {folder}", chief):
        training = (step, batches, epochs, steps_per_epoch)
        return _run(*training, folder, keep, show, on_epoch, failures, chief)


def _run(
    step, batches, epochs, steps_per_epoch, folder, keep, show, on_epoch, failures, chief
):  # fmt: skip
    label, images_per_step = show.label, show.images_per_step
    saver = checkpoints.Checkpoint(folder / "checkpoints", keep.variables)
    state = saver.restore()
    if state is None and keep.begins_from:
        earlier = files.as_path(keep.begins_from) / "checkpoints"
        state = checkpoints.Checkpoint(earlier, keep.variables).restore()
    state = state or {"epoch": 0, "step": 0, "sums": {}, "history": []}
    checkpoints.check_position(folder / "checkpoints", state, steps_per_epoch)
    data = _checked_data(keep, label, state)
    sums, history = _Sums(label, state["sums"], failures), state["history"]
    done = state["epoch"] * steps_per_epoch + state["step"]
    watcher = show.watcher if chief else None
    saved_at = now()

    def save(epoch, step, totals):
        nonlocal saved_at
        if watcher is not None:
            watcher.flush()  # a resumed run does not write these events again
        saver.save({"epoch": epoch, "step": step, "sums": totals, "history": history, **data})
        saved_at = now()

    images, done_images = epochs * steps_per_epoch * images_per_step, done * images_per_step
    with (
        checkpoints.Sigterm(prints=chief) as sigterm,
        progress.bar(label, images, "image", done_images, hidden=not chief) as bar,
    ):
        display = _Display(bar, watcher, images_per_step)
        # The figures of an epoch that was not ended come again, at the step of its end.
        display.start(done if state["step"] == steps_per_epoch else done + 1, state["sums"])
        for epoch in range(state["epoch"], epochs):
            first = state["step"] if epoch == state["epoch"] else 0
            steps_before = epoch * steps_per_epoch
            position = f"epoch {epoch + 1}/{epochs}"
            for index, batch in enumerate(batches(epoch, first), first):
                sums.add(step(batch, steps_before + index))
                display.count_step()
                stops = chief and sigterm.received
                saves = chief and (stops or now() - saved_at > keep.seconds)
                if saves or display.is_due():
                    # Read before saving, so that a diverged run is never saved.
                    totals = sums.read(epoch, index + 1)
                    display.line(position, _means(totals, index + 1))
                    display.measure(totals)
                    display.write(steps_before + index + 1)
                if saves:
                    save(epoch, index + 1, totals)
                    display.start_clock()
                if stops:
                    return history  # never reaches the caller: leaving the `with` exits
            totals = sums.read(epoch, steps_per_epoch)
            means = _means(totals, steps_per_epoch)
            display.line(position, means)
            display.measure(totals)
            epoch_figures = {} if on_epoch is None else sums.check_epoch(epoch, on_epoch(epoch))
            display.write(steps_before + steps_per_epoch, epoch_figures)
            history.append({**means, **epoch_figures})
            sums.clear()
            display.begin_epoch()
            stops = chief and sigterm.received
            due = stops or epoch + 1 == epochs or now() - saved_at > EPOCH_END_SECONDS
            if chief and due:
                save(epoch + 1, 0, {})
            display.start_clock()
            if stops:
                return history
        if chief:
            files.write_json(
                folder / "history.json", {"kind": workdirs.HISTORY_KIND, "epochs": history}
            )
    return history


def _checked_data(keep, label, state):
    """Returns the fingerprint of the data as a checkpoint keeps it, after comparing it."""
    if keep.data_fingerprint is None:
        return {}
    # Checkpoints of older versions have no fingerprint.
    saved = state.get("data_fingerprint", keep.data_fingerprint)
    is_same = keep.same_data(saved) if keep.same_data else saved == keep.data_fingerprint
    if not is_same:
        raise ValueError(
            f"{label}: the data has changed since the checkpoints in {keep.folder} were saved: "
            f"fingerprint {keep.data_fingerprint} now, {saved} then. Bring the data back, or start "
            "in a new folder."
        )
    return {"data_fingerprint": saved}


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

    def check_epoch(self, epoch, figures):
        """Returns the figures of `on_epoch` as floats, without those that are not finite."""
        for name in figures:
            if name in self._sums:
                raise ValueError(
                    f"{self._label}: {name!r} is a figure of the step and of on_epoch. "
                    "Rename the one of on_epoch."
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
    """Shows a run: on the progress line, and in TensorBoard through a watcher.

    Args:
        bar: the progress bar.
        watcher: a `tensorboard.Watcher`, or `None`.
        images_per_step: images of a step.
    """

    def __init__(self, bar, watcher, images_per_step):
        self._bar, self._watcher = bar, watcher
        self._images_per_step = images_per_step
        self._seconds = READ_SECONDS if watcher is None else min(READ_SECONDS, watcher.seconds)
        self._first = True
        self._written_at = now()
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
        """Starts to measure the images per second; earlier time does not count."""
        self._timed_from, self._timed_steps = now(), 0

    def count_step(self):
        """Counts a step."""
        self._steps += 1
        self._timed_steps += 1
        if self._first:  # it traced graphs, which is not training
            self._first = False
            self._bar.unpause()
            self.start_clock()
        self._bar.update(self._images_per_step)

    def is_due(self):
        """Whether it is time to read the figures again."""
        return now() - self._written_at >= self._seconds

    def line(self, position, means):
        """Puts means beside the bar."""
        self._bar.set_postfix_str(f"{position}: {_short(means)}", refresh=False)

    def measure(self, totals):
        """Takes the figures since the last measure; `totals` are the sums of the epoch."""
        since = {name: total - self._totals.get(name, 0.0) for name, total in totals.items()}
        self._measured = {_curve(name): mean for name, mean in _means(since, self._steps).items()}
        seconds = now() - self._timed_from
        if self._timed_steps and seconds > 0:
            images = self._timed_steps * self._images_per_step
            self._measured["images_per_second"] = images / seconds
        self._totals, self._steps = totals, 0
        self.start_clock()

    def write(self, steps_done, epoch_figures=()):
        """Gives the watcher the last measures, and the figures of an epoch that ended."""
        self._written_at = now()
        if self._watcher is not None:
            self._watcher.scalars(steps_done, {**self._measured, **dict(epoch_figures)})


def _means(sums, steps):
    return {name: value / steps for name, value in sums.items()} if steps else {}


def _block_of(name):
    """The block's number in the name of a cell, or `None`."""
    match = re.fullmatch(r"block(\d+)_cell\d+", name)
    return int(match[1]) if match else None


def _curve(name):
    """What TensorBoard calls a figure of the step."""
    return name if _block_of(name) is None else f"loss/{name}"


def _short(means):
    """Means as short text: of cells the mean for each block, otherwise the first three."""
    blocks = {}
    for name, value in means.items():
        blocks.setdefault(_block_of(name), []).append(value)
    if None not in blocks:
        return " ".join(
            f"b{block} {sum(values) / len(values):.3g}" for block, values in sorted(blocks.items())
        )
    first = [f"{name} {value:.4g}" for name, value in list(means.items())[:3]]
    return ", ".join(first) + (", ..." if len(means) > 3 else "")
