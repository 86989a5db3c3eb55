"""MBConvs: Keras layers, packed rows and a NumPy twin hold each other equal."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.models import students
from dna_tf.space import presets
from dna_tf.space.layer_specs import ConvSpec, FusedMBConvSpec, MBConvSpec
from dna_tf.supernet import packed_ops

# kernel, expand, in, out, stride, activation, se_ratio: every value with several others.
SPECS = [
    MBConvSpec(3, 6, 8, 8, 1, "swish", 0.25),
    MBConvSpec(3, 6, 8, 8, 1, "relu6", 0),
    MBConvSpec(3, 6, 4, 8, 1, "swish", 0.25),
    MBConvSpec(5, 6, 4, 6, 2, "relu6", 0.25),
    MBConvSpec(7, 6, 4, 4, 2, "swish", 0),
    MBConvSpec(3, 3, 8, 12, 2, "swish", 0),
    MBConvSpec(5, 3, 8, 8, 1, "relu6", 0.25),
    MBConvSpec(7, 3, 6, 6, 1, "swish", 0.25),
    MBConvSpec(7, 3, 3, 8, 2, "relu6", 0.25),
    MBConvSpec(3, 1, 8, 4, 1, "swish", 0.25),
    MBConvSpec(3, 1, 8, 8, 1, "relu6", 0),
    MBConvSpec(5, 1, 8, 8, 2, "swish", 0.25),
    FusedMBConvSpec(3, 4, 8, 8, 1, "relu", 0),
    FusedMBConvSpec(3, 2, 4, 8, 2, "swish", 0.25),
    FusedMBConvSpec(5, 2, 3, 6, 1, "relu6", 0),
    MBConvSpec(3, 3, 8, 8, 1, "relu", 0.25),
    ConvSpec(3, 3, 8, 2, "swish"),
    ConvSpec(3, 3, 8, 2, "relu"),
    ConvSpec(3, 1, 8, 1, "relu6"),
    ConvSpec(1, 8, 16, 1, "swish"),
]


def _ops_of_the_ready_made_spaces():
    """One spec for each op, activation and squeeze-and-excitation that these spaces have."""
    kinds = {
        (op.kernel, op.expand, space.frame.activation, space.frame.se_ratio)
        for space in presets.PRESETS.values()
        for op in space.ops
    }
    covered = {(s.kernel, s.expand, s.activation, s.se_ratio) for s in SPECS[:12]}
    return [
        MBConvSpec(kernel, expand, 4, 4, 1, activation, se_ratio)
        for kernel, expand, activation, se_ratio in sorted(kinds - covered)
    ]


SPECS += _ops_of_the_ready_made_spaces()  # the contract of an op: a new one is held by all tests
IDS = [
    "-".join(
        [
            f"{'f' * isinstance(s, FusedMBConvSpec)}k{s.kernel}",
            f"e{s.expand}" if isinstance(s, MBConvSpec) else "conv",
        ]
        + [f"s{s.stride}", f"{s.in_width}to{s.out_width}", s.activation]
        + (["se"] if getattr(s, "se_width", 0) else [])
    )
    for s in SPECS
]
SIZE = (9, 6)  # odd and even, so that "same" pads both ways


def _images(spec, seed=0, batch=5, size=SIZE):
    rng = np.random.default_rng(seed)
    return (rng.normal(0.3, 1.0, (batch, *size, spec.in_width))).astype(np.float32)


def _row(spec, seed=0, extra=7):
    """A packed row in which no weight is special: batch norm is not the identity."""
    rng = np.random.default_rng(seed)
    row = rng.normal(0.0, 0.5, spec.params + extra).astype(np.float32)
    start = 0
    for name, shape in spec.weights().items():
        count = math.prod(shape)
        if name.endswith("gamma"):
            row[start : start + count] += 1.0
        start += count
    return row


def _model(spec, **kwargs):
    image = keras.Input((*SIZE, spec.in_width))
    apply = students.apply_mbconv if isinstance(spec, MBConvSpec) else students.apply_conv
    return keras.Model(image, apply(image, spec, "op", **kwargs))


def _load_row(model, spec, row, statistics):
    """Puts a packed row into the Keras layers, by name, and the statistics into batch norm."""
    start = 0
    for name, shape in spec.weights().items():
        layer, attribute = name.rsplit("_", 1)
        count = math.prod(shape)
        variable = getattr(model.get_layer(f"op_{layer}"), attribute)
        assert tuple(variable.shape) == shape, name
        variable.assign(row[start : start + count].reshape(shape))
        start += count
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == len(statistics)
    for layer, (mean, variance) in zip(norms, statistics, strict=True):
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


def _numpy_conv(x, kernel, stride, depthwise=False):
    """A "same" convolution in float64, window by window."""
    k = kernel.shape[0]
    out = [-(-s // stride) for s in x.shape[1:3]]
    pads = [max((o - 1) * stride + k - s, 0) for o, s in zip(out, x.shape[1:3], strict=True)]
    pads = [(p // 2, p - p // 2) for p in pads]
    x = np.pad(x, [(0, 0), *pads, (0, 0)])
    channels = kernel.shape[2] if depthwise else kernel.shape[3]
    y = np.zeros((x.shape[0], *out, channels))
    for i in range(out[0]):
        for j in range(out[1]):
            window = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
            if depthwise:
                y[:, i, j] = (window * kernel[..., 0]).sum(axis=(1, 2))
            else:
                y[:, i, j] = np.einsum("bhwc,hwco->bo", window, kernel)
    return y


def _numpy_run(x, row, spec):
    """What `packed_ops.run` computes, written again in NumPy from the description in the spec."""
    weights, start, used = {}, 0, []
    for name, shape in spec.weights().items():
        count = math.prod(shape)
        weights[name] = row[start : start + count].reshape(shape).astype(np.float64)
        start += count

    def sigmoid(y):
        return 1 / (1 + np.exp(-y))

    def activate(y):
        if spec.activation == "swish":
            return y * sigmoid(y)
        return np.clip(y, 0, 6 if spec.activation == "relu6" else np.inf)

    def norm(y, part):
        mean = y.mean(axis=(0, 1, 2))
        variance = ((y - mean) ** 2).mean(axis=(0, 1, 2))  # of the population
        used.append((mean, variance))
        gamma, beta = weights[f"{part}bn_gamma"], weights[f"{part}bn_beta"]
        return gamma * (y - mean) / np.sqrt(variance + 1e-5) + beta

    x = x.astype(np.float64)
    if isinstance(spec, ConvSpec):
        return activate(norm(_numpy_conv(x, weights["conv_kernel"], spec.stride), "")), used
    y = x
    fused = isinstance(spec, FusedMBConvSpec)
    if spec.expand > 1:
        stride = spec.stride if fused else 1
        y = activate(norm(_numpy_conv(y, weights["expand_conv_kernel"], stride), "expand_"))
    if not fused:
        y = activate(norm(_numpy_conv(y, weights["dw_conv_kernel"], spec.stride, True), "dw_"))
    if spec.se_ratio:
        squeezed = y.mean(axis=(1, 2)) @ weights["se_reduce_kernel"][0, 0]
        squeezed = activate(squeezed + weights["se_reduce_bias"])
        squeezed = sigmoid(squeezed @ weights["se_expand_kernel"][0, 0] + weights["se_expand_bias"])
        y = y * squeezed[:, None, None, :]
    y = norm(_numpy_conv(y, weights["project_conv_kernel"], 1), "project_")
    return (x + y if y.shape == x.shape else y), used


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_run_against_numpy(spec):
    x, row = _images(spec), _row(spec)
    y, used = packed_ops.run(x, row, spec)
    expected, expected_used = _numpy_run(x, row, spec)
    np.testing.assert_allclose(y, expected, rtol=2e-4, atol=2e-4)
    assert len(used) == len(expected_used)
    for (mean, variance), (expected_mean, expected_variance) in zip(
        used, expected_used, strict=True
    ):
        np.testing.assert_allclose(mean, expected_mean, rtol=1e-4, atol=1e-4)
        # A sample's variance would be larger by 1/74 to 1/269.
        np.testing.assert_allclose(variance, expected_variance, rtol=5e-4, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_keras_layers_with_the_same_weights_give_the_same_output(spec):
    x, row = _images(spec), _row(spec)
    y, used = packed_ops.run(x, row, spec)
    model = _model(spec)
    _load_row(model, spec, row, used)
    np.testing.assert_allclose(model(x, training=False), y, rtol=1e-4, atol=1e-4)
    # On other images too, with the statistics of the first ones.
    x = _images(spec, seed=1)
    other, _ = packed_ops.run(x, row, spec, used)
    np.testing.assert_allclose(model(x, training=False), other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_params_and_costs_against_what_keras_built(spec):
    model = _model(spec)
    trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert trained == spec.params
    assert packed_ops.row_size([spec]) == spec.params
    macs = flops = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D):
            _, height, width, channels = layer.output.shape
            per_pixel = math.prod(layer.kernel.shape)
            macs += height * width * per_pixel
            flops += height * width * (per_pixel + channels * layer.use_bias)
        elif isinstance(layer, keras.layers.BatchNormalization):
            flops += 2 * math.prod(layer.input.shape[1:])
    assert spec.macs(*SIZE) == macs
    assert spec.authors_flops(*SIZE) == flops


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_statistics_given_back_give_the_output_of_the_batch(spec):
    x, row = _images(spec), _row(spec)
    y, used = packed_ops.run(x, row, spec)
    again, same = packed_ops.run(x, row, spec, used)
    np.testing.assert_allclose(again, y, rtol=1e-4, atol=1e-4)
    for one, other in zip(used, same, strict=True):
        assert one is other
    # One image of the batch alone, with the statistics of all.
    alone, _ = packed_ops.run(x[:1], row, spec, used)
    np.testing.assert_allclose(alone, y[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS[:1] + SPECS[14:15], ids=IDS[:1] + IDS[14:15])
def test_compiled_is_run(spec):
    x, row = _images(spec), _row(spec)
    y, used = packed_ops.run(x, row, spec)
    np.testing.assert_allclose(packed_ops.compiled(spec, "train")(x, row), y, rtol=1e-5, atol=1e-5)
    calibrated, statistics = packed_ops.compiled(spec, "calibrate")(x, row)
    np.testing.assert_allclose(calibrated, y, rtol=1e-5, atol=1e-5)
    for one, other in zip(statistics, used, strict=True):
        np.testing.assert_allclose(one[1], other[1], rtol=1e-5, atol=1e-6)
    rated = packed_ops.compiled(spec, "rate")(x[:2], row, statistics)
    np.testing.assert_allclose(rated, y[:2], rtol=1e-4, atol=1e-4)
    assert packed_ops.compiled(spec, "train") is packed_ops.compiled(spec, "train")


def test_float16_takes_means_of_many_pixels_in_float32():
    """TensorFlow adds float16 in float16 on CPUs: a mean of 30 over 112x112 pixels overflows."""
    spec = MBConvSpec(3, 1, 8, 4, 1, "relu6", 0.25)
    size = packed_ops.row_size([spec])
    row = packed_ops.initial_row(spec, size, np.random.RandomState(0))
    (place,) = [place for name, _, place in packed_ops.places(spec) if name == "dw_bn_beta"]
    row[place] = 5.9  # the squeezed maps are near 6 everywhere
    x = _images(spec, batch=2, size=(112, 112))
    expected, _ = packed_ops.run(tf.constant(x), row, spec)
    received, _ = packed_ops.run(tf.constant(x, tf.float16), row, spec)
    assert received.dtype == tf.float16
    np.testing.assert_allclose(received, expected, atol=0.05)


def test_one_pixel_has_no_variance_and_no_nan():
    spec = MBConvSpec(3, 6, 4, 4, 1)
    y, used = packed_ops.run(_images(spec, batch=1, size=(1, 1)), _row(spec), spec)
    assert np.isfinite(y).all()
    for _, variance in used:
        np.testing.assert_array_equal(variance, 0.0)


def test_unpack_cuts_the_row_in_order():
    spec = MBConvSpec(3, 2, 4, 5, 1)
    weights = packed_ops.unpack(tf.range(spec.params + 3, dtype=tf.float32), spec)
    assert list(weights) == list(spec.weights())
    assert {name: tuple(w.shape) for name, w in weights.items()} == spec.weights()
    flat = np.concatenate([np.ravel(w) for w in weights.values()])
    np.testing.assert_array_equal(flat, np.arange(spec.params))


def test_gradient_against_finite_differences():
    spec = MBConvSpec(3, 3, 4, 4, 1)
    x, row = _images(spec), _row(spec)
    target = np.random.default_rng(2).normal(size=(5, *SIZE, 4))
    variable = tf.constant(row)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = tf.reduce_mean(
            packed_ops.run(x, variable, spec)[0] * tf.constant(target, tf.float32)
        )
    gradient = tape.gradient(loss, variable).numpy()
    np.testing.assert_array_equal(gradient[spec.params :], 0.0)  # of what only pads the row

    def loss_of(row):  # the twin in float64, or the differences drown in rounding
        return (_numpy_run(x, row, spec)[0] * target).mean()

    for i in range(0, spec.params, 13):
        step = np.zeros(len(row))
        step[i] = 1e-5
        difference = (loss_of(row + step) - loss_of(row - step)) / 2e-5
        np.testing.assert_allclose(gradient[i], difference, rtol=2e-3, atol=2e-6)


def _weights_of_row(spec, row):
    weights = {name: w.numpy() for name, w in packed_ops.unpack(row, spec).items()}
    return weights, row[spec.params :]


@pytest.mark.parametrize(
    ("spec", "fan_ins"),
    [
        (
            MBConvSpec(5, 6, 32, 48, 1),
            {
                "expand_conv_kernel": 32,
                "dw_conv_kernel": 25,
                "se_reduce_kernel": 192,
                "se_reduce_bias": 192,
                "se_expand_kernel": 8,
                "se_expand_bias": 8,
                "project_conv_kernel": 192,
            },
        ),
        (MBConvSpec(3, 1, 64, 64, 2, "swish", 0), {"dw_conv_kernel": 9, "project_conv_kernel": 64}),
        (ConvSpec(3, 3, 64, 2, "swish"), {"conv_kernel": 27}),
    ],
)
def test_initial_rows_are_uniform_within_the_fan_in(spec, fan_ins):
    rows = [
        packed_ops.initial_row(spec, spec.params + 11, np.random.RandomState(s)) for s in range(9)
    ]
    assert rows[0].dtype == np.float32
    parts = [_weights_of_row(spec, row) for row in rows]
    for name in spec.weights():
        values = np.concatenate([weights[name].ravel() for weights, _ in parts])
        if name.endswith("gamma"):
            np.testing.assert_array_equal(values, 1.0)
        elif name.endswith("beta"):
            np.testing.assert_array_equal(values, 0.0)
        else:
            scaled = values * math.sqrt(fan_ins.pop(name))
            assert np.abs(scaled).max() <= 1.0 + 1e-6, name
            assert np.abs(scaled).max() > 0.9, name
            count = len(scaled)
            assert abs(scaled.mean()) < 5 / math.sqrt(3 * count), name
            assert abs((scaled**2).mean() - 1 / 3) < 5 * 0.3 / math.sqrt(count), name
    assert not fan_ins
    for _, padding in parts:
        np.testing.assert_array_equal(padding, np.zeros(11))
    again = packed_ops.initial_row(spec, spec.params + 11, np.random.RandomState(0))
    np.testing.assert_array_equal(again, rows[0])
    assert not np.array_equal(rows[0], rows[1])


def test_students_start_from_the_authors_normal():
    spec = MBConvSpec(5, 6, 32, 48, 1)
    model = _model(spec, seed=3)
    for layer, fan_out in (("expand_conv", 192), ("dw_conv", 25 * 192), ("project_conv", 48)):
        kernel = model.get_layer(f"op_{layer}").kernel.numpy()
        spread = math.sqrt(2 / fan_out)
        assert abs(kernel.std() / spread - 1) < 0.05
        assert abs(kernel.mean()) < 5 * spread / math.sqrt(kernel.size)
    for layer, width in (("se_reduce", 8), ("se_expand", 192)):
        kernel = model.get_layer(f"op_{layer}").kernel.numpy()
        assert abs(kernel.std() / math.sqrt(2 / width) - 1) < 0.1


def test_the_seed_and_the_name_determine_the_first_weights():
    spec = SPECS[0]
    first, same, other = (_model(spec, seed=seed).get_weights() for seed in (0, 0, 1))
    for a, b in zip(first, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    image = keras.Input((*SIZE, 8))
    renamed = keras.Model(image, students.apply_mbconv(image, spec, "another")).get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(first, renamed, strict=True))


def test_drop_connect_drops_whole_branches_of_single_images():
    spec = SPECS[0]
    x, row = _images(spec, batch=40), _row(spec)
    y, used = packed_ops.run(x, row, spec)
    model = _model(spec, drop_connect=0.25)
    _load_row(model, spec, row, used)
    np.testing.assert_allclose(model(x, training=False), y, rtol=1e-4, atol=1e-4)
    branch = (model(x, training=True).numpy() - x).reshape(40, -1)
    kept = np.abs(branch).max(axis=1) > 0
    assert 20 <= kept.sum() < 40  # 30 expected
    whole = (y.numpy() - x).reshape(40, -1)
    np.testing.assert_allclose(branch[kept] * 0.75, whole[kept], rtol=1e-3, atol=1e-3)


def test_layer_names_say_what_they_are():
    names = [layer.name for layer in _model(SPECS[0]).layers[1:]]
    assert names == [
        *("op_expand_conv", "op_expand_bn", "op_expand_swish"),
        *("op_dw_conv", "op_dw_bn", "op_dw_swish"),
        *("op_se_pool", "op_se_reduce", "op_se_expand", "op_se_scale"),
        *("op_project_conv", "op_project_bn", "op_add"),
    ]
