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
                variable.assign(rng.uniform(0.5, 2.0, variable.shape))
            for variable in (layer.beta, layer.moving_mean):
                variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return model
