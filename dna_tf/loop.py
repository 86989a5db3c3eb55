"""The training loop that teachers, supernets and students share.

It owns time, not mathematics: epochs and steps, the sums behind the curves, the
checkpoints, and going on after a kill to the same bits. The step is the caller's.
"""

import time

import tensorflow as tf

from dna_tf import checkpoint, files, progress

HISTORY_KIND = "dna_tf.history"


def run(label, folder, variables, epochs, steps_per_epoch, batches, step, checkpoint_seconds):
    """Trains, resuming where an earlier run was killed.

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

    Returns:
        The history: a dict of means for each epoch.

    Raises:
        ValueError: a figure is not finite; the message has its name, epoch and step.
    """
    saver = checkpoint.Checkpoint(files.as_path(folder) / "checkpoints", variables)
    state = saver.restore() or {"epoch": 0, "step": 0, "sums": {}, "history": []}
    sums, history = _to_tensors(state["sums"]), state["history"]
    saved_at = time.monotonic()
    done = state["epoch"] * steps_per_epoch + state["step"]
    with progress.bar(label, epochs * steps_per_epoch, "step", done) as shown:
        for epoch in range(state["epoch"], epochs):
            first = state["step"] if epoch == state["epoch"] else 0
            for index, batch in enumerate(batches(epoch, first), first):
                figures = step(batch, epoch * steps_per_epoch + index)
                if shown.n == done:
                    shown.unpause()  # the first step traces graphs: no measure of the rate
                sums = {name: sums.get(name, 0.0) + value for name, value in figures.items()}
                shown.update(1)
                if time.monotonic() - saved_at > checkpoint_seconds:
                    # Read before saving, so that a checkpoint is never one of a diverged run.
                    totals = _finite(sums, label, epoch, index)
                    at = {"epoch": epoch, "step": index + 1, "sums": totals, "history": history}
                    saver.save(at)
                    saved_at = time.monotonic()
            totals = _finite(sums, label, epoch, steps_per_epoch - 1)
            history.append({name: total / steps_per_epoch for name, total in totals.items()})
            sums = {}
            means = f"epoch {epoch + 1}/{epochs}: {_means(history[-1])}"
            shown.set_postfix_str(means, refresh=False)
    saver.save({"epoch": epochs, "step": 0, "sums": {}, "history": history})
    files.write_json(
        files.as_path(folder) / "history.json", {"kind": HISTORY_KIND, "epochs": history}
    )
    return history


def _to_tensors(sums):
    return {name: tf.constant(value, tf.float32) for name, value in sums.items()}


def _finite(sums, label, epoch, index):
    totals = {name: float(value) for name, value in sums.items()}
    for name, value in totals.items():
        if not abs(value) < float("inf"):
            raise ValueError(
                f"{label}: {name} became {value} by epoch {epoch + 1}, step {index + 1}. Lower the "
                "learning rate in the config, or look for broken images in the data, and start "
                "again in a new workdir."
            )
    return totals


def _means(figures):
    shown = [f"{name} {value:.4g}" for name, value in list(figures.items())[:3]]
    return ", ".join(shown) + (", ..." if len(figures) > 3 else "")
