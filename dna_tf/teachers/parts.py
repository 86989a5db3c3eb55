"""The costs of a cut teacher's own blocks and of its head, for assembled networks."""

import math

import keras

from dna_tf.models import keras_files, model_costs, peak_memory
from dna_tf.space import assemblies, layer_specs, part_costs

_BYTES_OF_UNIT = 12  # of a dense layer in an int8 TFLite file: bias, scale and zero point


def facts(teacher):
    """What an assembly knows of a teacher: fingerprint, cuts, shapes and costs.

    Args:
        teacher: a `cutting.Teacher`.

    Returns:
        An `assemblies.TeacherFacts`. The MACs of a part with layers that cannot be counted are
        `None`.
    """
    return assemblies.TeacherFacts(
        fingerprint=keras_files.weights_fingerprint(teacher.model),
        cuts=tuple(teacher.cuts),
        shapes=teacher.shapes,
        num_classes=int(teacher.model.output.shape[-1]),
        blocks=tuple(
            costs(block, shape)
            for block, shape in zip(teacher.blocks, teacher.shapes[:-1], strict=True)
        ),
        head=costs(teacher.head, teacher.shapes[-1]),
    )


def costs(model, input_shape):
    """The costs of a part of a teacher.

    Args:
        model: a functional `keras.Model`.
        input_shape: `(height, width, channels)` of the map or image that it reads.

    Returns:
        A dict from each name of `part_costs.COSTS` to a number; `macs` may be `None`.
    """
    return {
        "params": model_costs.count_params(model),
        "macs": model_costs.total_macs(model, input_shape),
        "int8_kb": int8_bytes(model) / part_costs.KB,
        "peak_kb": peak_memory.peak_elements(model, input_shape) / part_costs.KB,
    }


def int8_bytes(model):
    """Bytes of a model's weights in an int8 TFLite file, where batch norm is in convolutions."""
    total, seen = 0, set()
    for layer in model._flatten_layers(include_self=False):
        if id(layer) in seen or isinstance(layer, keras.Model | keras.layers.BatchNormalization):
            continue
        seen.add(id(layer))
        total += _layer_bytes(layer)
    return total


def _layer_bytes(layer):
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        channels = layer.kernel.shape[2] * layer.depth_multiplier
        return layer_specs.int8_kernel_bytes(math.prod(layer.kernel.shape), channels)
    if isinstance(layer, keras.layers.Conv2D):
        return layer_specs.int8_kernel_bytes(math.prod(layer.kernel.shape), layer.filters)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape) + _BYTES_OF_UNIT * layer.units
    return sum(math.prod(weight.shape) for weight in layer.weights)
