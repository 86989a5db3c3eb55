"""Weights of other frameworks: each lands in its variable, and a block runs as NumPy does."""

import re

import keras
import numpy as np
import pytest

from dna_tf.models import foreign_weights, students
from dna_tf.space import architectures, spaces, tasks, zoo
from tests.helpers import tool_runs

OPS = ("k5e3", "k3e6")


def _tiny(num_classes=4):
    """Two blocks of which the second halves the resolution."""
    frame = spaces.Frame(stem_width=8, stem_output_width=4, head_width=12)
    ops = tuple(spaces.Op.parse(op) for op in OPS)
    blocks = (architectures.BlockChoice(1, 6, ops[:1]), architectures.BlockChoice(2, 8, ops))
    return architectures.Architecture("tiny", blocks, frame, tasks.Task(16, 3, num_classes))


def _state(arch, seed=0):
    """A state dict in PyTorch's shapes, written down from the network's definition alone."""
    rng, state = np.random.RandomState(seed), {}

    def conv(name, out, read, kernel, bias=False):
        state[f"{name}.weight"] = rng.normal(0, 0.3, (out, read, kernel, kernel))
        if bias:
            state[f"{name}.bias"] = rng.normal(0, 0.3, out)

    def norm(name, width):
        state[f"{name}.weight"], state[f"{name}.bias"] = rng.rand(width) + 0.5, rng.rand(width)
        state[f"{name}.running_mean"] = rng.normal(0, 0.3, width)
        state[f"{name}.running_var"] = rng.rand(width) + 0.5
        state[f"{name}.num_batches_tracked"] = np.array(7)

    def squeeze(name, mid, read):
        conv(f"{name}.se.conv_reduce", max(1, read // 4), mid, 1, True)
        conv(f"{name}.se.conv_expand", mid, max(1, read // 4), 1, True)

    frame = arch.frame
    width = frame.stem_width
    conv("conv_stem", width, 3, 3)
    norm("bn1", width)
    conv("blocks.0.0.conv_dw", width, 1, 3)
    norm("blocks.0.0.bn1", width)
    squeeze("blocks.0.0", width, width)
    conv("blocks.0.0.conv_pw", frame.stem_output_width, width, 1)
    norm("blocks.0.0.bn2", frame.stem_output_width)
    width = frame.stem_output_width
    for b, block in enumerate(arch.blocks, 1):
        for n, op in enumerate(block.ops):
            name, mid = f"blocks.{b}.{n}", width * op.expand
            conv(f"{name}.conv_pw", mid, width, 1)
            norm(f"{name}.bn1", mid)
            conv(f"{name}.conv_dw", mid, 1, op.kernel)
            norm(f"{name}.bn2", mid)
            squeeze(name, mid, width)
            conv(f"{name}.conv_pwl", block.width, mid, 1)
            norm(f"{name}.bn3", block.width)
            width = block.width
    conv("conv_head", frame.head_width, width, 1)
    norm("bn2", frame.head_width)
    state["classifier.weight"] = rng.normal(0, 0.3, (arch.num_classes, frame.head_width))
    state["classifier.bias"] = rng.normal(0, 0.3, arch.num_classes)
    return {name: np.asarray(a, np.float32) for name, a in state.items()}


class Twin:
    """PyTorch's way in NumPy: channels first, symmetric padding, float64."""

    def __init__(self, state, eps=1e-5):
        self.state = {name: array.astype(np.float64) for name, array in state.items()}
        self.eps = eps

    def conv(self, x, name, stride=1, depthwise=False):
        w = self.state[f"{name}.weight"]
        k = w.shape[-1]
        x = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))
        windows = windows[:, :, ::stride, ::stride]
        if depthwise:
            return np.einsum("bchwij,cij->bchw", windows, w[:, 0])
        return np.einsum("bchwij,ocij->bohw", windows, w)

    def norm(self, x, name):
        get = [self.state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias")]
        mean, var = (
            self.state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(var + self.eps) * get[0] + get[1]

    def squeeze(self, x, name):
        y = x.mean((2, 3), keepdims=True)
        for part, function in (("reduce", _swish), ("expand", _sigmoid)):
            y = self.conv(y, f"{name}.se.conv_{part}")
            y = function(y + self.state[f"{name}.se.conv_{part}.bias"][:, None, None])
        return x * y

    def layer(self, x, name, stride):
        y = _swish(self.norm(self.conv(x, f"{name}.conv_pw"), f"{name}.bn1"))
        y = self.conv(y, f"{name}.conv_dw", stride, depthwise=True)
        y = self.squeeze(_swish(self.norm(y, f"{name}.bn2")), name)
        y = self.norm(self.conv(y, f"{name}.conv_pwl"), f"{name}.bn3")
        return x + y if y.shape == x.shape else y

    def network(self, image, arch):
        mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
        x = (image.transpose(0, 3, 1, 2) / 255.0 - mean) / std
        x = _swish(self.norm(self.conv(x, "conv_stem", 2), "bn1"))
        y = _swish(self.norm(self.conv(x, "blocks.0.0.conv_dw", 1, True), "blocks.0.0.bn1"))
        y = self.squeeze(y, "blocks.0.0")
        x = self.norm(self.conv(y, "blocks.0.0.conv_pw"), "blocks.0.0.bn2")
        for b, block in enumerate(arch.blocks, 1):
            for n in range(len(block.ops)):
                x = self.layer(x, f"blocks.{b}.{n}", block.stride if n == 0 else 1)
        x = _swish(self.norm(self.conv(x, "conv_head"), "bn2")).mean((2, 3))
        return x @ self.state["classifier.weight"].T + self.state["classifier.bias"]


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _swish(x):
    return x * _sigmoid(x)


@pytest.mark.parametrize("name", ["dna_a", "dna_b", "dna_c", "dna_d", "efficientnet_b0"])
def test_every_weight_of_a_published_network_has_one_place(name):
    arch = zoo.get_architecture(name)
    state, expected = _state(arch), foreign_weights.timm_weights(arch)
    names = [source for source, _ in expected.values()]
    assert len(names) == len(set(names))
    tracked = {n for n in state if n.endswith("num_batches_tracked")}
    assert set(names) == set(state) - tracked
    running = sum(a.size for n, a in state.items() if "running" in n)
    total = sum(a.size for n, a in state.items() if n not in tracked)
    assert total - running == arch.costs()["params"]
    assert len(expected) == len(names)


def test_every_weight_of_dna_a_has_the_shape_of_its_variable():
    arch = zoo.get_architecture("dna_a")
    state, expected = _state(arch), foreign_weights.timm_weights(arch)
    shapes = {v.path: tuple(v.shape) for v in students.build_student(arch).variables}
    assert set(shapes) == set(expected)
    values = foreign_weights.match(state, expected, shapes, foreign_weights.SCHEMES["timm"])
    assert {path: array.shape for path, array in values.items()} == shapes


def test_a_made_state_dict_lands_in_every_variable_exactly_once():
    arch = _tiny()
    state = _state(arch)
    model = foreign_weights.convert(arch, state, foreign_weights.SCHEMES["timm"])
    left = {n: a for n, a in state.items() if not n.endswith("num_batches_tracked")}
    assert len(model.variables) == len(left)
    for variable in model.variables:
        value = np.sort(variable.numpy().ravel())
        (name,) = [n for n, a in left.items() if np.array_equal(np.sort(a.ravel()), value)]
        del left[name]
    assert not left
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert layer.epsilon == 1e-5


def test_blocks_and_network_compute_what_numpy_computes():
    arch = _tiny()
    state = _state(arch)
    model = foreign_weights.convert(arch, state, foreign_weights.SCHEMES["timm"])
    rng, twin = np.random.RandomState(1), Twin(state)
    start = model.get_layer("block1_layer1_project_bn").output
    block = keras.Model(start, model.get_layer("block2_layer2_add").output)
    x = rng.normal(0, 1, (2, 8, 8, 6)).astype(np.float32)
    y = x.transpose(0, 3, 1, 2).astype(np.float64)
    for n, stride in ((0, 2), (1, 1)):
        y = twin.layer(y, f"blocks.2.{n}", stride)
    assert y.shape == (2, 8, 4, 4)
    np.testing.assert_allclose(block(x).numpy().transpose(0, 3, 1, 2), y, atol=2e-4)
    image = rng.randint(0, 256, (3, 16, 16, 3)).astype(np.float32)
    expected = twin.network(image.astype(np.float64), arch)
    np.testing.assert_allclose(model(image, training=False), expected, atol=2e-4)
    # TensorFlow's own padding and epsilon are another network.
    other = foreign_weights.convert(arch, state, foreign_weights.SCHEMES["timm_tf"])
    assert np.max(np.abs(other(image, training=False) - expected)) > 1e-2


def test_names_with_a_prefix_and_a_saved_file_are_the_same(tmp_path):
    arch = _tiny()
    state = _state(arch)
    prefixed = {f"module.{name}": array for name, array in state.items()}
    image = np.random.RandomState(1).rand(2, 16, 16, 3).astype(np.float32) * 255
    scheme = foreign_weights.SCHEMES["timm"]
    plain = foreign_weights.convert(arch, state, scheme)
    other = foreign_weights.convert(arch, prefixed, scheme)
    other.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras", compile=False, safe_mode=True)
    expected = plain(image, training=False)
    np.testing.assert_array_equal(other(image, training=False), expected)
    np.testing.assert_allclose(loaded(image, training=False), expected, atol=1e-6)


def test_what_does_not_fit_is_listed():
    arch = _tiny()
    state = _state(arch)
    del state["blocks.2.1.conv_dw.weight"]
    state["blocks.9.0.conv_dw.weight"] = state["bn1.bias"]
    state["classifier.weight"] = state["classifier.weight"][:2]
    state["bn2.bias"] = state["bn2.bias"] * np.nan
    with pytest.raises(ValueError) as error:
        foreign_weights.convert(arch, state, foreign_weights.SCHEMES["timm"])
    text = str(error.value)
    assert "1 missing: blocks.2.1.conv_dw.weight" in text
    assert "1 not expected: blocks.9.0.conv_dw.weight" in text
    assert "1 of another shape: classifier.weight (2, 12) instead of (4, 12)" in text
    assert "1 with values that are not finite: bn2.bias" in text
    with pytest.raises(ValueError, match="missing: conv_stem.weight, .* and 77 more"):
        foreign_weights.convert(arch, {"a": np.zeros(2)}, foreign_weights.SCHEMES["timm"])
    with pytest.raises(ValueError, match=r"no scheme 'tim'\. Did you mean 'timm'"):
        foreign_weights.get_scheme("tim")


def test_the_tool_writes_a_model_or_says_what_is_wrong(tmp_path):
    arch = _tiny()
    architectures.save(arch, tmp_path / "tiny.json")
    np.savez(tmp_path / "w.npz", **_state(arch))
    weights, arch_flag = f"--weights={tmp_path}/w.npz", [f"--arch={tmp_path}/tiny.json"]
    output = f"--output={tmp_path}/made.keras"
    cases = (
        ([*arch_flag, weights, output], None),
        ([*arch_flag, weights, output], "The file .*made.keras exists already"),
        (["--arch=dna_a", weights, f"--output={tmp_path}/a.keras"], r"\d+ missing: blocks.1.1"),
        ([*arch_flag, weights], r"--output is missing \(for example --output=dna_a\.keras\)"),
        ([*arch_flag, weights, f"--output={tmp_path}/a.h5"], r"must be a \.keras file"),
        (
            [*arch_flag, weights, f"--output={tmp_path}/b.keras", "--num_classes=5"],
            r"\(4, 12\) instead",
        ),
        ([*arch_flag, weights, f"--output={tmp_path}/b.keras", "--scheme=x"], "no scheme 'x'"),
    )
    for run, (_, message) in zip(
        tool_runs.run_all([["convert", *words] for words, _ in cases]), cases, strict=True
    ):
        assert (run["returncode"] == 0) == (message is None), run["stderr"]
        assert message is None or re.search(f"error: .*{message}", run["stderr"]), run["stderr"]
    model = keras.saving.load_model(tmp_path / "made.keras", compile=False)
    image = np.random.RandomState(1).randint(0, 256, (1, 16, 16, 3)).astype(np.float32)
    expected = Twin(_state(arch)).network(image.astype(np.float64), arch)
    np.testing.assert_allclose(model(image, training=False), expected, atol=2e-4)
    assert not (tmp_path / "a.keras").exists()
