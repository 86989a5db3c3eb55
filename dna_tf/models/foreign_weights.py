"""Weights of other frameworks as students: names, layouts, padding and preprocessing.

A `Scheme` says how another code base writes the networks that an architecture can state. The
one here, `timm`, is that of the DNA authors' released models and of timm's EfficientNets; for
another code base write a `Scheme` of its own and add it to `SCHEMES`.
"""

import collections.abc
import dataclasses
import re

import keras
import numpy as np

from dna_tf.common import checks, progress
from dna_tf.models import model_costs, preprocessing, students
from dna_tf.space import network_layers

# How a weight lies there -> the axes that make it ours.
LAYOUTS = {
    "conv": (2, 3, 1, 0),  # (out, in, height, width) -> (height, width, in, out)
    "depthwise": (2, 3, 0, 1),  # (channels, 1, height, width) -> (height, width, channels, 1)
    "dense": (1, 0),  # (out, in) -> (in, out)
    "vector": (0,),
}
_LISTED = 6  # names of a kind in an error


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a code base names, lays out and runs the networks.

    Args:
        weights: function from an `architectures.Architecture` to a dict from the path of
            our variable, such as `"block1_layer1_dw_conv/kernel"`, to `(name there,
            layout)`, layout of `LAYOUTS`; every variable of the student once.
        ignored: pattern of names there that hold nothing we need.
        padding: `"symmetric"` where a convolution with stride 2 pads `kernel // 2` on all
            sides, as PyTorch does, or `"same"`, TensorFlow's, which pads more at the end.
        preprocessing: what the network does to 0..255 first, of `preprocessing.KINDS`.
        norm_epsilon: added to the variance by every batch norm.
    """

    weights: collections.abc.Callable
    ignored: str
    padding: str
    preprocessing: str
    norm_epsilon: float


_TIMM_CONVS = {"stem": ("conv_stem", "bn1"), "head": ("conv_head", "bn2")}


def timm_weights(arch):
    """The names of timm's EfficientNets for an architecture; see `Scheme`.

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
    """An MBConv: with expansion an InvertedResidual there, else a DepthwiseSeparableConv."""
    names = ("conv_pw", "conv_dw", "conv_pwl") if spec.expand > 1 else ("conv_dw", "conv_pw")
    parts = ("expand", "dw", "project") if spec.expand > 1 else ("dw", "project")
    found = {}
    for number, (part, name) in enumerate(zip(parts, names, strict=True), 1):
        layout = "depthwise" if part == "dw" else "conv"
        found[f"{ours}_{part}_conv/kernel"] = (f"{theirs}.{name}.weight", layout)
        found |= _norm(f"{ours}_{part}_bn", f"{theirs}.bn{number}")
        if part == "dw" and spec.se_width:
            for role in ("reduce", "expand"):
                place = f"{theirs}.se.conv_{role}"
                found[f"{ours}_se_{role}/kernel"] = (f"{place}.weight", "conv")
                found[f"{ours}_se_{role}/bias"] = (f"{place}.bias", "vector")
    return found


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
    # timm's tf_efficientnet_*: the same names, with TensorFlow's padding and epsilon.
    "timm_tf": Scheme(timm_weights, r".*\.num_batches_tracked", "same", "torch", 1e-3),
}


def get_scheme(name):
    """The scheme of a name.

    Raises:
        ValueError: there is none; near names are given.
    """
    if name not in SCHEMES:
        raise ValueError(
            f"There is no scheme {name!r}.{checks.near_names(name, SCHEMES)} Known: {[*SCHEMES]}"
        )
    return SCHEMES[name]


def convert(arch, arrays, scheme):
    """Makes a student with weights that another code base trained.

    Args:
        arch: an `architectures.Architecture` of the same network.
        arrays: dict from name to array, as that code base has them.
        scheme: a `Scheme`.

    Returns:
        A functional `keras.Model` from images in 0..255 to logits, with the layer names
        of `students.build_student` and the padding and preprocessing of the scheme.

    Raises:
        ValueError: weights are missing, are not expected, have other shapes or are no
            numbers; the message lists them.
    """
    frame = dataclasses.replace(arch.frame, norm_epsilon=scheme.norm_epsilon)
    model = foreign_form(students.build_student(dataclasses.replace(arch, frame=frame)), scheme)
    variables, expected = {v.path: v for v in model.variables}, scheme.weights(arch)
    if variables.keys() != expected.keys():
        raise ValueError(
            f"The scheme does not name every variable of {arch.name!r} once. Differing: "
            f"{checks.some(sorted(variables.keys() ^ expected.keys()), _LISTED)}"
        )
    made = match(arrays, expected, {path: tuple(v.shape) for path, v in variables.items()}, scheme)
    for path, variable in variables.items():
        variable.assign(made[path])
    return model


