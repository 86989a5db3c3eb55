"""The channel groups of a functional Keras model: which channels can only be left out together.

Where two maps are added, a channel of one is a channel of the other. So the channels of a model
fall into groups, and a narrower model keeps the first channels of each group. A concatenation has
the channels of several groups, one after another.

Source: slimmable networks (Yu et al., 2019) keep the first channels. The groups, and what is
refused, are our choice.
"""

import dataclasses

import keras
import numpy as np

from dna_tf.models import graph

DIVISOR = 8
# Layers and operations without weights that leave every channel where it is.
_SAME = frozenset(
    ("Activation AveragePooling2D BatchNormalization Cropping2D Dropout ELU Elu "
     "GlobalAveragePooling2D GlobalMaxPooling2D HardSigmoid HardSilu Identity LeakyReLU LeakyRelu "
     "MaxPooling2D ReLU Relu Relu6 Rescaling Resizing Sigmoid Silu Softmax SpatialDropout2D Tanh "
     "UpSampling2D ZeroPadding2D").split()
)  # fmt: skip
# Those that combine maps channel by channel.
_TOGETHER = frozenset("Add Average Divide Maximum Minimum Multiply Subtract TrueDivide".split())
_WITH_KERNELS = frozenset("Conv2D Dense DepthwiseConv2D SeparableConv2D".split())
_KINDS = ", ".join(
    sorted({*_WITH_KERNELS, *_TOGETHER, *_SAME, "Concatenate", "Flatten", "Reshape"})
)


@dataclasses.dataclass(frozen=True)
class Layout:
    """The groups of the channels of a tensor, in order.

    Args:
        segments: `(group, fold)` of each part: `fold` channels for each channel of the group.
        positions: how many times all of them follow one another: the pixels of a map that was
            flattened; 1 for others.
    """

    segments: tuple[tuple[int, int], ...]
    positions: int = 1


