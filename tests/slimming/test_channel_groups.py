"""Which channels belong together, listed by hand for small graphs, and what is refused."""

import keras
import numpy as np
import pytest

from dna_tf.slimming import channel_groups

layers = keras.layers


def _groups(build, shape=(8, 8, 3), **settings):
    image = keras.Input(shape, name="image")
    return channel_groups.ChannelGroups(keras.Model(image, build(image), name="net", **settings))


def _conv(filters, name, size=3, **settings):
    return layers.Conv2D(filters, size, padding="same", name=name, **settings)


def _scores(x):
    return layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D(name="pool")(x))


def _kept(groups, layer, width):
    read, gives = groups.layers[layer]
    return groups.indices(read, width).tolist(), groups.indices(gives, width).tolist()


def test_a_sum_has_one_group_and_a_concatenation_has_several():
    def build(image):
        a = _conv(16, "a")(image)
        b = layers.BatchNormalization(name="norm")(_conv(16, "b")(a))
        x = layers.Concatenate(name="both")([layers.Add(name="sum")([a, b]), _conv(24, "c")(a)])
        return _scores(_conv(8, "d", 1)(x))

    groups = _groups(build)
    assert sorted(groups.sizes.values()) == [3, 5, 8, 16, 24]
    # At one half: 8 of the 16 and, as multiples of 8, 16 of the 24 (12 rounds up), 8 of the 8.
    assert _kept(groups, "a", 0.5) == ([0, 1, 2], list(range(8)))
    assert _kept(groups, "b", 0.5) == (list(range(8)), list(range(8)))
    assert _kept(groups, "norm", 0.5)[1] == list(range(8))
    assert _kept(groups, "c", 0.5) == (list(range(8)), list(range(16)))
    read, gives = _kept(groups, "d", 0.5)
    assert read == [*range(8), *range(16, 32)] and gives == list(range(8))
    assert _kept(groups, "scores", 0.5) == (list(range(8)), list(range(5)))
    reasons = {groups.sizes[group]: reason for group, reason in groups.fixed.items()}
    assert reasons == {3: "the image", 5: "the scores"}


@pytest.mark.parametrize(
    ("size", "width", "expected"),
    [(64, 0.5, 32), (64, 0.3, 16), (24, 0.5, 16), (8, 0.25, 8), (6, 0.5, 3), (3, 0.1, 1),
     (20, 1.0, 20), (100, 0.99, 96), (97, 1.0, 97), (12, 0.25, 8)],
)  # fmt: skip
def test_counts_are_multiples_of_8(size, width, expected):
    assert channel_groups.kept_channels(size, width) == expected


def test_a_depthwise_convolution_multiplies_the_channels_of_a_group():
    def build(image):
        x = _conv(16, "a")(image)
        x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="deep")(x)
        return _scores(_conv(8, "b", 1)(x))

    groups = _groups(build)
    assert _kept(groups, "deep", 0.5) == (list(range(8)), list(range(16)))
    assert _kept(groups, "b", 0.5)[0] == list(range(16))


def test_maps_whose_channels_are_grouped_otherwise_stay_whole():
    def build(image):
        x = _conv(16, "a")(image)
        x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="deep")(x)
        gate = layers.GlobalAveragePooling2D(name="squeeze")(x)
        gate = layers.Reshape((1, 1, 32), name="as_map")(layers.Dense(32, name="gate")(gate))
        return _scores(layers.Multiply(name="gated")([x, gate]))

    groups = _groups(build)
    # A group of 16 that counts twice does not join one of 32: both stay whole.
    assert _kept(groups, "deep", 0.5) == (list(range(16)), list(range(32)))
    assert _kept(groups, "gate", 0.5)[1] == list(range(32))
    assert "grouped otherwise" in groups.fixed[groups.layers["gate"][1].segments[0][0]]


