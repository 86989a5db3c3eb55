"""How long a compression will take: arithmetic on MACs, and one timed pass of the teacher.

Cells and students run at about half the rate of the teacher's pass, because their layers are
small; a training step costs three passes. What does not grow with the images (compiling, starting,
files) is counted with the constants below, which two slow cores of an AMD EPYC took. The sum is
meant to be right within a factor of two.
"""

import dataclasses
import statistics
import time

import numpy as np
import tensorflow as tf

from dna_tf.space import part_costs

RATE_OF_CELLS = 0.5  # MACs of cells and students a second, over those of the teacher's pass
_PASSES = 3  # of a training step: forward, and twice as much backward
_CELL_SECONDS = 5.0  # to build and compile a cell's training
_PATH_SECONDS = 0.07  # to prepare and measure a path, without its MACs
_REALISE_SECONDS = 4.0  # to put one network together
_STUDENT_SECONDS = 25.0  # to compile a fine-tuning, test it, and export it
_TIMED_BATCH, _TIMED_PASSES = 32, 3


@dataclasses.dataclass(frozen=True)
class Work:
    """What a compression has to do.

    Args:
        images: training images.
        rating_images: that ratings see, of both kinds and for the calibration of a path.
        cell_epochs, student_epochs: of cells and of the student.
        measured_paths: of a cell, in the teacher's place, at most.
        realised: networks that are put together.
        students: that are fine-tuned.
        online: whether the teacher answers in each epoch of the cells, or once.
    """

    images: int
    rating_images: int
    cell_epochs: int
    student_epochs: int
    measured_paths: int
    realised: int
    students: int = 1
    online: bool = False


def seconds(space, teacher, work, macs, image_seconds):
    """Estimates the seconds of each part of a compression.

    Args:
        space: the `spaces.SearchSpace` of the cells.
        teacher: the `assemblies.TeacherFacts`.
        work: a `Work`.
        macs: of the student.
        image_seconds: of the teacher's pass for one image.

    Returns:
        A dict: `cells`, `ratings` (both kinds) and `student` (fine-tuning and export).
    """
    whole = teacher.costs()["macs"] or 1
    per_mac = image_seconds / whole / RATE_OF_CELLS
    cells, rated, replaced = 0.0, 0.0, 0.0
    behind = [part["macs"] or 0 for part in (teacher.head, *teacher.blocks[::-1])]
    after = np.cumsum(behind)[::-1]  # after[b]: of block b and all that comes after it
    for b, c, _ in space.cells():
        costs = part_costs.all_path_costs(space, b, c, teacher.shapes)["macs"]
        mean, count = float(np.mean(costs)), len(costs)
        cells += _CELL_SECONDS
        cells += work.cell_epochs * work.images * _PASSES * mean * per_mac
        rated += count * (_PATH_SECONDS + work.rating_images * mean * per_mac)
        # The rest of the teacher behind the block is part of a measured path.
        rest = after[b + 1] / whole * image_seconds
        measured = min(count, work.measured_paths)
        replaced += measured * (_PATH_SECONDS + work.rating_images * (mean * per_mac + rest))
    passes = work.images * image_seconds
    cells += (work.cell_epochs if work.online else 1) * passes
    student = work.student_epochs * (passes + work.images * _PASSES * macs * per_mac)
    student += _STUDENT_SECONDS + work.realised * _REALISE_SECONDS
    return {"cells": cells, "ratings": rated + replaced, "student": work.students * student}


def time_of_image(model, shape):
    """Times the pass of a teacher on this machine.

    Args:
        model: a `keras.Model`.
        shape: `(height, width, channels)` of an image.

    Returns:
        Seconds for an image, the median of three batches after one that compiles.
    """
    pixels = tf.zeros((_TIMED_BATCH, *shape))

    @tf.function
    def answer(images):
        return model(images, training=False)

    times = []
    for _ in range(1 + _TIMED_PASSES):
        started = time.perf_counter()
        tf.nest.map_structure(lambda values: values.numpy(), answer(pixels))
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]) / _TIMED_BATCH


def text(parts):
    """The estimate in one line, such as `"about 14 minutes (cells 9, ratings 3, student 2)"`.

    Args:
        parts: what `seconds` returns, or some of it.
    """
    total = sum(parts.values())
    if total < 90:
        return f"about {10 * max(1, round(total / 10))} seconds"
    unit, name = (60, "minutes") if total < 90 * 60 else (3600, "hours")

    def number(value):
        return f"{value / unit:.1f}" if value < 10 * unit else f"{value / unit:.0f}"

    each = ", ".join(f"{part} {number(value)}" for part, value in parts.items())
    return f"about {number(total)} {name} ({each})"
