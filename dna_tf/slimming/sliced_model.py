"""A model in several widths: one set of kernels, batch norms of each width, stock models out.

A narrow model computes with the first channels of each channel group. Kernels are shared, so a
training of all widths moves them together. Batch norms are private: the statistics of a narrow
map are not those of the wide one.

Source: slimmable networks (Yu et al., 2019); PWKD takes such sub-networks of a teacher as its
first teachers.
"""

import keras
import numpy as np

from dna_tf.common import checks
from dna_tf.models import copies, graph, plain_models
from dna_tf.slimming import channel_groups, sliced_layers


class SlicedModel:
    """A functional Keras model in several widths.

    Args:
        model: a functional or sequential `keras.Model` from images to scores. It is the whole one:
            its layers and weights are used and not copied, unless it has models inside it.
        widths: shares of the channels, ascending, in (0, 1]; 1 is added if it is missing.

    Attributes:
        whole: the functional `keras.Model` of width 1.
        groups: its `channel_groups.ChannelGroups`.
        widths: all widths, ascending; the last one is 1.
        models: a dict from width to a `keras.Model` that shares the kernels of `whole`; that of
            width 1 is `whole`.

    Raises:
        ValueError: the widths do not rise, two keep the same channels, or the model has a layer
            whose channels cannot be left out.
    """

    def __init__(self, model, widths):
        self.widths = check_widths(widths)
        self.whole = graph.functional(plain_models.flat(model))
        self.groups = channel_groups.ChannelGroups(self.whole)
        kept = [[self.groups.kept(g, width) for g in self.groups.sizes] for width in self.widths]
        for width, narrow, wide in zip(self.widths, kept, kept[1:], strict=False):
            if narrow == wide:
                raise ValueError(
                    f"The width {width} keeps the same channels of {self.whole.name!r} as the next "
                    f"one (counts are multiples of {channel_groups.DIVISOR}). Leave one of them "
                    f"out. Received: {self.widths}"
                )
        self.models = {width: self._narrow(width) for width in self.widths[:-1]}
        self.models[1.0] = self.whole

    @property
    def trainable_variables(self):
        """Those of all widths, each once: those of `whole` first."""
        variables = {}
        for width in reversed(self.widths):
            for variable in self.models[width].trainable_variables:
                variables.setdefault(id(variable), variable)
        return list(variables.values())

    def export(self, width):
        """A stock Keras model of one width, with weights of its own.

        Args:
            width: one of `widths`.

        Returns:
            A functional `keras.Model` that any Keras loads, with the names of `whole`'s layers.
        """
        model = self.models[checks.choose(width, self.widths, "width")]

        def stock(operation):
            if not isinstance(operation, keras.Layer):
                return copies.rebuild(operation, self.whole.name, operation.name)
            return self._rebuilt(operation, width)

        exported = self._cloned(stock, self._name(width))
        for layer in exported.layers:
            trained = model.get_layer(layer.name)
            sliced = isinstance(trained, tuple(sliced_layers.KINDS.values()))
            layer.set_weights(trained.parts() if sliced else trained.get_weights())
        copies.finalize(exported)
        return exported

    def num_params(self, width):
        """The parameters of a width by closed form: from the groups alone."""
        total = 0
        for name, (read, gives) in self.groups.layers.items():
            layer = self.whole.get_layer(name)
            reads, gives = (len(self.groups.indices(each, width)) for each in (read, gives))
            total += _params(layer, reads, gives)
        return total

    def _narrow(self, width):
        """The model of a width that shares the kernels of the whole one."""

        def narrow(operation):
            if not isinstance(operation, keras.Layer):
                return copies.rebuild(operation, self.whole.name, operation.name)
            if type(operation).__name__ in sliced_layers.KINDS:
                read, gives = (
                    self.groups.indices(layout, width)
                    for layout in self.groups.layers[operation.name]
                )
                return sliced_layers.sliced(operation, read, gives, operation.name)
            return self._rebuilt(operation, width)

        model = self._cloned(narrow, self._name(width))
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                _, gives = self.groups.layers[layer.name]
                kept = self.groups.indices(gives, width)
                whole = self.whole.get_layer(layer.name)
                for variable, first in zip(layer.variables, whole.variables, strict=True):
                    variable.assign(keras.ops.convert_to_numpy(first)[kept])
            elif not isinstance(layer, tuple(sliced_layers.KINDS.values())) and layer.weights:
                copies.copy_variables(self.whole.get_layer(layer.name), layer)
        return model

    def _cloned(self, make, name):
        model = keras.models.clone_model(self.whole, clone_function=make)
        return keras.Model(model.input, model.output, name=name)

    def _rebuilt(self, layer, width):
        """A layer without kernels, or a stock one with the sizes of a width."""
        fields = layer.get_config()
        if layer.name in self.groups.layers:
            _, gives = self.groups.layers[layer.name]
            fields = sliced_layers.resized_config(layer, len(self.groups.indices(gives, width)))
        if isinstance(layer, keras.layers.Reshape):
            layout = self.groups.layouts[id(layer.output)]
            count = len(self.groups.indices(layout, width))
            fields["target_shape"] = (*fields["target_shape"][:-1], count)
        return copies.rebuild(layer, self.whole.name, layer.name, lambda _: fields)

    def _name(self, width):
        return f"{self.whole.name}_{round(100 * width)}" if width < 1 else self.whole.name


def check_widths(widths):
    """Checks widths and adds 1.

    Returns:
        A tuple of floats, ascending, that ends with 1.

    Raises:
        ValueError: there are none, or they are out of range or do not rise.
    """
    values = tuple(widths)
    good = bool(values) and all(checks.is_number(v) and 0 < v <= 1 for v in values)
    if not good or any(b <= a for a, b in zip(values, values[1:], strict=False)):
        raise ValueError(
            "Widths are shares of the channels that rise, such as (0.25, 0.5, 0.75, 1). Received: "
            f"{checks.short_repr(widths)}"
        )
    values = tuple(float(value) for value in values)
    return values if values[-1] == 1.0 else (*values, 1.0)


def _params(layer, reads, gives):
    """Trainable parameters and moving statistics of a layer with these numbers of channels."""
    kind = type(layer).__name__
    if kind == "BatchNormalization":
        return gives * (2 + layer.scale + layer.center)
    bias = gives if layer.use_bias else 0
    if kind == "Dense":
        return reads * gives + bias
    taps = int(np.prod(layer.kernel_size))
    if kind == "DepthwiseConv2D":
        return taps * reads * layer.depth_multiplier + bias
    if kind == "SeparableConv2D":
        wide = reads * layer.depth_multiplier
        return taps * wide + wide * gives + bias
    return taps * (reads // layer.groups) * gives + bias
