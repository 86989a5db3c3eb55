"""Teachers for tests: networks with trained-looking batch norms, and known cuts."""

import keras
import numpy as np

# The cuts of EfficientNet-B0 for DNA's six blocks.
B0_CUTS = (
    "block2b_add",
    "block3b_add",
    "block4c_add",
    "block5c_add",
    "block6d_add",
    "block7a_project_bn",
)


def shaken(model, seed=2):
    """Draws the variables of all batch norms, so that none is the identity; returns the model."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in (layer.gamma, layer.moving_variance):
                if variable is not None:
                    variable.assign(rng.uniform(0.5, 2.0, variable.shape))
            for variable in (layer.beta, layer.moving_mean):
                if variable is not None:
                    variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return model


def plain_file(path, ending="softmax", size=16, extra=None):
    """Saves a classifier of digits as plain Keras code would: nested, with its rescaling inside.

    Args:
        path: a `pathlib.Path` of the `.keras` file.
        ending: activation of the last layer.
        size: height and width of its images; `None` takes any.
        extra: a layer in the middle.

    Returns:
        The path.
    """
    keras.utils.set_random_seed(3)
    layers = keras.layers
    body = keras.Sequential(
        [
            layers.Input((size, size, 1)),
            layers.Rescaling(1 / 255.0, name="rescaling"),
            layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            *([] if extra is None else [extra]),
            layers.Conv2D(12, 1, activation="relu", name="wide"),
        ],
        name="body",
    )
    image = keras.Input((size, size, 1), name="picture")
    x = layers.GlobalAveragePooling2D(name="pool")(body(image))
    model = keras.Model(image, layers.Dense(10, ending, name="answers")(x), name=path.stem)
    shaken(body)
    model.save(path)
    return path
