"""Students: the Keras model that an architecture stands for, and what it costs."""

import math

import keras
import numpy as np
import pytest

import dna_tf
from dna_tf.models import keras_files, students
from dna_tf.space import architectures, layer_specs, presets, spaces, tasks, zoo
from dna_tf.supernet import packed_ops
from tests.helpers import keras_costs

layers = keras.layers


def _random_architecture(seed, name="random", image_size=32, channels=3, num_classes=10):
    """An architecture of the digits space, drawn uniformly."""
    rng, space = np.random.RandomState(seed), presets.PRESETS["digits"]
    blocks = []
    for block in space.blocks:
        cell = block.cells[rng.randint(len(block.cells))]
        path = tuple(int(op) for op in rng.randint(len(space.ops), size=cell.layers))
        ops = tuple(space.ops[op] for op in path)
        blocks.append(architectures.BlockChoice(block.stride, cell.width, ops))
    return architectures.Architecture(
        name, tuple(blocks), space.frame, tasks.Task(image_size, channels, num_classes)
    )


@pytest.mark.parametrize("seed", range(5))
def test_costs_of_random_architectures_are_those_of_the_model(seed):
    size, channels = [(32, 3), (28, 1), (33, 3), (16, 3), (20, 1)][seed]
    arch = _random_architecture(seed, image_size=size, channels=channels, num_classes=3 + seed)
    model = students.build_student(arch)
    assert keras_costs.counted(model) == arch.costs()
    assert model.input_shape == (None, size, size, channels)
    assert model.output_shape == (None, 3 + seed)


def test_costs_of_relu6_without_squeeze_are_those_of_the_model():
    blocks = _random_architecture(1).blocks
    frame = spaces.Frame(8, 1, 6, 20, "relu6", 0)
    arch = architectures.Architecture("lite", blocks, frame, tasks.Task(16, 3, 4))
    model = students.build_student(arch)
    assert keras_costs.counted(model) == arch.costs()
    assert not [layer for layer in model.layers if isinstance(layer, layers.Multiply)]
    acts = [layer for layer in model.layers if isinstance(layer, layers.Activation)]
    assert acts and all(layer.activation is keras.activations.relu6 for layer in acts)


def test_dna_a_is_the_published_network():
    model = students.build_student(zoo.get_architecture("dna_a"))
    published = {"params": 4_243_318, "macs": 335_141_728, "authors_flops": 348_161_054}
    assert keras_costs.counted(model) == published
    ends = [("stem_conv", 112, 32), ("stem_mbconv_project_bn", 112, 16)]
    ends += [
        (f"block{b}_layer{n}_project_bn", size, width)
        for b, n, size, width in (
            (1, 3, 56, 24),
            (2, 4, 28, 40),
            (3, 4, 14, 80),
            (4, 4, 14, 96),
            (5, 5, 7, 160),
            (6, 1, 7, 320),
        )
    ]
    ends.append(("head_conv", 7, 1280))
    for name, size, width in ends:
        assert model.get_layer(name).output.shape == (None, size, size, width)


def test_layer_names_say_block_layer_and_part():
    blocks = (
        architectures.BlockChoice(2, 8, (spaces.Op(3, 2), spaces.Op(5, 1))),
        architectures.BlockChoice(1, 8, (spaces.Op(7, 1),)),
    )
    frame = spaces.Frame(4, 2, 8, 16)
    arch = architectures.Architecture("max_macs_1.5M_über", blocks, frame, tasks.Task(16, 3, 3))
    model = students.build_student(arch, dropout=0.1)
    tail = ["dw_conv", "dw_bn", "dw_swish", "se_pool", "se_reduce", "se_expand", "se_scale"]
    tail += ["project_conv", "project_bn"]
    expected = ["image", "rescale", "stem_conv", "stem_bn", "stem_swish"]
    expected += [f"stem_mbconv_{part}" for part in tail]
    expected += [f"block1_layer1_expand_{part}" for part in ("conv", "bn", "swish")]
    expected += [f"block1_layer1_{part}" for part in tail]
    expected += [f"block1_layer2_{part}" for part in [*tail, "add"]]
    expected += [f"block2_layer1_{part}" for part in [*tail, "add"]]
    expected += ["head_conv", "head_bn", "head_swish", "head_pool", "head_dropout", "classifier"]
    assert [layer.name for layer in model.layers] == expected
    assert model.name == "max_macs_1.5M_über"
    assert hasattr(model, "operations")  # a functional model


def _specs(arch):
    """The specs of the whole chain with the prefix of their layers' names."""
    stem = layer_specs.stem_specs(arch.frame, arch.channels)
    chain = list(zip(("stem", "stem_mbconv"), stem, strict=True))
    width = arch.frame.stem_output_width
    for b, block in enumerate(arch.blocks, 1):
        for n, op in enumerate(block.ops, 1):
            stride = block.stride if n == 1 else 1
            spec = layer_specs.MBConvSpec(
                op.kernel, op.expand, width, block.width, stride, arch.frame.activation, 0.25
            )
            chain.append((f"block{b}_layer{n}", spec))
            width = block.width
    return [*chain, ("head", layer_specs.ConvSpec(1, width, arch.frame.head_width, 1, "swish"))]


def test_the_model_is_the_chain_of_its_ops():
    arch = _random_architecture(3, image_size=16, num_classes=5)
    model = students.build_student(arch)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:  # so that no weight is zero or one
        variable.assign(variable.numpy() + rng.normal(0, 0.1, variable.shape))
    images = rng.uniform(0, 255, (6, 16, 16, 3)).astype(np.float32)
    y = images / np.float32(127.5) - np.float32(1)
    for prefix, spec in _specs(arch):
        row = []
        for name, shape in spec.weights().items():
            part, attribute = name.rsplit("_", 1)
            value = getattr(model.get_layer(f"{prefix}_{part}"), attribute).numpy()
            assert value.shape == shape
            row.append(value.ravel())
        y, _ = packed_ops.run(y, np.concatenate(row), spec)
    head = model.get_layer("classifier")
    expected = np.mean(y, (1, 2)) @ head.kernel.numpy() + head.bias.numpy()
    # In training mode batch norm takes the statistics of the batch, as the pure op does.
    np.testing.assert_allclose(model(images, training=True), expected, rtol=1e-3, atol=1e-3)
    assert np.abs(expected).max() > 0.1


def test_a_student_survives_saving(tmp_path):
    model = students.build_student(_random_architecture(2, image_size=16), 0.2, 0.3, seed=4)
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    model(images, training=True)  # moving statistics that are not the first ones
    model.save(tmp_path / "model.keras")
    loaded = keras_files.load_model(tmp_path / "model.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(loaded(images, training=False), model(images, training=False))
    for one, other in zip(loaded.layers, model.layers, strict=True):
        if isinstance(one, layers.Dropout):
            assert one.rate == other.rate
            assert tuple(one.noise_shape or ()) == tuple(other.noise_shape or ())
    assert np.any(loaded(images, training=True) != loaded(images, training=True))  # drops differ


def test_first_weights_are_the_authors():
    model = students.build_student(_random_architecture(4), seed=11)
    pooled = {layers.Conv2D: [], layers.DepthwiseConv2D: []}
    for layer in model.layers:
        if type(layer) in pooled:
            value = layer.kernel.numpy()
            depthwise = type(layer) is layers.DepthwiseConv2D
            out = value.shape[2] if depthwise else value.shape[3]
            scaled = value / math.sqrt(2.0 / (value.shape[0] * value.shape[1] * out))
            assert scaled.std() == pytest.approx(1.0, abs=5 / math.sqrt(2 * value.size))
            assert scaled.mean() == pytest.approx(0.0, abs=5 / math.sqrt(value.size))
            pooled[type(layer)].append(scaled.ravel())
            if layer.use_bias:
                assert not np.any(layer.bias.numpy())
    for values in pooled.values():
        values = np.concatenate(values)
        assert len(values) > 5000
        assert values.std() == pytest.approx(1.0, abs=4 / math.sqrt(2 * len(values)))
        assert 3.0 < np.abs(values).max() < 6.0  # normal, not truncated at two
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    assert all(norm.epsilon == 1e-5 and norm.momentum == 0.9 for norm in norms)
    for norm in norms:
        for value, start in zip(norm.get_weights(), (1, 0, 0, 1), strict=True):
            assert np.all(value == start)  # gamma, beta, moving mean and variance
    kernel = model.get_layer("classifier").kernel.numpy()
    assert np.abs(kernel).max() <= math.sqrt(6 / sum(kernel.shape))
    assert kernel.std() == pytest.approx(math.sqrt(2 / sum(kernel.shape)), rel=0.05)


def test_one_seed_gives_one_student():
    def kernels(seed, **drops):
        model = students.build_student(_random_architecture(5), seed=seed, **drops)
        return [v.numpy().tobytes() for v in model.trainable_variables if v.name == "kernel"]

    first = kernels(0)
    assert kernels(0) == first
    assert kernels(0, dropout=0.5, drop_connect=0.5) == first  # drops change no first weight
    assert not set(kernels(1)) & set(first)
    assert len(set(first)) == len(first)  # layers of one shape do not start as twins


def test_drops_are_there_when_asked_and_rise_with_depth():
    ops = (spaces.Op(3, 1),) * 4
    blocks = tuple(architectures.BlockChoice(stride, 8, ops) for stride in (2, 1))
    arch = architectures.Architecture("a", blocks, spaces.Frame(4, 2, 8, 8), tasks.Task(16, 3, 3))
    model = students.build_student(arch, dropout=0.25, drop_connect=0.4)
    drops = {layer.name: layer for layer in model.layers if isinstance(layer, layers.Dropout)}
    head = drops.pop("head_dropout")
    assert head.rate == 0.25 and head.noise_shape is None
    # All layers but the one with stride are residual; the rate is 0.4 * depth / 8.
    expected = {f"block1_layer{n}_drop": 0.05 * (n - 1) for n in (2, 3, 4)}
    expected |= {f"block2_layer{n}_drop": 0.05 * (n + 3) for n in (1, 2, 3, 4)}
    assert {name: layer.rate for name, layer in drops.items()} == pytest.approx(expected)
    assert all(layer.noise_shape == (None, 1, 1, 1) for layer in drops.values())
    seeds = [int(layer.seed_generator.state.numpy()[0]) for layer in drops.values()]
    assert len(set(seeds)) == len(seeds)
    plain = students.build_student(arch)
    assert not [layer for layer in plain.layers if isinstance(layer, layers.Dropout)]
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(model(images, training=False), plain(images, training=False))
    assert np.any(model(images, training=True) != plain(images, training=True))


def test_build_model_keeps_what_is_not_asked_for(tmp_path):
    arch = _random_architecture(7, image_size=16, num_classes=5)
    architectures.save(arch, tmp_path / "arch.json")
    models = [dna_tf.build_model(arch), dna_tf.build_model(tmp_path / "arch.json")]
    models.append(students.build_student(arch))
    first = [weight.numpy() for weight in models[0].weights]
    for model in models:
        assert model.input_shape == (None, 16, 16, 3) and model.output_shape == (None, 5)
        assert model.name == "random"
        for one, other in zip(first, model.weights, strict=True):
            np.testing.assert_array_equal(one, other.numpy())


def test_build_model_for_other_data():
    arch = _random_architecture(7)
    options = {"num_classes": 7, "image_size": 20, "channels": 1}
    model = dna_tf.build_model(arch, **options, dropout=0.2, drop_connect=0.3, seed=5)
    assert model.input_shape == (None, 20, 20, 1) and model.output_shape == (None, 7)
    assert model.name == arch.name
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)}
    assert rates["head_dropout"] == 0.2 and 0 < max(rates.values()) < 0.3 and len(rates) > 2
    plain = students.build_student(arch.adapted(**options), seed=5)
    assert keras_costs.counted(plain) == arch.adapted(**options).costs()
    for one, other in zip(plain.trainable_weights, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert dna_tf.build_model("dna_a", num_classes=3, image_size=32).output_shape == (None, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, r"num_classes must be a whole number above 0\. Received: 0"),
        ({"image_size": 0}, r"image_size must be a whole number above 0\. Received: 0"),
        ({"image_size": 32.0}, r"image_size must be .* Received: 32\.0"),
        ({"channels": -1}, r"channels must be a whole number above 0\. Received: -1"),
        ({"dropout": 1.0}, r"dropout must be a rate in \[0, 1\)\. Received: 1\.0"),
        ({"drop_connect": -0.1}, r"drop_connect must be a rate in \[0, 1\)\. Received: -0\.1"),
    ],
)
def test_build_model_refuses_numbers_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        dna_tf.build_model("dna_a", **options)
