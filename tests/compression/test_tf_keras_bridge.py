"""The bridge to tf_keras: the same layers, numbers and weights on both sides, both ways."""

import os
import sys

import keras
import numpy as np
import pytest
import tf_keras

from dna_tf.compression import tf_keras_bridge
from dna_tf.models import students
from dna_tf.space import architectures, spaces, tasks
from dna_tf.teachers import residual_cnn
from tests.helpers import small_images

pytestmark = pytest.mark.usefixtures("seeded")

IMAGES = (
    small_images.Stripes(6).pixels * np.linspace(0, 1, 6, dtype=np.float32)[:, None, None, None]
)
KINDS = {"swish and SE": ("swish", 0.25), "lite": ("relu6", 0.0)}


def _student(activation, se_ratio, drops=0.0):
    ops = [spaces.Op(kernel, expand) for kernel in (3, 5, 7) for expand in (1, 3, 6)]
    blocks = (
        architectures.BlockChoice(2, 6, tuple(ops[:5])),
        architectures.BlockChoice(1, 8, tuple(ops[5:])),
    )
    frame = spaces.Frame(4, 2, 6, 16, activation, se_ratio, 1e-3, 0.85)
    arch = architectures.Architecture("all_ops", blocks, frame, tasks.Task(16, 3, 5))
    return small_images.shaken(students.build_student(arch, drops, drops, seed=3))


