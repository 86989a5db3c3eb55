"""The model that trains computes what the stock model does, forward and backward."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.models import students
from dna_tf.space import architectures, spaces, tasks
from dna_tf.teachers import building
from dna_tf.training import classifier, training_twin
from tests.helpers import devices, small_teachers

pytestmark = pytest.mark.usefixtures("seeded")

SHAPE = (8, 16, 16, 3)


def _student(stem_width=8, precision="float32"):
    ops = tuple(spaces.Op.parse(name) for name in ("k3e6", "k5e3", "k7e6"))
    blocks = (architectures.BlockChoice(1, 12, ops), architectures.BlockChoice(2, 16, ops[:1]))
    frame = spaces.Frame(stem_width=stem_width, stem_output_width=8, head_width=24)
    one = architectures.Architecture(
        "small", blocks, frame=frame, task=tasks.Task(image_size=16, num_classes=5)
    )
    student = small_teachers.shaken(students.build_student(one, 0.0, 0.0, seed=1))
    return classifier.copy_in(student, precision)


def _passed(model, images):
    """Outputs, gradients and the moving statistics after one pass in training."""
    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
    gradients = tape.gradient(loss, [w.value for w in weights])
    moving = [w.numpy() for w in model.non_trainable_variables if "moving" in w.path]
    return outputs.numpy(), [g.numpy() for g in gradients], moving


def test_the_twin_passes_as_the_model_does_in_training():
    model = _student()
    twin = training_twin.make(model)
    kinds = [type(layer) for layer in twin.layers]
    assert training_twin.FusedBatchNormalization in kinds
    assert training_twin.PartedDepthwiseConv2D in kinds
    assert training_twin.PointwiseConv2D in kinds and training_twin.GatedActivation in kinds
    assert keras.layers.BatchNormalization not in kinds
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    assert [w.path for w in twin.weights] == [w.path for w in model.weights]
    images = np.random.RandomState(0).uniform(0, 255, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(
        twin.predict_on_batch(images), model.predict_on_batch(images)
    )  # evaluated, they are the same to the bit
    expected, received = _passed(model, images), _passed(twin, images)
    np.testing.assert_allclose(received[0], expected[0], rtol=1e-3, atol=1e-4)
    # Some gradients are zero but for rounding, which differs from processor to processor.
    rounding = 1e-6 * max(np.abs(gradient).max() for gradient in expected[1])
    for one, other in zip(received[1] + received[2], expected[1] + expected[2], strict=True):
        atol = 2e-3 * np.abs(other).max() + rounding
        np.testing.assert_allclose(one, other, rtol=2e-2, atol=atol)
    before = [w.numpy() for w in _student().non_trainable_variables if "moving" in w.path]
    moved = [np.abs(a - b).max() for a, b in zip(received[2], before, strict=True)]
    assert min(moved) > 0


def test_fused_batch_norm_is_numpys():
    draws = np.random.RandomState(0)
    inputs = draws.normal(2.0, 3.0, (4, 5, 6, 7)).astype(np.float32)
    layer = training_twin.FusedBatchNormalization(momentum=0.8, epsilon=1e-3)
    layer.build(inputs.shape)
    values = [draws.uniform(0.5, 1.5, 7).astype(np.float32) for _ in range(4)]
    layer.set_weights(values)
    gamma, beta, mean, variance = values
    received = layer(inputs, training=True).numpy()
    axes = (0, 1, 2)
    expected = (inputs - inputs.mean(axes)) / np.sqrt(inputs.var(axes) + 1e-3) * gamma + beta
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    moving = 0.8 * mean + 0.2 * inputs.mean(axes), 0.8 * variance + 0.2 * inputs.var(axes)
    np.testing.assert_allclose(layer.moving_mean.numpy(), moving[0], rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), moving[1], rtol=1e-5)


@pytest.mark.parametrize(
    "settings, shape",
    [({"scale": False}, (4, 5, 5, 3)), ({"center": False}, (4, 5, 5, 3)), ({}, (4, 3)),
     ({"axis": 1}, (4, 3, 5, 5)), ({"trainable": False}, (4, 5, 5, 3))],
)  # fmt: skip
def test_what_cannot_be_fused_is_stock(settings, shape):
    inputs = np.random.RandomState(1).normal(1.0, 2.0, shape).astype(np.float32)
    layers_ = [
        kind(**settings)(inputs, training=True).numpy()
        for kind in (keras.layers.BatchNormalization, training_twin.FusedBatchNormalization)
    ]
    np.testing.assert_array_equal(*layers_)


@pytest.mark.parametrize(
    "settings",
    [{"strides": 2, "padding": "same"}, {"padding": "valid"}, {"depth_multiplier": 2},
     {"padding": "same", "dilation_rate": 2}, {"padding": "same", "activation": "relu"}],
)  # fmt: skip
def test_depthwise_layers_of_all_settings_are_stock(settings):
    inputs = np.random.RandomState(2).normal(size=(2, 9, 9, 4)).astype(np.float32)
    layers_ = [
        kind(5, **settings, depthwise_initializer=keras.initializers.HeNormal(seed=3))
        for kind in (keras.layers.DepthwiseConv2D, training_twin.PartedDepthwiseConv2D)
    ]
    np.testing.assert_allclose(layers_[1](inputs), layers_[0](inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("size", "settings"),
    [(1, {}), (1, {"use_bias": False, "padding": "same"}), (1, {"activation": "silu"}),
     (1, {"strides": 2}), (1, {"groups": 2}), (3, {"padding": "same"}), ((1, 3), {}),
     (1, {"dilation_rate": 2})],
)  # fmt: skip
def test_convolutions_of_all_settings_are_stock(size, settings, training):
    rng = np.random.RandomState(2)
    inputs = tf.constant(rng.normal(size=(2, 9, 8, 4)), tf.float32)
    stock, ours = keras.layers.Conv2D, training_twin.PointwiseConv2D
    layers_ = [kind(6, size, **settings) for kind in (stock, ours)]
    layers_[0].build(inputs.shape), layers_[1].build(inputs.shape)
    values = [rng.normal(size=w.shape) for w in layers_[0].weights]
    passed = []
    for layer, kwargs in zip(layers_, ({}, {"training": training}), strict=True):
        layer.set_weights(values)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, **kwargs)
            loss = tf.reduce_sum(outputs**2)
        passed.append([outputs, *tape.gradient(loss, [inputs, layer.kernel.value])])
    for received, expected in zip(passed[1], passed[0], strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["swish", "silu", "relu", "relu6", "sigmoid", "hard_silu"])
def test_activations_are_stock(name, training):
    inputs = np.random.RandomState(2).normal(0, 3, (4, 50)).astype(np.float32)
    expected = keras.layers.Activation(name)(inputs)
    received = training_twin.GatedActivation(name)(inputs, training=training)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rates", [(0.4, None), (0.4, (None, 1, 1, 1))])
def test_replicas_drop_places_of_their_own(monkeypatch, rates):
    rate, noise_shape = rates
    inputs = tf.ones((64, 2, 2, 3))

    def passed(kind, replica, replicas):
        context = types.SimpleNamespace(
            num_replicas_in_sync=replicas, replica_id_in_sync_group=replica
        )
        monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: context)
        layer = kind(rate, noise_shape=noise_shape, seed=3)
        return np.array([layer(inputs, training=True) for _ in range(2)])

    stock = passed(keras.layers.Dropout, 0, 1)
    np.testing.assert_array_equal(passed(training_twin.ReplicaDropout, 0, 1), stock)
    first, second = (passed(training_twin.ReplicaDropout, n, 2) for n in (0, 1))
    np.testing.assert_array_equal(passed(training_twin.ReplicaDropout, 1, 2), second)
    chance = rate**2 + (1 - rate) ** 2
    for one, other in ((first, second), (first[0], first[1]), (first, stock)):
        equal = np.mean((one == 0) == (other == 0))
        assert abs(equal - chance) < 0.15
    for values in (first, second):
        np.testing.assert_allclose(np.unique(values), [0, 1 / (1 - rate)], rtol=1e-6)
        assert abs(np.mean(values == 0) - rate) < 0.12
        if noise_shape:  # whole images
            assert (np.ptp(values, axis=(2, 3, 4)) == 0).all()


def test_sums_over_pixels_in_float16_are_added_in_float32():
    inputs = np.full((2, 112, 112, 3), [0.3, 30.0, 1.0], np.float16)
    for kind, shape in ((True, (2, 1, 1, 3)), (False, (2, 3))):
        layer = training_twin.PixelMean(keepdims=kind, dtype="mixed_float16")
        mean = layer(inputs, training=True)
        assert (mean.dtype, tuple(mean.shape)) == (tf.float16, shape)
        np.testing.assert_allclose(mean, np.broadcast_to([0.3, 30, 1], shape), rtol=1e-3)
    gate = tf.Variable(np.full((2, 1, 1, 3), 0.5, np.float16))
    layer = training_twin.Scaling(dtype="mixed_float16")
    with tf.GradientTape() as tape:
        outputs = layer([tf.constant(inputs), gate.value()], training=True)
    upstream = np.full(inputs.shape, 0.1, np.float16)
    gradient = tape.gradient(outputs, gate, upstream)
    expected = (inputs * upstream.astype(np.float64)).sum((1, 2), keepdims=True)
    # GPUs add some of the values in float16.
    np.testing.assert_allclose(gradient, expected, rtol=5e-3 if devices.HAS_GPU else 2e-3)
    # In float32 both are the stock layers, to the bit.
    draws = np.random.RandomState(0).normal(size=(2, 9, 8, 3)).astype(np.float32)
    pairs = [
        (keras.layers.GlobalAveragePooling2D, training_twin.PixelMean, draws),
        (keras.layers.Multiply, training_twin.Scaling, [draws, draws[:, :1, :1]]),
    ]
    for stock, ours, values in pairs:
        np.testing.assert_array_equal(ours()(values, training=True), stock()(values))


def test_mixed_precision_keeps_its_types():
    model = _student(precision="mixed_bfloat16")
    twin = training_twin.make(model)
    assert [layer.compute_dtype for layer in twin.layers[1:]] == [
        layer.compute_dtype for layer in model.layers[1:]
    ]
    images = np.random.RandomState(0).uniform(0, 255, SHAPE).astype(np.float32)
    expected, received = _passed(model, images), _passed(twin, images)
    assert received[0].dtype == expected[0].dtype
    furthest = np.abs(received[0].astype(np.float32) - expected[0].astype(np.float32)).max()
    assert furthest < 0.1 * np.abs(expected[0].astype(np.float32)).max()


def test_models_inside_a_model_and_frozen_layers_are_kept():
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.BatchNormalization(name="bn")])
    outer = keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.DepthwiseConv2D(3)])
    outer.layers[-1].trainable = False
    twin = training_twin.make(outer)
    assert type(twin.layers[0].layers[0]) is training_twin.FusedBatchNormalization
    assert len(twin.trainable_variables) == len(outer.trainable_variables) == 2
    for one, other in zip(twin.weights, outer.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("name", ["residual_cnn", "efficientnet_b0"])
def test_teachers_have_twins(name):
    model = building.build_teacher(name, (32, 32, 3), 4, seed=1)
    twin = training_twin.make(model)
    kinds = {type(layer) for layer in twin.layers}
    assert training_twin.FusedBatchNormalization in kinds
    assert not kinds & {keras.layers.BatchNormalization, keras.layers.DepthwiseConv2D}
    assert (training_twin.PartedDepthwiseConv2D in kinds) == (name == "efficientnet_b0")
    images = np.random.RandomState(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(twin.predict_on_batch(images), model.predict_on_batch(images))