class ChannelGroups:
    """The groups of a model.

    Args:
        model: a functional `keras.Model` with channels last and one input and output, in one flat
            graph.

    Attributes:
        layers: a dict from the name of a layer with weights to `(reads, gives)`, the `Layout`s of
            the tensor that it reads and of the one that it gives.
        sizes: a dict from a group to the number of its channels.
        fixed: a dict from a group that every width keeps whole to the reason.
        layouts: a dict from the id of a symbolic tensor to its `Layout`.

    Raises:
        ValueError: the model has a layer whose channels cannot be left out; it is named.
    """

    def __init__(self, model):
        graph.check_channels_last(model, f"The model {model.name!r}")
        self.model, self.layers, self.layouts = graph.functional(model), {}, {}
        self._parents, self._sizes, self._reasons = [], [], {}
        for call in graph.calls([self.model.output]):
            layout = self._layout_of(call)
            for tensor in call.outputs:
                self.layouts[id(tensor)] = layout
        self._fix(self.layouts[id(self.model.output)], "the scores")
        roots = sorted({self._root(group) for group in range(len(self._parents))})
        self.sizes = {root: self._sizes[root] for root in roots}
        self.fixed = {self._root(group): why for group, why in sorted(self._reasons.items())}

    def kept(self, group, width):
        """How many of its first channels a group keeps at a width."""
        root = self._root(group)
        size = self.sizes[root]
        return size if root in self.fixed else kept_channels(size, width)

    def indices(self, layout, width):
        """The indices of the channels of a tensor that a width keeps: an int array, ascending."""
        parts, start = [], 0
        for group, fold in layout.segments:
            parts.append(start + np.arange(fold * self.kept(group, width)))
            start += fold * self._sizes[self._root(group)]
        one = np.concatenate(parts)
        return (np.arange(layout.positions)[:, None] * start + one).ravel()

    def size(self, layout):
        """The number of channels of a tensor."""
        sizes = [fold * self._sizes[self._root(group)] for group, fold in layout.segments]
        return layout.positions * sum(sizes)

    # The walk through the graph

    def _layout_of(self, call):
        operation = call.operation
        kind = type(operation).__name__
        read = [self.layouts[id(tensor)] for tensor in call.input_tensors]
        if isinstance(operation, keras.layers.InputLayer):
            layout = self._new(call.outputs[0].shape[-1])
            self._fix(layout, "the image")
            return layout
        if not type(operation).__module__.startswith("keras."):
            self._refuse(operation, "is no layer of Keras")
        if kind in _WITH_KERNELS:
            return self._with_kernel(operation, kind, read[0], call)
        if kind in _TOGETHER:
            return self._together(read, call)
        if kind == "Concatenate":
            return self._concatenated(operation, read, call)
        if kind == "Flatten":
            pixels = int(np.prod(call.input_tensors[0].shape[1:-1], dtype=int))
            return Layout(read[0].segments, read[0].positions * pixels)
        if kind == "Reshape":
            return self._reshaped(operation, read[0], call)
        if kind in _SAME:
            return self._same(operation, kind, read[0], call)
        if kind == "Normalization":
            self._fix(read[0], f"the layer {operation.name!r} has numbers for each channel")
            return read[0]
        return self._refuse(operation, "mixes channels or has weights in a way that is not known")

    def _with_kernel(self, layer, kind, read, call):
        if kind in ("Conv2D", "SeparableConv2D") and getattr(layer, "groups", 1) != 1:
            self._fix(read, f"the layer {layer.name!r} is a grouped convolution")
            gives = self._new(layer.filters)
            self._fix(gives, f"the layer {layer.name!r} is a grouped convolution")
        elif kind == "DepthwiseConv2D":
            fold = layer.depth_multiplier
            gives = Layout(tuple((group, fold * before) for group, before in read.segments))
        else:
            gives = self._new(call.outputs[0].shape[-1])
        return self._remember(layer, read, gives)

    def _same(self, layer, kind, read, call):
        if kind == "BatchNormalization":
            axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
            if axis not in (-1, len(call.outputs[0].shape) - 1):
                self._refuse(layer, f"normalises the axis {axis}, not the channels")
            return self._remember(layer, read, read)
        if kind == "Rescaling" and max(np.size(layer.scale), np.size(layer.offset)) > 1:
            self._fix(read, f"the layer {layer.name!r} has a scale for each channel")
        return read

    def _together(self, read, call):
        """Joins the groups of maps that are combined channel by channel."""
        layouts = [
            layout
            for layout, tensor in zip(read, call.input_tensors, strict=True)
            if tensor.shape[-1] == call.outputs[0].shape[-1]
        ]
        for layout in read:
            if layout not in layouts:  # one channel for all
                self._fix(layout, f"{call.operation.name!r} applies it to all channels")
        first, *others = layouts
        for other in others:
            self._join(first, other, call.operation.name)
        return first

    def _concatenated(self, layer, read, call):
        axis, rank = layer.axis, len(call.outputs[0].shape)
        if axis not in (-1, rank - 1):
            first, *others = read
            for other in others:
                self._join(first, other, layer.name)
            return first
        if any(layout.positions != 1 for layout in read):
            self._refuse(layer, "joins maps that were flattened")
        return Layout(tuple(segment for layout in read for segment in layout.segments))

    def _reshaped(self, layer, read, call):
        before, after = call.input_tensors[0].shape[1:], call.outputs[0].shape[1:]
        if before[-1] != after[-1] or int(np.prod(before)) != before[-1]:
            self._refuse(layer, f"reshapes {before} to {after}; only (C,) to (1, 1, C) is taken")
        return read

    def _remember(self, layer, read, gives):
        if layer.name in self.layers:  # called again: the same channels in every call
            before_read, before_gives = self.layers[layer.name]
            self._join(before_read, read, layer.name)
            self._join(before_gives, gives, layer.name)
        self.layers.setdefault(layer.name, (read, gives))
        return gives

    # Groups

    def _new(self, size):
        self._parents.append(len(self._parents))
        self._sizes.append(int(size))
        return Layout(((len(self._parents) - 1, 1),))

    def _root(self, group):
        while self._parents[group] != group:
            group = self._parents[group]
        return group

    def _join(self, first, second, name):
        """Joins two layouts of equal size; where their parts differ, both stay whole."""
        same = first.positions == second.positions and len(first.segments) == len(second.segments)
        same = same and all(
            fold == other_fold and self._sizes[self._root(group)] == self._sizes[self._root(other)]
            for (group, fold), (other, other_fold) in zip(
                first.segments, second.segments, strict=False
            )
        )
        if not same:
            for layout in (first, second):
                self._fix(layout, f"{name!r} combines maps whose channels are grouped otherwise")
            return
        for (group, _), (other, _) in zip(first.segments, second.segments, strict=True):
            self._parents[self._root(other)] = self._root(group)

    def _fix(self, layout, reason):
        for group, _ in layout.segments:
            self._reasons.setdefault(group, reason)

    def _refuse(self, operation, why):
        raise ValueError(
            f"The layer {operation.name!r} ({type(operation).__name__}) of the model "
            f"{self.model.name!r} {why}, so the model cannot be made narrower. Layers that work: "
            f"{_KINDS}."
        )


def kept_channels(size, width, divisor=DIVISOR):
    """How many of the first channels a width keeps.

    Args:
        size: channels of the whole model.
        width: share in (0, 1].
        divisor: the count is a multiple of it, unless there are fewer channels.

    Returns:
        At least 1 and at most `size`.
    """
    if width >= 1:
        return size
    step = divisor if size >= divisor else 1
    return min(size, max(step, int(width * size / step + 0.5) * step))
