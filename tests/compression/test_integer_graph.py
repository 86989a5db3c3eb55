"""The graph of an integer file: other layers, the same numbers."""

import keras
import numpy as np
import pytest

from dna_tf.compression import integer_graph, tf_keras_bridge
from dna_tf.models import students
from dna_tf.teachers import residual_cnn
from tests.helpers import small_images

pytestmark = pytest.mark.usefixtures("seeded")

IMAGES = (
    small_images.Stripes(6).pixels * np.linspace(0, 1, 6, dtype=np.float32)[:, None, None, None]
)


def _student(activation, se_ratio):
    arch = small_images.architecture_of(activation, se_ratio)
    return students.build_student(arch, dropout=0.2, drop_connect=0.2, seed=3)


def _dense_norm():
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])(image)
    x = layers.Normalization(mean=[10.0, 9.0, 8.0], variance=[9.0, 16.0, 25.0])(x)
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    x = layers.BatchNormalization(scale=False)(layers.Dense(8, use_bias=False)(x))
    return keras.Model(image, layers.Dense(4, activation="softmax")(x))


MODELS = {
    "swish and SE": lambda: _student("swish", 0.25),
    "lite": lambda: _student("relu6", 0.0),
    "teacher": lambda: residual_cnn.build((16, 16, 3), 5, dropout=0.2),
    "dense": _dense_norm,
}


@pytest.mark.parametrize("name", list(MODELS))
def test_the_prepared_graph_computes_the_same(name):
    model = small_images.shaken(MODELS[name]())
    layers = integer_graph.prepare(tf_keras_bridge.read(model))
    kinds = {layer.kind for layer in layers}
    assert not kinds & {"BatchNormalization", "Dropout", "Rescaling", "Normalization"}
    for layer in layers:
        assert layer.kind == "Activation" or layer.arguments.get("activation", "linear") == "linear"
        assert layer.arguments.get("activation") != "swish"
        assert all(weight.dtype == np.float32 for weight in layer.weights)
    rebuilt = tf_keras_bridge.build(layers, "prepared")
    expected = model(IMAGES, training=False).numpy()
    spread = np.ptp(expected, axis=0).max()
    assert spread > 3e-3 * np.abs(expected).max()  # it tells images apart
    off = np.abs(rebuilt(IMAGES, training=False).numpy() - expected).max()
    assert off < 2e-3 * spread


def test_each_convolution_takes_in_its_batch_norm():
    model = _student("swish", 0.25)
    layers = integer_graph.prepare(tf_keras_bridge.read(model))
    names = {layer.name: layer for layer in layers}
    assert "stem_conv" in names and "stem_bn" not in names
    assert names["stem_swish"].kind == "Multiply"
    assert names["stem_swish"].reads == ("stem_conv", "stem_swish_sigmoid")
    assert names["stem_mbconv_se_expand"].arguments == {"activation": "sigmoid"}
    assert names["rescale"].kind == "DepthwiseConv2D"
    np.testing.assert_allclose(names["rescale"].weights[0].ravel(), 1 / 127.5, rtol=1e-6)
    np.testing.assert_array_equal(names["rescale"].weights[1], [-1.0, -1.0, -1.0])


def test_outputs_are_rounded_where_the_file_rounds_them():
    ranges = {}
    for kind in (("swish", 0.25), ("relu6", 0.0)):
        layers = integer_graph.prepare(tf_keras_bridge.read(_student(*kind)))
        ranges[kind[0]] = {n.name: integer_graph.output_range(n, layers) for n in layers}
    swish, lite = ranges["swish"], ranges["relu6"]
    assert swish["stem_conv"] == swish["stem_swish"] == swish["classifier"] == "measured"
    assert swish["stem_swish_sigmoid"] == swish["stem_mbconv_se_expand"] == "fixed"
    assert lite["stem_conv"] == "none" and lite["stem_relu6"] == "measured"
    # Its readers are two, and not all of them a ReLU.
    assert lite["stem_mbconv_project_conv"] == "measured"
    assert lite["block1_layer2_add"] == "measured"


def test_what_has_no_integer_form_is_named():
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    odd = keras.Model(image, layers.Activation("tanh", name="odd")(image))
    with pytest.raises(ValueError, match=r"'odd' \(Activation\) has the activation 'tanh'"):
        integer_graph.prepare(tf_keras_bridge.read(odd))
    flat = layers.BatchNormalization(name="late")(layers.GlobalAveragePooling2D()(image))
    with pytest.raises(ValueError, match="'late' neither reads a map .* Move it before"):
        integer_graph.prepare(tf_keras_bridge.read(keras.Model(image, flat)))
