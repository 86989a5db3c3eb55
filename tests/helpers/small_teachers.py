"""Teachers for tests: networks as after training, and the cuts that are known for them."""

import keras
import numpy as np

# Where EfficientNet-B0 is cut for DNA's six blocks.
B0_CUTS = (
    "block2b_add",
    "block3b_add",
    "block4c_add",
    "block5c_add",
    "block6d_add",
    "block7a_project_bn",
)


def shaken(model, seed=2):
    """The model with batch norms that are not the identity, as after training."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in (layer.gamma, layer.moving_variance):
                variable.assign(rng.uniform(0.5, 2.0, variable.shape))
            for variable in (layer.beta, layer.moving_mean):
                variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return model
