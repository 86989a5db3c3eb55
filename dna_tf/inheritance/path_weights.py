"""From the packed weights of a trained path to Keras layers: the same function, layer by layer.

Batch norm is calibrated along the chain: each layer's statistics are those of what it will really
read, batches of training images that went through all layers before it.
"""

import dataclasses

import keras

from dna_tf.models import students
from dna_tf.space import layer_specs, network_layers
from dna_tf.supernet import cell_models, packed_ops


@dataclasses.dataclass(frozen=True)
class CalibratedPath:
    """A path of a trained cell with statistics of batch norm.

    Args:
        names: name of each layer, such as `"block1_stem"` or `"block1_layer2"`.
        specs: what each layer computes, `layer_specs` as the cell has them.
        rows: the packed weights of each, float32 arrays.
        statistics: for each layer `(mean, variance)` of its batch norms in order.
        rescales: whether it reads images in 0..255, which are brought to -1..1 first.
    """

    names: tuple[str, ...]
    specs: tuple
    rows: tuple
    statistics: tuple
    rescales: bool


def calibrate(cell, path, batches):
    """Runs a path of a cell on batches, with the statistics that they have themselves.

    Args:
        cell: a trained `cell_models.TrainableCell`.
        path: the op of each layer.
        batches: a list of what the block reads, `(batch, height, width, channels)`. The
            statistics of several batches are pooled, as if they were one.

    Returns:
        The `CalibratedPath`, and a list of its outputs, one for each batch.
    """
    number = cell.block + 1
    names, specs, rows, statistics = [], [], [], []
    carried = [cell_models.rescale(x) for x in batches] if cell.rescale else list(batches)
    for unit, op in enumerate([0] * cell.fixed_units + list(path)):
        spec, row = cell.units[unit][op], cell.rows[unit].value[op]
        pooled = packed_ops.pooled_statistics(carried, row, spec)
        run = packed_ops.compiled(spec, "rate")
        carried = [run(x, row, pooled) for x in carried]
        names.append(_name(number, unit, cell.fixed_units))
        specs.append(spec)
        rows.append(row.numpy())
        statistics.append(tuple((m.numpy(), v.numpy()) for m, v in pooled))
    return (
        CalibratedPath(tuple(names), tuple(specs), tuple(rows), tuple(statistics), cell.rescale),
        carried,
    )


def fresh(space, block, cell, path, shapes):
    """A path without weights: what `apply` makes of it has fresh ones.

    Args:
        space: a `spaces.SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        path: the op of each layer.
        shapes: of the teacher, as `network_layers.imitating_layers` takes them.

    Returns:
        A `CalibratedPath` with no rows and no statistics.
    """
    positions = network_layers.imitating_layers(space, block, cell, shapes)
    fixed = len(positions) - len(path)
    ops = [0] * fixed + list(path)
    names = tuple(_name(block + 1, unit, fixed) for unit in range(len(ops)))
    specs = tuple(candidates[op].spec for candidates, op in zip(positions, ops, strict=True))
    return CalibratedPath(names, specs, (), (), block == 0)


def _name(block, unit, fixed):
    if unit >= fixed:
        return f"block{block}_layer{unit - fixed + 1}"
    return f"block{block}_stem{'' if unit == 0 else f'_mbconv{unit}'}"


def apply(x, path):
    """Applies a path as Keras layers to a symbolic tensor.

    Args:
        x: a Keras tensor, what the block reads.
        path: a `CalibratedPath`.

    Returns:
        The output, a Keras tensor `(batch, height, width, channels)`. The layers have fresh
        weights; `assign` gives them those of the path.
    """
    if path.rescales:
        name = path.names[0].replace("_stem", "_rescale")
        x = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, name=name)(x)
    for name, spec in zip(path.names, path.specs, strict=True):
        is_conv = isinstance(spec, layer_specs.ConvSpec)
        x = (students.apply_conv if is_conv else students.apply_mbconv)(x, spec, name)
    return x


def assign(model, path):
    """Gives the layers of a path in a model its weights and statistics."""
    layers = {layer.name: layer for layer in model.layers}
    for name, spec, row, pairs in zip(
        path.names, path.specs, path.rows, path.statistics, strict=True
    ):
        weights = packed_ops.unpack(row, spec)
        for key, value in weights.items():
            part, _, kind = key.rpartition("_")
            getattr(layers[_layer_name(name, part)], kind).assign(value)
        norms = [key.rpartition("_")[0] for key in weights if key.endswith("bn_gamma")]
        for part, (mean, variance) in zip(norms, pairs, strict=True):
            layers[_layer_name(name, part)].moving_mean.assign(mean)
            layers[_layer_name(name, part)].moving_variance.assign(variance)


def _layer_name(name, part):
    return f"{name}_{part}"
