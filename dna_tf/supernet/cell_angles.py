"""The angle between the first and the trained weights of cells, as sums for each op.

The first weights of a cell are not in its file: they follow from the seed, to the bit, and are
computed again. Beside the sums of the trained weights there are those of three controls, in which
nothing of what was learned is left:

* `structure`: the shapes alone. Squared lengths of first weights by formula, the stem not turned,
  and every op turned by 90 degrees. Any other angle, equal for all ops, gives the same order.
* `noise`: each weight array moved as far from its first values as training moved it, in a random
  direction.
* `fresh`: first weights of another seed in the place of the trained ones.

Source: RLNAS, Zhang et al., 2021. Theirs is a whole network that learns random labels; here the
cells are those of a block-wise supernet. The controls are ours.
"""

import math

import numpy as np

from dna_tf.common import checks
from dna_tf.space import angle_sums
from dna_tf.supernet import cell_models, packed_ops, trained_cells
from dna_tf.teachers.cutting import Teacher

# Kernels that share nothing with their first values have a cosine within this many deviations.
_DEVIATIONS = 5


class NotTrained(ValueError):
    """The weights of a cell are its first ones."""


def angles(
    cells: list[trained_cells.TrainedCell],
    teacher: Teacher,
    *,
    seed: int = 0,
    parts: str = angle_sums.PARTS[0],
    variant: str = angle_sums.TRAINED,
) -> angle_sums.AngleSums:
    """Measures how far training turned the weights of all networks of trained cells.

    The angle lies between the first and the trained weights of a network. RLNAS takes a larger
    one for a better network. The result gives the cosine of any network, and many at once. Look
    at the controls, too: an angle that the shapes alone would give says nothing of the training.

    Example:

        import dna_tf

        images = dna_tf.load_images("digits", image_size=16)
        space = dna_tf.SearchSpace.from_dict(
            {
                "name": "two_blocks",
                "ops": ["k3e1", "k5e1"],
                "blocks": [{"stride": 2, "cells": [[1, 4]]}, {"stride": 2, "cells": [[1, 8]]}],
            }
        )
        teacher = dna_tf.cut_teacher("residual_cnn", images, space=space)
        cells = dna_tf.train_cells(space, teacher, images, epochs=1, seed=3)
        sums = dna_tf.angles(cells, teacher, seed=3)
        zeros = {(b, c): [0.0] * space.num_paths(b, c) for b, c, _ in space.cells()}
        problem = dna_tf.search_problem(space, zeros, images)
        (architecture,) = dna_tf.find_largest_angles(problem, sums)
        print(architecture.describe(), architecture.origin["cosine"])

    Args:
        cells: trained cells, as `train_cells` returns them.
        teacher: the teacher that they imitate; its shapes are needed.
        seed: the seed with which they were trained.
        parts: which weights count: `"rlnas"` (kernels and batch norms of expansion, depthwise
            and stem, and the projection's kernel), `"kernels"` or `"all"`. With `"all"` cells
            whose output started at the teacher's map have the start itself in their angle.
        variant: `"trained"`, or a control: `"structure"`, `"noise"` or `"fresh"`.

    Returns:
        The `AngleSums`; `AngleSums.cosines` takes networks.

    Raises:
        ValueError: a cell was not trained, or not with this seed; or its weights are not finite.

    Source: RLNAS, Zhang et al., 2021.
    """
    checks.choose(variant, angle_sums.VARIANTS, "variant of the angle")
    computed = {(c.block, c.cell): cell_angle(c, teacher.shapes, seed, parts) for c in cells}
    return angle_sums.of_cells(computed, variant)


def cell_angle(trained, shapes, seed, parts=angle_sums.PARTS[0], start=None):
    """The sums of one cell, with those of the controls.

    Args:
        trained: a `trained_cells.TrainedCell`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        seed: the seed of its training.
        parts: which weights count.
        start: as of `cell_models.TrainableCell`. Only the last batch norms depend on it.

    Returns:
        An `angle_sums.CellAngle`.

    Raises:
        NotTrained: the weights are the first ones.
        ValueError: they have nothing in common with the first weights of this seed, or are not
            finite.
    """
    checks.choose(parts, angle_sums.PARTS, "choice of weights")
    block, cell = trained.block, trained.cell
    channels = shapes[block][-1], shapes[block + 1][-1]
    units = cell_models.cell_units(trained.space, block, cell, *channels)
    first = cell_models.first_rows(units, block, cell, seed, start)
    fresh = cell_models.first_rows(units, block, cell, seed + 1, start)
    check_trained(trained, units, first, seed)
    stem = len(units) - trained.space.blocks[block].cells[cell].layers  # units before the layers
    sums = {variant: [] for variant in angle_sums.VARIANTS}
    for u, specs in enumerate(units):
        arrays = first[u], trained.weights[u], fresh[u]
        of_unit = unit_sums(specs, *arrays, parts, [seed, block, cell, u], u < stem)
        for variant, of_ops in of_unit.items():
            sums[variant].append(of_ops)
    return angle_sums.CellAngle(parts, sums)