def _every_layer():
    layers = keras.layers
    image = keras.Input((16, 16, 3), name="in")
    x = layers.Normalization(mean=[100.0, 90.0, 80.0], variance=[9.0, 16.0, 25.0])(image)
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(8, 3, 2, groups=1, activation="relu")(x)
    x = layers.ReLU(6.0, negative_slope=0.1)(x)
    y = layers.AveragePooling2D(2)(x)
    z = layers.MaxPooling2D(2)(x)
    x = layers.Add()([y, z])
    x = layers.Multiply()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)])
    x = layers.Conv2D(8, 3, padding="same", groups=2, dilation_rate=2)(x)
    x = layers.Reshape((-1, 8))(x)
    x = layers.Flatten()(x)
    x = layers.Dense(6, activation="silu")(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Activation("tanh")(x)
    return keras.Model(image, layers.Softmax()(layers.Dense(4, use_bias=False)(x)), name="each")


MODELS = {
    **{name: lambda kind=kind: _student(*kind, drops=0.2) for name, kind in KINDS.items()},
    "teacher": lambda: small_images.shaken(residual_cnn.build((16, 16, 3), 5, dropout=0.2)),
    "every layer": lambda: small_images.shaken(_every_layer()),
}


@pytest.fixture(scope="module", params=list(MODELS))
def pair(request):
    keras.utils.set_random_seed(0)  # here, as `seeded` comes after fixtures of the module
    model = MODELS[request.param]()
    return model, tf_keras_bridge.to_tf_keras(model)


def _weights(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


def _assert_same_weights(one, other):
    one, other = _weights(one), _weights(other)
    assert list(one) == list(other)
    for name, values in one.items():
        assert len(values) == len(other[name])
        for value, twin in zip(values, other[name], strict=True):
            np.testing.assert_array_equal(value, twin, err_msg=name)


def test_the_twin_has_the_layers_and_the_weights_to_the_bit(pair):
    model, twin = pair
    assert isinstance(twin, tf_keras.Model)
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    for layer, rebuilt in zip(model.layers, twin.layers, strict=True):
        assert type(layer).__name__ == type(rebuilt).__name__
    _assert_same_weights(model, twin)


def test_the_twin_predicts_the_same(pair):
    model, twin = pair
    expected = model(IMAGES, training=False).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3  # it tells images apart
    np.testing.assert_allclose(twin(IMAGES, training=False), expected, rtol=1e-5, atol=1e-5)


def test_weights_come_back_to_the_bit(pair):
    model, twin = pair
    before, first = model.get_weights(), twin.get_weights()
    draws = np.random.RandomState(5)
    twin.set_weights([w + 0.1 * draws.uniform(0.5, 1, w.shape).astype(w.dtype) for w in first])
    back = tf_keras_bridge.to_keras(twin, model)
    _assert_same_weights(back, twin)
    expected = twin(IMAGES, training=False).numpy()
    np.testing.assert_allclose(back(IMAGES, training=False), expected, rtol=1e-5, atol=1e-5)
    assert abs(model(IMAGES, training=False).numpy() - expected).max() > 1e-4
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    twin.set_weights(first)


@pytest.mark.parametrize("kind", list(KINDS))
def test_batch_norms_train_the_same(kind):
    model = _student(*KINDS[kind])
    twin = tf_keras_bridge.to_tf_keras(model)
    norms = [layer for layer in model.layers if "BatchNorm" in type(layer).__name__]
    assert len(norms) > 20
    for layer in norms:
        rebuilt = twin.get_layer(layer.name)
        assert (
            (rebuilt.epsilon, rebuilt.momentum) == (layer.epsilon, layer.momentum) == (1e-3, 0.85)
        )
    for _ in range(2):
        expected = model(IMAGES, training=True).numpy()
        np.testing.assert_allclose(twin(IMAGES, training=True), expected, rtol=1e-4, atol=1e-4)
    for layer in norms:
        rebuilt = twin.get_layer(layer.name)
        for one, other in zip(layer.get_weights(), rebuilt.get_weights(), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5, err_msg=layer.name)


def _model(function):
    image = keras.Input((8, 8, 3))
    return keras.Model(image, function(image), name="bad")


def _shared(image):
    conv = keras.layers.Conv2D(3, 1, name="both")
    return conv(conv(image))


LAYERS = keras.layers
REFUSED = {
    "class": (
        lambda x: LAYERS.LayerNormalization(name="odd")(x),
        r"layer 'odd' \(LayerNormalization\) of the model 'bad' cannot be rebuilt",
    ),
    "bare sum": (lambda x: x + LAYERS.Conv2D(3, 1)(x), r"\(Add\).*Write bare sums and products"),
    "regularizer": (
        lambda x: LAYERS.Conv2D(3, 1, kernel_regularizer="l2", name="odd")(x),
        r"'odd' \(Conv2D\).* has a kernel_regularizer",
    ),
    "activation": (
        lambda x: LAYERS.Conv2D(3, 1, activation="elu", name="odd")(x),
        r"'odd' \(Conv2D\).* has the activation 'elu'\. Supported: \['linear'",
    ),
    "called twice": (_shared, r"'both' \(Conv2D\).* is called 2 times"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_layers_that_have_no_twin_are_named(case):
    function, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        tf_keras_bridge.to_tf_keras(_model(function))


def test_weights_of_another_model_are_refused():
    model = _model(lambda x: LAYERS.Conv2D(3, 1, name="a")(x))
    other = tf_keras_bridge.to_tf_keras(_model(lambda x: LAYERS.Conv2D(4, 1, name="a")(x)))
    with pytest.raises(ValueError, match=r"'a' of 'bad' has weights of \[\(1, 1, 3, 3\)"):
        tf_keras_bridge.to_keras(other, model)
    other = tf_keras_bridge.to_tf_keras(_model(lambda x: LAYERS.Conv2D(3, 1, name="b")(x)))
    with pytest.raises(ValueError, match="no such layer"):
        tf_keras_bridge.to_keras(other, model)


@pytest.mark.parametrize("package", ["tf_keras", "tensorflow_model_optimization"])
def test_a_missing_package_is_named_with_the_command(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"need {package.replace('_', '.')}.*pip inst"):
        tf_keras_bridge.import_tfmot()


def test_the_process_keeps_its_keras(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    tf_keras_bridge.import_tfmot()
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    tf_keras_bridge.import_tfmot()
    assert os.environ["TF_USE_LEGACY_KERAS"] == "0"
