"""Convolutions and swish with fast gradients equal those of TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.training import cpu_gradients
from tests.helpers import devices


def _gradients(function, x, kernel, upstream):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
    return y, *tape.gradient(y, [x, kernel], upstream)


def _plain(stride):
    return lambda x, kernel: tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "sides", [(1, 1), (3, 3), (5, 5), (7, 7), (9, 9), (4, 4), (5, 4), (4, 5), (3, 7), (7, 1)]
)
@pytest.mark.parametrize(("height", "width"), [(5, 6), (8, 7), (1, 2), (14, 14)])
def test_output_and_gradients_equal_tensorflows(sides, height, width, stride, compiled):
    rng = np.random.default_rng([*sides, height, stride])
    x = tf.constant(rng.normal(0, 1, (2, height, width, 11)), tf.float32)
    kernel = tf.constant(rng.normal(0, 1, (*sides, 11, 1)), tf.float32)
    size = -(-height // stride), -(-width // stride)
    upstream = tf.constant(rng.normal(0, 1, (2, *size, 11)), tf.float32)

    def ours(x, kernel):
        return cpu_gradients.depthwise(x, kernel, stride)

    ours = tf.function(ours) if compiled else ours
    expected = _gradients(_plain(stride), x, kernel, upstream)
    for received, one in zip(_gradients(ours, x, kernel, upstream), expected, strict=True):
        assert received.shape == one.shape
        np.testing.assert_allclose(received, one, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_equal_finite_differences_in_float64(stride):
    rng = np.random.default_rng(stride)
    x = tf.constant(rng.normal(0, 1, (2, 6, 7, 3)), tf.float64)
    kernel = tf.constant(rng.normal(0, 1, (5, 5, 3, 1)), tf.float64)
    upstream = rng.normal(0, 1, _plain(stride)(x, kernel).shape)
    _, of_x, of_kernel = _gradients(
        lambda x, kernel: cpu_gradients.depthwise(x, kernel, stride),
        x,
        kernel,
        tf.constant(upstream),
    )
    # The convolution is linear in each of its two: a step of any length gives the gradient.
    still = np.sum(_plain(stride)(x, kernel) * upstream)
    for _ in range(20):
        place = tuple(rng.integers(0, x.shape))
        moved = x + tf.scatter_nd([place], tf.constant([1.0], tf.float64), x.shape)
        slope = np.sum(_plain(stride)(moved, kernel) * upstream) - still
        np.testing.assert_allclose(of_x[place], slope, rtol=1e-9, atol=1e-9)
        place = tuple(rng.integers(0, kernel.shape))
        moved = kernel + tf.scatter_nd([place], tf.constant([1.0], tf.float64), kernel.shape)
        slope = np.sum(_plain(stride)(x, moved) * upstream) - still
        np.testing.assert_allclose(of_kernel[place], slope, rtol=1e-9, atol=1e-9)


def test_sizes_known_only_at_run_time():
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(0, 1, (2, 6, 9, 4)), tf.float32)
    kernel = tf.constant(rng.normal(0, 1, (5, 5, 4, 1)), tf.float32)
    some = tf.TensorSpec((None, None, None, 4))

    @tf.function(input_signature=[some, tf.TensorSpec(kernel.shape), some])
    def ours(x, kernel, upstream):
        return _gradients(
            lambda x, kernel: cpu_gradients.depthwise(x, kernel, 2), x, kernel, upstream
        )

    upstream = tf.ones((2, 3, 5, 4))
    expected = _gradients(_plain(2), x, kernel, upstream)
    for received, one in zip(ours(x, kernel, upstream), expected, strict=True):
        np.testing.assert_allclose(received, one, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (1, 1, 1, 7), (3, 1, 1, 7)])
def test_a_pointwise_convolution_is_tensorflows(shape):
    rng = np.random.default_rng(1)
    x = tf.constant(rng.normal(0, 1, shape), tf.float32)
    kernel = tf.constant(rng.normal(0, 1, (1, 1, 7, 9)), tf.float32)
    upstream = tf.constant(rng.normal(0, 1, (*shape[:3], 9)), tf.float32)
    received = _gradients(cpu_gradients.pointwise, x, kernel, upstream)
    expected = _gradients(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), x, kernel, upstream)
    for one, other in zip(received, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_pointwise_convolution_of_unknown_sizes():
    x = np.random.default_rng(1).normal(0, 1, (2, 5, 6, 7)).astype(np.float32)
    kernel = tf.ones((1, 1, 7, 2))
    some = tf.TensorSpec((None, None, None, 7))
    y = tf.function(lambda x: cpu_gradients.pointwise(x, kernel), input_signature=[some])(x)
    np.testing.assert_allclose(y, np.repeat(x.sum(-1, keepdims=True), 2, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
def test_swish_is_tensorflows(dtype, accelerated, monkeypatch):
    monkeypatch.setattr(cpu_gradients, "has_accelerator", lambda: accelerated)
    rng = np.random.default_rng(0)
    x, upstream = (tf.cast(rng.normal(0, 4, (5, 333)), dtype) for _ in range(2))

    @tf.function
    def both(activate):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = activate(x)
        return y, tape.gradient(y, x, upstream)

    y, gradient = both(cpu_gradients.swish)
    assert y.dtype == gradient.dtype == dtype
    # Without a gradient TensorFlow finds the pattern of its own swish.
    alone = tf.function(cpu_gradients.swish)(x), tf.function(tf.nn.silu)(x)
    assert alone[0].numpy().tobytes() == alone[1].numpy().tobytes()
    exact = x.numpy().astype(np.float64)
    gate = 1.0 / (1.0 + np.exp(-exact))
    slope = gate * (1.0 + exact * (1.0 - gate))
    rounding = {tf.float32: 1e-6, tf.bfloat16: 0.04, tf.float16: 5e-3}[dtype]
    expected = exact * gate, slope * upstream.numpy().astype(np.float64)
    for one, other in zip((y, gradient), expected, strict=True):
        received = one.numpy().astype(np.float64)
        np.testing.assert_allclose(received, other, rtol=rounding, atol=rounding)


def test_swish_far_out_has_slopes_0_and_1():
    x = tf.constant([-1e4, -100.0, 100.0, 1e4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = cpu_gradients.swish(x)
    np.testing.assert_array_equal(tape.gradient(y, x), [0.0, 0.0, 1.0, 1.0])


def test_half_precision_gradients_keep_their_type():
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(0, 1, (2, 7, 7, 4)), tf.bfloat16)
    kernel = tf.constant(rng.normal(0, 1, (7, 7, 4, 1)), tf.bfloat16)
    y, of_x, of_kernel = _gradients(
        lambda x, kernel: cpu_gradients.depthwise(x, kernel, 1), x, kernel, tf.ones_like(x)
    )
    assert y.dtype == of_x.dtype == of_kernel.dtype == tf.bfloat16


@devices.of_cpus
@pytest.mark.parametrize("side", [5, 7])
def test_kernel_gradients_have_padding_in_numbers(side):
    @tf.function
    def both(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = cpu_gradients.depthwise(x, kernel, 2)
        return tape.gradient(y, [x, kernel])

    graph = both.get_concrete_function(
        tf.TensorSpec((2, 8, 9, 4)), tf.TensorSpec((side, side, 4, 1))
    ).graph
    (op,) = [op for op in graph.get_operations() if "BackpropFilter" in op.type]
    assert op.get_attr("padding") == b"EXPLICIT"
    # 8 rows give 4, and 9 columns give 5: (4 - 1) * 2 + side - 8 rows are padded.
    rows, columns = side - 2, side - 1
    before = [0, 0, rows // 2, rows - rows // 2, columns // 2, columns - columns // 2, 0, 0]
    assert op.get_attr("explicit_paddings") == before
