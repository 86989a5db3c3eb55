"""Copies of models in which layers of some types are of others that do the same."""

import keras

from dna_tf import graph_copy


def swap(model, kinds):
    """Copies a model, with other types of layers and the same weights in the same order.

    Args:
        model: a functional or sequential `keras.Model`; models inside it are copied too.
        kinds: dict from a layer's type to a subclass of it that the copy has instead. A
            layer of another type, or of a subclass, stays what it is.

    Returns:
        A `keras.Model` with the names, settings and weights of `model`.
    """

    def copied(layer):
        made = kinds.get(type(layer), type(layer)).from_config(layer.get_config())
        made.trainable = layer.trainable
        return made

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    graph_copy.copy_variables(model, copy)
    copy.trainable = model.trainable
    return copy