def test_squeeze_and_excitation_is_one_group():
    def build(image):
        x = _conv(16, "a")(image)
        gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
        gate = _conv(4, "reduce", 1, activation="relu")(gate)
        gate = _conv(16, "expand", 1, activation="sigmoid")(gate)
        return _scores(layers.Multiply(name="gated")([gate, x]))

    groups = _groups(build)
    assert _kept(groups, "expand", 0.5) == ([0, 1], list(range(8)))
    assert _kept(groups, "reduce", 0.5) == (list(range(8)), [0, 1])


def test_rows_behind_a_flattened_map_are_those_of_each_pixel():
    def build(image):
        x = layers.Flatten(name="flat")(_conv(16, "a", strides=4)(image))
        return layers.Dense(5, name="scores")(x)

    read, gives = _kept(_groups(build), "scores", 0.5)
    assert read == [pixel * 16 + channel for pixel in range(4) for channel in range(8)]
    assert gives == list(range(5))


def test_grouped_convolutions_and_one_channel_for_all_stay_whole():
    def build(image):
        x = _conv(16, "a")(image)
        x = _conv(16, "grouped", groups=4)(x)
        mask = _conv(1, "mask", 1, activation="sigmoid")(x)
        x = layers.Multiply(name="masked")([_conv(16, "b")(x), mask])
        return _scores(x)

    groups = _groups(build)
    assert _kept(groups, "grouped", 0.5) == (list(range(16)), list(range(16)))
    assert _kept(groups, "b", 0.5) == (list(range(16)), list(range(8)))
    assert _kept(groups, "mask", 0.5)[1] == [0]


def test_a_layer_that_is_called_twice_has_the_same_channels_in_both_calls():
    def build(image):
        shared = _conv(16, "shared")
        x = shared(_conv(16, "a")(image))
        x = shared(_conv(16, "b")(x))
        return _scores(x)

    groups = _groups(build)
    assert groups.layers["a"][1] == groups.layers["a"][1]
    roots = [groups.layers[name][1].segments[0][0] for name in ("a", "b")]
    kept = [groups.kept(root, 0.5) for root in roots]
    assert kept == [8, 8] and sorted(groups.sizes.values()) == [3, 5, 16, 16]


def test_expressions_are_taken():
    def build(image):
        x = _conv(16, "a")(image)
        x = x * layers.ReLU(6.0, name="clipped")(x + 3.0) / 6.0
        return _scores(x + _conv(16, "b")(x))

    groups = _groups(build)
    assert sorted(groups.sizes.values()) == [3, 5, 16]


class _Own(layers.Layer):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.LayerNormalization(name="layer_norm"), "layer_norm"),
        (layers.GroupNormalization(4, name="group_norm"), "group_norm"),
        (layers.Lambda(lambda x: x, name="anything"), "anything"),
        (layers.Permute((2, 1, 3), name="turned"), "turned"),
        (layers.Reshape((8, 8, 4, 4), name="shuffled"), "shuffled"),
        (layers.BatchNormalization(axis=1, name="rows"), "rows"),
        (layers.PReLU(name="slopes"), "slopes"),
        (_Own(name="own"), "own"),
    ],
)
def test_what_mixes_channels_is_refused_by_name(layer, name):
    def build(image):
        x = layer(_conv(16, "a")(image))
        return layers.Dense(5, name="scores")(layers.Flatten(name="flat")(x))

    with pytest.raises(ValueError, match=f"The layer '{name}' .* cannot be made narrower. Layers"):
        _groups(build)


def test_attention_is_refused_by_name():
    def build(image):
        x = layers.Reshape((64, 16), name="tokens")(_conv(16, "a")(image))
        x = layers.MultiHeadAttention(2, 8, name="heads")(x, x)
        return layers.Dense(5, name="scores")(layers.Flatten(name="flat")(x))

    with pytest.raises(ValueError, match="The layer 'tokens' .Reshape.*only .C,. to"):
        _groups(build)


def test_indices_of_width_1_are_all_channels():
    def build(image):
        return _scores(layers.Concatenate(name="both")([_conv(20, "a")(image), image]))

    groups = _groups(build)
    for read, gives in groups.layers.values():
        for layout in (read, gives):
            np.testing.assert_array_equal(groups.indices(layout, 1.0), range(groups.size(layout)))
