"""Models that give logits: from models that end in a softmax, as most files of users do."""

import keras

from dna_tf.models import copies, graph


def with_logits(model):
    """Returns a model that gives the logits of a classifier, the scores before any softmax.

    Args:
        model: a functional `keras.Model` from one tensor to scores or probabilities
            `(batch, classes)`.

    Returns:
        `model` itself if it ends in no softmax; otherwise a model with the same layers, of
        which only the last one is new.

    Raises:
        ValueError: its answers are no distribution over classes: one score, or a sigmoid for
            each class.
    """
    last = graph.nodes(graph.functional(model))[-1].layer
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    outputs = model.output.shape
    if len(outputs) != 2 or outputs[-1] is None or outputs[-1] < 2:
        raise ValueError(
            f"The teacher {model.name!r} returns {tuple(outputs)}. Expected one score for each of "
            "two or more classes, (batch, classes): its answers are compared as a distribution "
            "over classes."
        )
    is_softmax = type(last).__name__ == "Softmax" or activation == "softmax"
    if not is_softmax:
        if activation != "linear":
            raise ValueError(
                f"The answers of the teacher {model.name!r} are no distribution over classes: its "
                f"last layer {last.name!r} has the activation {activation}. Expected logits or a "
                "softmax. A classifier of several labels for an image cannot be taken."
            )
        return model
    (call,) = [call for call in graph.calls([model.output]) if call.operation is last]
    if isinstance(last, keras.layers.Activation) or type(last).__name__ == "Softmax":
        return keras.Model(model.input, call.input_tensors[0], name=model.name)
    new = copies.rebuild(last, model.name, last.name, _without_activation)
    logits = new(call.input_tensors[0])
    copies.copy_variables(last, new)
    return keras.Model(model.input, logits, name=model.name)


def _without_activation(fields):
    return {**fields, "activation": "linear"}