def match(arrays, expected, shapes, scheme):
    """Brings arrays into our names and layouts, and checks that they are all there.

    Args:
        arrays: dict from name there to array.
        expected: as `Scheme.weights` gives it.
        shapes: dict from the path of our variable to its shape.
        scheme: a `Scheme`.

    Returns:
        A dict from the path of our variable to a float32 array.

    Raises:
        ValueError: as `convert`.
    """
    arrays = _without_prefix(arrays)
    known = {name for name, _ in expected.values()}
    problems, made, wrong, broken = [], {}, [], []
    missing = [name for name, _ in expected.values() if name not in arrays]
    unexpected = [n for n in arrays if n not in known and not re.fullmatch(scheme.ignored, n)]
    for path, (name, layout) in expected.items():
        if name not in arrays:
            continue
        array, axes = np.asarray(arrays[name]), LAYOUTS[layout]
        wanted = tuple(np.array(shapes[path])[np.argsort(axes)].tolist())  # as it lies there
        if array.shape != wanted:
            wrong.append(f"{name} {array.shape} instead of {wanted}")
        elif not np.issubdtype(array.dtype, np.integer) and not np.all(
            np.isfinite(array.astype(np.float32))
        ):
            broken.append(name)
        else:
            made[path] = np.transpose(array, axes).astype(np.float32)
    for what, names in (
        ("missing", missing),
        ("not expected", unexpected),
        ("of another shape", wrong),
        ("with values that are no numbers", broken),
    ):
        if names:
            problems.append(f"{len(names)} {what}: {checks.some(names, _LISTED)}")
    if problems:
        raise ValueError(
            f"The weights do not fit: of {len(expected)} expected, {'; '.join(problems)}. Choose "
            "the architecture, the number of classes and the scheme that they were trained as."
        )
    return made


def _without_prefix(arrays):
    """Without the `module.` that training on several GPUs leaves before all names."""
    if all(name.startswith("module.") for name in arrays):
        return {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays


def foreign_form(model, scheme):
    """A student's graph with the padding and preprocessing of a scheme, and its weights.

    Args:
        model: what `students.build_student` returned.
        scheme: a `Scheme`.

    Returns:
        A `keras.Model`; layers keep their names, paddings are called `NAME_pad`.

    Raises:
        ValueError: the preprocessing needs three channels.
    """
    pads = {}
    if scheme.padding == "symmetric":
        for layer in model.layers:
            # With stride 1 and an odd kernel both pad alike.
            if max(np.atleast_1d(getattr(layer, "strides", 1))) > 1:
                pads[layer.name] = layer.kernel_size[0] // 2

    def clone(layer):
        config = layer.get_config()
        if pads.get(layer.name) is not None:
            config["padding"] = "valid"
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        if layer.name == "rescale":
            return preprocessing.apply(scheme.preprocessing, args[0])
        if pads.get(layer.name):
            pad = keras.layers.ZeroPadding2D(pads[layer.name], name=f"{layer.name}_pad")
            args = (pad(args[0]), *args[1:])
        return layer(*args, **kwargs)

    image = keras.Input(model.input.shape[1:], name="image")
    made = keras.models.clone_model(
        model, input_tensors=image, clone_function=clone, call_function=call
    )
    made = keras.Model(image, made.output, name=model.name)
    for layer in model.layers:
        if layer.variables:
            made.get_layer(layer.name).set_weights(layer.get_weights())
    return made


def say(arch, model):
    """Says what was made of the weights."""
    trainable = model_costs.count_params(model)
    progress.say(f"{arch.name}: {len(model.variables)} arrays, {trainable:,} trainable parameters")
