"""Makes students of weights from other frameworks: names, layouts, padding, preprocessing.

A `Scheme` describes how another code base stores and runs these networks. The scheme `timm` is
that of the DNA authors' released models and of timm's EfficientNets; for another code base write
a `Scheme` and add it to `SCHEMES`.
"""

import collections.abc
import dataclasses
import re

import keras
import numpy as np

from dna_tf.common import checks
from dna_tf.models import preprocessing, students
from dna_tf.space import network_layers

# For each layout of a foreign weight, the order of its axes that gives ours.
LAYOUTS = {
    "conv": (2, 3, 1, 0),  # (out, in, height, width) -> (height, width, in, out)
    "depthwise": (2, 3, 0, 1),  # (channels, 1, height, width) -> (height, width, channels, 1)
    "dense": (1, 0),  # (out, in) -> (in, out)
    "vector": (0,),
}
_LISTED = 6  # names of a kind in an error


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a code base names, stores and runs the networks.

    Args:
        weights: function from an `architectures.Architecture` to a dict from the path of our
            variable, such as `"block1_layer1_dw_conv/kernel"`, to `(foreign name, layout)`,
            with a layout of `LAYOUTS`; it has every variable of the student once.
        ignored: pattern of foreign names that are not needed.
        padding: `"symmetric"` if a convolution with stride 2 pads `kernel // 2` on all sides,
            as in PyTorch; `"same"` as in TensorFlow, which pads more at the end.
        preprocessing: preprocessing of images in 0..255, one of `preprocessing.KINDS`.
        norm_epsilon: added to the variance by every batch norm.
    """

    weights: collections.abc.Callable
    ignored: str
    padding: str
    preprocessing: str
    norm_epsilon: float


# Names of convolution and batch norm in stem and head.
_TIMM_CONVS = {"stem": ("conv_stem", "bn1"), "head": ("conv_head", "bn2")}


def timm_weights(arch):
    """The names in timm's EfficientNets for an architecture; see `Scheme`.

    `blocks.0` holds the stem's layers without expansion, `blocks.B` those of block B.

    Source: names of the authors' state dicts (GenEfficientNet of pytorch-image-models).
    """
    names = {}
    for layer in network_layers.layers(arch):
        if layer.name in _TIMM_CONVS:
            conv, norm = _TIMM_CONVS[layer.name]
            names[f"{layer.name}_conv/kernel"] = (f"{conv}.weight", "conv")
            names |= _norm(f"{layer.name}_bn", norm)
        else:
            names |= _mbconv(layer.spec, layer.name, f"blocks.{layer.block}.{layer.index}")
    names["classifier/kernel"] = ("classifier.weight", "dense")
    names["classifier/bias"] = ("classifier.bias", "vector")
    return names


def _mbconv(spec, ours, theirs):
    """An MBConv: in timm an InvertedResidual, or without expansion a DepthwiseSeparableConv."""
    names = ("conv_pw", "conv_dw", "conv_pwl") if spec.expand > 1 else ("conv_dw", "conv_pw")
    parts = ("expand", "dw", "project") if spec.expand > 1 else ("dw", "project")
    weights = {}
    for number, (part, name) in enumerate(zip(parts, names, strict=True), 1):
        layout = "depthwise" if part == "dw" else "conv"
        weights[f"{ours}_{part}_conv/kernel"] = (f"{theirs}.{name}.weight", layout)
        weights |= _norm(f"{ours}_{part}_bn", f"{theirs}.bn{number}")
        if part == "dw" and spec.se_width:
            for role in ("reduce", "expand"):
                place = f"{theirs}.se.conv_{role}"
                weights[f"{ours}_se_{role}/kernel"] = (f"{place}.weight", "conv")
                weights[f"{ours}_se_{role}/bias"] = (f"{place}.bias", "vector")
    return weights


def _norm(ours, theirs):
    return {
        f"{ours}/{mine}": (f"{theirs}.{name}", "vector")
        for mine, name in (
            ("gamma", "weight"),
            ("beta", "bias"),
            ("moving_mean", "running_mean"),
            ("moving_variance", "running_var"),
        )
    }


SCHEMES = {
    "timm": Scheme(timm_weights, r".*\.num_batches_tracked", "symmetric", "torch", 1e-5),
    # timm's tf_efficientnet_*: the same names, TensorFlow's padding and epsilon.
    "timm_tf": Scheme(timm_weights, r".*\.num_batches_tracked", "same", "torch", 1e-3),
}


def get_scheme(name):
    """Returns a scheme by name.

    Raises:
        ValueError: there is no scheme of that name; near names are given.
    """
    if name not in SCHEMES:
        raise ValueError(
            f"There is no scheme {name!r}.{checks.near_names(name, SCHEMES)} Known: {[*SCHEMES]}"
        )
    return SCHEMES[name]


def convert(arch, arrays, scheme):
    """Makes a student with weights of another code base.

    Args:
        arch: an `architectures.Architecture` of the same network.
        arrays: dict from foreign name to array.
        scheme: a `Scheme`.

    Returns:
        A functional `keras.Model` from images in 0..255 to logits, with the layer names
        of `students.build_student` and the padding and preprocessing of the scheme.

    Raises:
        ValueError: weights are missing, unexpected, of other shapes or not finite; the
            message lists them.
    """
    frame = dataclasses.replace(arch.frame, norm_epsilon=scheme.norm_epsilon)
    model = foreign_form(students.build_student(dataclasses.replace(arch, frame=frame)), scheme)
    variables, expected = {v.path: v for v in model.variables}, scheme.weights(arch)
    if variables.keys() != expected.keys():
        raise ValueError(
            f"The scheme does not name every variable of {arch.name!r} once. Differing: "
            f"{checks.some(sorted(variables.keys() ^ expected.keys()), _LISTED)}"
        )
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    values = match(arrays, expected, shapes, scheme)
    for path, variable in variables.items():
        variable.assign(values[path])
    return model


def match(arrays, expected, shapes, scheme):
    """Gives arrays our names and layouts, and checks that they are complete.

    Args:
        arrays: dict from foreign name to array.
        expected: what `Scheme.weights` returns.
        shapes: dict from the path of our variable to its shape.
        scheme: a `Scheme`.

    Returns:
        A dict from the path of our variable to a float32 array.

    Raises:
        ValueError: as `convert`.
    """
    arrays = _without_prefix(arrays)
    names = {name for name, _ in expected.values()}
    problems, values, wrong, broken = [], {}, [], []
    missing = [name for name, _ in expected.values() if name not in arrays]
    unexpected = [n for n in arrays if n not in names and not re.fullmatch(scheme.ignored, n)]
    for path, (name, layout) in expected.items():
        if name not in arrays:
            continue
        array, axes = np.asarray(arrays[name]), LAYOUTS[layout]
        foreign_shape = tuple(np.array(shapes[path])[np.argsort(axes)].tolist())
        if array.shape != foreign_shape:
            wrong.append(f"{name} {array.shape} instead of {foreign_shape}")
        elif not np.issubdtype(array.dtype, np.integer) and not np.all(
            np.isfinite(array.astype(np.float32))
        ):
            broken.append(name)
        else:
            values[path] = np.transpose(array, axes).astype(np.float32)
    for problem, listed in (
        ("missing", missing),
        ("not expected", unexpected),
        ("of another shape", wrong),
        ("with values that are not finite", broken),
    ):
        if listed:
            problems.append(f"{len(listed)} {problem}: {checks.some(listed, _LISTED)}")
    if problems:
        raise ValueError(
            f"The weights do not fit: of {len(expected)} expected, {'; '.join(problems)}. Choose "
            "the architecture, the number of classes and the scheme that they were trained with."
        )
    return values


def _without_prefix(arrays):
    """Removes the prefix `module.` that training on several GPUs adds to all names."""
    if all(name.startswith("module.") for name in arrays):
        return {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays


def foreign_form(model, scheme):
    """Copies a student, with the padding and preprocessing of a scheme.

    Args:
        model: a `keras.Model` of `students.build_student`.
        scheme: a `Scheme`.

    Returns:
        A `keras.Model` with the same weights; layers keep their names, paddings are called
        `NAME_pad`.

    Raises:
        ValueError: the preprocessing needs three channels.
    """
    pads = {}
    if scheme.padding == "symmetric":
        for layer in model.layers:
            # With stride 1 and an odd kernel both kinds of padding are equal.
            if max(np.atleast_1d(getattr(layer, "strides", 1))) > 1:
                pads[layer.name] = layer.kernel_size[0] // 2

    def clone(layer):
        fields = layer.get_config()
        if pads.get(layer.name) is not None:
            fields["padding"] = "valid"
        return type(layer).from_config(fields)

    def call(layer, *args, **kwargs):
        if layer.name == "rescale":
            return preprocessing.apply(scheme.preprocessing, args[0])
        if pads.get(layer.name):
            pad = keras.layers.ZeroPadding2D(pads[layer.name], name=f"{layer.name}_pad")
            args = (pad(args[0]), *args[1:])
        return layer(*args, **kwargs)

    image = keras.Input(model.input.shape[1:], name="image")
    copy = keras.models.clone_model(
        model, input_tensors=image, clone_function=clone, call_function=call
    )
    copy = keras.Model(image, copy.output, name=model.name)
    for layer in model.layers:
        if layer.variables:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy
