"""A narrow model is a part of the whole one, with shared kernels, and exports as a stock model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.models import students
from dna_tf.slimming import sliced_model
from dna_tf.space import architectures, spaces, tasks
from tests.helpers import small_teachers

layers = keras.layers
WIDTHS = (0.5, 0.75)


def _net():
    """A net with a residual, a concatenation, a gate, a separable and a flattened part."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(1 / 255.0, name="rescaling")(image)
    a = layers.Conv2D(16, 3, padding="same", use_bias=False, name="a")(x)
    a = layers.ReLU(name="a_relu")(layers.BatchNormalization(name="a_norm")(a))
    b = layers.DepthwiseConv2D(3, padding="same", name="deep")(a)
    b = layers.BatchNormalization(name="b_norm", scale=False)(b)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(b)
    gate = layers.Conv2D(16, 1, activation="sigmoid", name="gate")(gate)
    b = layers.Add(name="sum")([a, layers.Multiply(name="gated")([b, gate])])
    c = layers.SeparableConv2D(24, 3, padding="same", name="separable")(b)
    x = layers.Concatenate(name="both")([b, c])
    x = layers.Conv2D(16, 3, strides=4, name="d", activation="silu")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(32, activation="relu", name="hidden")(x)
    return small_teachers.shaken(keras.Model(image, layers.Dense(5, name="scores")(x), name="net"))


def _images(shape=(4, 8, 8, 3)):
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


@pytest.fixture(scope="module")
def sliced():
    return sliced_model.SlicedModel(_net(), WIDTHS)


def test_width_1_is_the_model(sliced):
    model, images = _net(), _images()
    assert sliced.widths == (0.5, 0.75, 1.0)
    np.testing.assert_array_equal(
        sliced.models[1.0].predict_on_batch(images), model.predict_on_batch(images)
    )
    exported = sliced.export(1.0).predict_on_batch(images)
    np.testing.assert_array_equal(exported, model.predict_on_batch(images))


@pytest.mark.parametrize("width", WIDTHS)
def test_an_exported_width_computes_the_same_with_stock_layers(sliced, width, tmp_path):
    exported = sliced.export(width)
    assert {type(layer).__module__.split(".")[0] for layer in exported.layers} == {"keras"}
    assert [layer.name for layer in exported.layers] == [
        layer.name for layer in sliced.whole.layers
    ]
    exported.save(tmp_path / "narrow.keras")
    loaded = keras.saving.load_model(tmp_path / "narrow.keras", safe_mode=True)
    for training in (False, True):
        expected = sliced.models[width](_images(), training=training)
        received = loaded(_images(), training=training)
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [*WIDTHS, 1.0])
def test_parameters_are_those_of_the_groups(sliced, width):
    assert sliced.num_params(width) == sliced.export(width).count_params()


def test_a_narrow_model_is_what_numpy_computes_from_the_first_channels():
    sliced = sliced_model.SlicedModel(_net(), (0.5,))
    whole, narrow = sliced.whole, sliced.models[0.5]
    images = _images() / 255.0
    kernel = np.asarray(whole.get_layer("a").kernel)[..., :8]
    maps = tf.nn.conv2d(images, kernel, 1, "SAME").numpy()
    gamma, beta, mean, variance = (
        np.asarray(w)[:8] for w in whole.get_layer("a_norm").get_weights()
    )
    expected = np.maximum((maps - mean) / np.sqrt(variance + 1e-3) * gamma + beta, 0)
    part = keras.Model(narrow.input, narrow.get_layer("a_relu").output)
    np.testing.assert_allclose(part(_images()), expected, rtol=1e-4, atol=1e-4)


def test_kernels_are_shared_and_batch_norms_are_not():
    sliced = sliced_model.SlicedModel(_net(), (0.5,))
    narrow, images = sliced.models[0.5], _images()
    names = [variable.path for variable in sliced.trainable_variables]
    kernels = [name for name in names if name.endswith("/kernel")]
    assert len(kernels) == len(set(kernels)) == 6
    assert sum("a_norm/gamma" in name for name in names) == 2
    before = narrow.predict_on_batch(images)
    sliced.whole.get_layer("a_norm").gamma.assign(np.full(16, 9.0, np.float32))
    np.testing.assert_array_equal(narrow.predict_on_batch(images), before)
    kernel = sliced.whole.get_layer("a").kernel
    kernel.assign(np.asarray(kernel) * np.r_[np.ones(8), np.full(8, 7.0)].astype("f"))
    np.testing.assert_array_equal(narrow.predict_on_batch(images), before)  # others of the 16
    kernel.assign(np.asarray(kernel) * 2)
    assert np.abs(narrow.predict_on_batch(images) - before).max() > 1e-3


def test_gradients_of_a_narrow_model_are_zero_beyond_its_channels(sliced):
    narrow, variables = sliced.models[0.5], sliced.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(narrow(_images(), training=True) ** 2)
    kernel = sliced.whole.get_layer("separable").pointwise_kernel
    values = [variable.value for variable in variables]
    computed = tape.gradient(loss, values, unconnected_gradients="zero")
    gradients = {v.path: g for v, g in zip(variables, computed, strict=True)}
    gradient = tf.convert_to_tensor(gradients[kernel.path]).numpy()
    assert gradient.shape == (1, 1, 16, 24)
    assert np.abs(gradient[:, :, :8, :16]).max() > 0
    assert not gradient[:, :, 8:].any() and not gradient[:, :, :, 16:].any()
    hidden = tf.convert_to_tensor(gradients[sliced.whole.get_layer("hidden").kernel.path]).numpy()
    used = np.abs(hidden).max(axis=1) > 0
    assert used.sum() <= 8 * len(hidden) // 16 and not used.reshape(-1, 16)[:, 8:].any()


def test_students_are_sliced():
    ops = tuple(spaces.Op.parse(name) for name in ("k3e6", "k5e3"))
    blocks = (architectures.BlockChoice(1, 16, ops), architectures.BlockChoice(2, 24, ops))
    frame = spaces.Frame(stem_width=8, stem_output_width=8, head_width=32)
    task = tasks.Task(image_size=16, num_classes=5)
    one = architectures.Architecture("small", blocks, frame=frame, task=task)
    student = small_teachers.shaken(students.build_student(one))
    sliced = sliced_model.SlicedModel(student, (0.5,))
    exported = sliced.export(0.5)
    images = _images((2, 16, 16, 3))
    expected = sliced.models[0.5](images, training=False)
    np.testing.assert_allclose(exported(images, training=False), expected, rtol=1e-5, atol=1e-5)
    assert sliced.num_params(0.5) == exported.count_params() < student.count_params()
    assert exported.get_layer("block2_layer2_project_bn").gamma.shape == (16,)


@pytest.mark.parametrize(
    "widths", [(), (0.5, 0.5), (0.75, 0.5), (0.0, 1.0), (0.5, 1.5), ("0.5",), (True,)]
)
def test_widths_that_do_not_rise_are_refused(widths):
    with pytest.raises(ValueError, match="Widths are shares of the channels that rise"):
        sliced_model.check_widths(widths)


def test_widths_that_keep_the_same_channels_are_refused():
    with pytest.raises(ValueError, match="The width 0.5 keeps the same channels of 'net' as the"):
        sliced_model.SlicedModel(_net(), (0.5, 0.55))
    with pytest.raises(ValueError, match="There is no width 0.6. Did you mean"):
        sliced_model.SlicedModel(_net(), (0.5,)).export(0.6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50", "DenseNet121"]
)
def test_models_of_keras_are_sliced_exported_and_converted(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    sliced = sliced_model.SlicedModel(model, (0.5,))
    exported = sliced.export(0.5)
    assert sliced.num_params(0.5) == exported.count_params()
    assert sliced.num_params(1.0) == model.count_params()
    images = _images((2, 64, 64, 3))
    expected = sliced.models[0.5](images, training=False)
    np.testing.assert_allclose(exported(images, training=False), expected, rtol=1e-4, atol=1e-5)
    exported.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras", safe_mode=True)
    content = tf.lite.TFLiteConverter.from_keras_model(loaded).convert()
    lite = tf.lite.Interpreter(model_content=content)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], images[:1])
    lite.invoke()
    scores = lite.get_tensor(lite.get_output_details()[0]["index"])
    np.testing.assert_allclose(scores, expected[:1], rtol=1e-3, atol=1e-4)