def unit_sums(specs, first, trained, fresh, parts, seeds, is_fixed):
    """The sums of the ops of one position of a chain, with those of the controls.

    Args:
        specs: the specs of the ops.
        first, trained, fresh: arrays `(ops, row size)`: the first weights, the trained ones, and
            the first ones of another seed.
        parts: which weights count.
        seeds: ints that seed the random directions.
        is_fixed: whether every network has this position, such as the stem: then the control by
            shapes does not turn it.

    Returns:
        A dict from each of `angle_sums.VARIANTS` to a float64 array `(ops, 3)`.
    """
    rows = [[] for _ in angle_sums.VARIANTS]
    for op, spec in enumerate(specs):
        draws = np.random.default_rng([*seeds, op])
        old, new, other = (np.asarray(r[op], np.float64) for r in (first, trained, fresh))
        places = counted(spec, parts)
        moved = _moved_at_random(old, new, places, draws)
        rows[0].append(_sums(old, new, places))
        norm = first_norm(spec, parts)
        rows[1].append([norm if is_fixed else 0.0, norm, norm])
        rows[2].append(_sums(old, moved, places))
        rows[3].append(_sums(old, other, places))
    arrays = [np.array(of_ops, np.float64) for of_ops in rows]
    return dict(zip(angle_sums.VARIANTS, arrays, strict=True))


def counted(spec, parts):
    """The places of the weight arrays of an op that make up the angle's vector.

    Args:
        spec: the op's spec.
        parts: one of `angle_sums.PARTS`.

    Returns:
        A list of slices of its packed row.
    """
    return [place for name, _, place in packed_ops.places(spec) if _counts(name, parts)]


def first_norm(spec, parts):
    """The squared length that an op's first weights have on average, from their shapes alone.

    A kernel is uniform within 1/sqrt(fan-in), so each of its outputs adds 1/3, whatever its size:
    the first length cannot tell a kernel of 7 from one of 3. A batch norm adds its channels.
    """
    total, fan_in = 0.0, 1
    for name, shape, _ in packed_ops.places(spec):
        if name.endswith("kernel"):
            fan_in = math.prod(shape[:-2]) * (1 if name.startswith("dw") else shape[-2])
        if name.endswith("beta") or not _counts(name, parts):
            continue
        size = math.prod(shape)
        total += size if name.endswith("gamma") else size / fan_in / 3
    return total


def _counts(name, parts):
    if parts == "kernels":
        return name.endswith("kernel") and not name.startswith("se_")
    # A bias without a prefix is the classifier's.
    return parts == "all" or not name.startswith(("se_", "project_bn", "bias"))


def _sums(first, trained, places):
    """D, N0 and N over some places of two packed rows, float64."""
    old, new = (np.concatenate([row[place] for place in places]) for row in (first, trained))
    return [float(old @ new), float(old @ old), float(new @ new)]


def _moved_at_random(first, trained, places, draws):
    """Weights as far from the first ones as the trained ones are, in a random direction."""
    moved = first.copy()
    for place in places:
        direction = draws.normal(size=place.stop - place.start)
        distance = np.linalg.norm(trained[place] - first[place])
        moved[place] += direction * (distance / np.linalg.norm(direction))
    return moved


def check_trained(trained, units, first, seed):
    """Checks that a cell or a whole network was trained, from these first weights.

    Args:
        trained: a `trained_cells.TrainedCell` or `whole_files.TrainedWhole`.
        units: the specs of every position.
        first: the first weights of every position.
        seed: the seed of the training.

    Raises:
        NotTrained: the weights are the first ones.
        ValueError: they have nothing in common with the first ones, or are not finite.
    """
    dot = size = 0
    moved = lengths = 0.0
    for specs, olds, news in zip(units, first, trained.weights, strict=True):
        for spec, old, new in zip(specs, olds, news, strict=True):
            for place in counted(spec, "kernels"):
                old_part, new_part = np.float64(old[place]), np.float64(new[place])
                if not np.isfinite(new_part).all():
                    raise ValueError(
                        f"{trained.name} has weights that are not finite: its training diverged, "
                        "and it has no angle. Train it again."
                    )
                moved += float(np.abs(new_part - old_part).sum())
                dot += float(old_part @ new_part)
                lengths += float(np.square(old_part * new_part).sum())
                size += len(old_part)
    if not moved:
        raise NotTrained(
            f"{trained.name} has the first weights of seed {seed}: nothing has been trained, and "
            "all angles are 0. Train the supernet first."
        )
    if abs(dot) < _DEVIATIONS * math.sqrt(lengths):
        raise ValueError(
            f"The {size:,} kernel weights of {trained.name} have nothing in common with the first "
            f"weights of seed {seed}: it was trained with another seed. Expected the seed of "
            f"its training. Received: seed={seed}"
        )
