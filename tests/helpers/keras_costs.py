"""The costs of a student, counted from the layers of its Keras model alone."""

import math

import keras

layers = keras.layers


def counted(model):
    """A dict of trainable `params`, `macs` and `authors_flops`; unknown layers are an error."""
    macs = flops = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            out = math.prod(layer.output.shape[1:])
            kernel = layer.kernel.shape
            each = kernel[0] * kernel[1]
            each *= 1 if isinstance(layer, layers.DepthwiseConv2D) else kernel[2]
            macs += out * each
            flops += out * each + (out if layer.use_bias else 0)
        elif isinstance(layer, layers.BatchNormalization):
            flops += 2 * math.prod(layer.input.shape[1:])
        elif isinstance(layer, layers.Dense):
            macs += math.prod(layer.kernel.shape)
            flops += math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.GlobalAveragePooling2D) and not layer.keepdims:
            flops += math.prod(layer.input.shape[1:])
        else:
            without_costs = (
                layers.InputLayer,
                layers.Rescaling,
                layers.Activation,
                layers.GlobalAveragePooling2D,
                layers.Multiply,
                layers.Add,
            )
            assert isinstance(layer, without_costs), layer
    params = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return {"params": params, "macs": macs, "authors_flops": flops}
