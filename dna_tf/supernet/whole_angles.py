"""How far training turned the weights of whole networks: the angle of RLNAS itself.

Source: RLNAS, Zhang et al. 2021. Sums for each op give the angles of all networks at once.
"""

from dna_tf.common import checks
from dna_tf.space import angle_sums
from dna_tf.supernet import cell_angles, whole_network

# Where the seeds of a cell's random directions have block and cell.
_SEEDS = (900, 0)


def whole_angles(trained, parts=angle_sums.PARTS[0]):
    """The sums of all ops of a whole network, with those of the controls.

    The stem counts with the first block; the head's convolution and the classifier, whose bias
    counts with `"all"` only, count with the last block. So angles of networks are sums over
    blocks, as those of cells are.

    Args:
        trained: a `whole_files.TrainedWhole`.
        parts: which weights count, one of `angle_sums.PARTS`.

    Returns:
        A dict from `(block, 0)` to `angle_sums.CellAngle`.

    Raises:
        cell_angles.NotTrained: the weights are the first ones.
        ValueError: they do not come from the first weights of its seed, or are not finite.
    """
    checks.choose(parts, angle_sums.PARTS, "choice of weights")
    space, task, seed = trained.space, trained.task, trained.seed
    units, classifier = whole_network.network_units(space, task)
    units = [*units, [classifier]]
    first = whole_network.first_rows(space, task, seed)
    fresh = whole_network.first_rows(space, task, seed + 1)
    cell_angles.check_trained(trained, units, first, seed)
    stem = len(units) - 2 - sum(block.cells[0].layers for block in space.blocks)
    computed, start = {}, 0
    for b, block in enumerate(space.blocks):
        count = block.cells[0].layers + (stem if b == 0 else 0)
        count += 2 if b + 1 == len(space.blocks) else 0
        sums = {variant: [] for variant in angle_sums.VARIANTS}
        for u in range(start, start + count):
            is_fixed = u < stem or u >= len(units) - 2
            of_unit = cell_angles.unit_sums(
                units[u],
                first[u],
                trained.weights[u],
                fresh[u],
                parts,
                [seed, *_SEEDS, u],
                is_fixed,
            )
            for variant, of_ops in of_unit.items():
                sums[variant].append(of_ops)
        start += count
        computed[b, 0] = angle_sums.CellAngle(parts, sums)
    return computed
