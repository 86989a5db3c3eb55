"""Cut points: against brute force on random graphs, and the cuts that people know."""

import pathlib
import random

import keras
import numpy as np
import pytest

from dna_tf.models import keras_files, model_costs
from dna_tf.space import fit, presets, spaces
from dna_tf.teachers import cut_points, cutting, residual_cnn

LITE0 = (
    pathlib.Path(__file__).parents[3]
    / "shared"
    / "data"
    / "teachers"
    / "efficientnet_lite0_imagenet.keras"
)
layers = keras.layers
DNA = presets.PRESETS["dna"]


def _random_model(draw):
    """A model of random edges, its edges as drawn here, and the layers called twice."""
    image = keras.Input((4, 4, 2), name="image")
    tensors, edges, names = [image], [], ["image"]
    for i in range(draw.randint(3, 12)):
        read = sorted(draw.sample(range(len(tensors)), draw.randint(1, min(2, len(tensors)))))
        if draw.random() < 0.5:  # long chains, so that some layers are the only way
            read = [len(tensors) - 1]
        name = f"layer{i}"
        kind = layers.Add if len(read) > 1 else layers.ReLU
        inputs = [tensors[j] for j in read]
        tensors.append(kind(name=name)(inputs if len(read) > 1 else inputs[0]))
        edges += [(names[j], name) for j in read]
        names.append(name)
    shared = []
    if draw.random() < 0.3:
        again = layers.ReLU(name="again")
        tensors.append(again(again(tensors[-1])))
        edges += [(names[-1], "again"), ("again", "again")]
        names.append("again")
        shared.append("again")
    return keras.Model(image, tensors[-1], name="random"), edges, names, shared


def _reachable(edges, start, without):
    reached, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for a, b in edges:
            if a == here and b not in reached and b != without:
                reached.add(b)
                waiting.append(b)
    return reached


def test_single_ways_of_random_graphs_are_those_of_brute_force():
    draw, lengths = random.Random(5), []
    for _ in range(150):
        model, edges, names, shared = _random_model(draw)
        # Without a layer that is the only way, the output cannot be reached from the image.
        expected = [
            name
            for name in names[1:]
            if name not in shared
            and (name == names[-1] or names[-1] not in _reachable(edges, "image", name))
        ]
        layers = [point.layer for point in cut_points.single_way_layers(model, (4, 4, 2))]
        assert layers == expected, edges
        lengths.append((len(expected), len(names)))
    assert sum(a < b - 2 for a, b in lengths) > 30  # graphs with layers that are not
    assert sum(a > 1 for a, _ in lengths) > 100


def test_what_lies_between_points_is_counted():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, 2, padding="same", name="a")(image)  # 4x4; 27 * 4 + 4
    y = layers.BatchNormalization(name="norm")(x)  # 8 trainable parameters
    x = layers.Add(name="b")([x, layers.Conv2D(4, 1, use_bias=False, name="one")(y)])  # 16
    x = layers.Dense(5, name="c")(x)  # of every pixel: 4 * 5 + 5
    scores = layers.Dense(7, name="scores")(layers.GlobalAveragePooling2D(name="mean")(x))
    model = keras.Model(image, scores)
    points = cut_points.single_way_layers(model, (8, 8, 3))
    assert points == [
        cut_points.CutPoint("a", "Conv2D", (4, 4, 4), 112, 16 * 108, False, 0, 1),
        cut_points.CutPoint("b", "Add", (4, 4, 4), 24, 16 * 16, True, 1, 0),
        cut_points.CutPoint("c", "Dense", (4, 4, 5), 25, 16 * 20, False, 1, 0),
    ]
    assert model_costs.total_macs(model, (8, 8, 3)) == 16 * 108 + 16 * 16 + 16 * 20 + 35


def test_shared_weights_count_once_and_their_calls_each_time():
    image = keras.Input((8, 8, 2))
    shared = layers.Conv2D(2, 3, padding="same", use_bias=False, name="shared")
    x = layers.ReLU(name="relu")(shared(shared(image)))
    points = cut_points.single_way_layers(keras.Model(image, x), (8, 8, 2))
    assert [(p.layer, p.params, p.macs) for p in points] == [("relu", 36, 2 * 64 * 36)]


def test_a_custom_layer_has_unknown_macs_and_a_frozen_model_the_same_stages():
    image = keras.Input((32, 32, 3))
    x = layers.SeparableConv2D(4, 3, 4, padding="same", name="separable")(image)
    x = layers.Conv2D(6, 3, 2, padding="same", name="conv")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    model = keras.Model(image, x)
    points = cut_points.single_way_layers(model, (32, 32, 3))
    assert [point.macs for point in points] == [None, 16 * 9 * 4 * 6, 0]
    assert model_costs.total_macs(model, (32, 32, 3)) is None
    model.trainable = False  # neither stages nor costs depend on it
    assert cut_points.single_way_layers(model, (32, 32, 3)) == points
    ends = cut_points.stage_ends(points, (32, 32, 3))
    assert [end.layer for end in ends] == ["separable", "conv"]


def _build(function, size=224, **options):
    options = {"weights": None, "input_shape": (size, size, 3), **options}
    return getattr(keras.applications, function)(**options)


def _ends(model, size=224):
    points = cut_points.single_way_layers(model, (size, size, 3))
    ends = cut_points.stage_ends(points, (size, size, 3))
    return {end.layer: end.shape for end in ends}


B0 = {
    "block2b_add": (56, 56, 24),
    "block3b_add": (28, 28, 40),
    "block4c_add": (14, 14, 80),
    "block5c_add": (14, 14, 112),
    "block6d_add": (7, 7, 192),
    "block7a_project_bn": (7, 7, 320),
}
KNOWN = {
    "EfficientNetB0": B0,
    "EfficientNetV2B0": {
        "block2b_add": (56, 56, 32),
        "block3b_add": (28, 28, 48),
        "block4c_add": (14, 14, 96),
        "block5e_add": (14, 14, 112),
        "block6h_add": (7, 7, 192),
    },
    "MobileNet": {
        "conv_pw_3_relu": (56, 56, 128),
        "conv_pw_5_relu": (28, 28, 256),
        "conv_pw_11_relu": (14, 14, 512),
        "conv_pw_13_relu": (7, 7, 1024),
    },
    "MobileNetV2": {
        "block_2_add": (56, 56, 24),
        "block_5_add": (28, 28, 32),
        "block_9_add": (14, 14, 64),
        "block_12_add": (14, 14, 96),
        "block_15_add": (7, 7, 160),
        "block_16_project_BN": (7, 7, 320),
    },
    "MobileNetV3Small": {
        "expanded_conv_project_bn": (56, 56, 16),
        "expanded_conv_2_add": (28, 28, 24),
        "expanded_conv_5_add": (14, 14, 40),
        "expanded_conv_7_add": (14, 14, 48),
        "expanded_conv_10_add": (7, 7, 96),
    },
    "MobileNetV3Large": {
        "expanded_conv_2_add": (56, 56, 24),
        "expanded_conv_5_add": (28, 28, 40),
        "expanded_conv_9_add": (14, 14, 80),
        "expanded_conv_11_add": (14, 14, 112),
        "expanded_conv_14_add": (7, 7, 160),
    },
    "ResNet50": {
        "conv2_block3_out": (56, 56, 256),
        "conv3_block4_out": (28, 28, 512),
        "conv4_block6_out": (14, 14, 1024),
        "conv5_block3_out": (7, 7, 2048),
    },
    "ResNet50V2": {
        "conv2_block2_out": (56, 56, 256),
        "conv3_block3_out": (28, 28, 512),
        "conv4_block5_out": (14, 14, 1024),
        "conv5_block3_out": (7, 7, 2048),
    },
    "DenseNet121": {
        "pool2_conv": (56, 56, 128),
        "pool3_conv": (28, 28, 256),
        "pool4_conv": (14, 14, 512),
        "conv5_block16_concat": (7, 7, 1024),
    },
    "VGG16": {
        "block3_conv3": (56, 56, 256),
        "block4_conv3": (28, 28, 512),
        "block5_conv3": (14, 14, 512),
    },
}


@pytest.mark.parametrize("function", KNOWN)
def test_stage_ends_of_known_networks(function):
    with_top = function != "VGG16"  # whose classifier alone would take half a gigabyte
    assert _ends(_build(function, include_top=with_top)) == KNOWN[function]


def test_maps_of_one_pixel_are_cut_at_unless_they_are_means():
    # 32x32: padding makes 5x5 of 2x2 before the stride that leaves 1x1.
    assert tuple(_ends(_build("EfficientNetB0", 32), 32)) == tuple(B0)
    assert tuple(_ends(_build("MobileNetV3Small", 32), 32)) == tuple(KNOWN["MobileNetV3Small"])


def test_stage_ends_of_convnext_whose_units_end_in_bare_sums():
    # `x + y` leaves an operation that is no layer; between stages is a model in the model.
    model = _build("ConvNeXtTiny", 64)
    shapes = [(16, 16, 96), (8, 8, 192), (4, 4, 384), (2, 2, 768)]
    assert list(_ends(model, 64).values()) == shapes
    points = cut_points.single_way_layers(model, (64, 64, 3))
    assert {"Sequential", "Add"} < {point.kind for point in points}
    at_224, classifier = 4_455_531_264, 768_000
    expected = (at_224 - classifier) * 64**2 // 224**2 + classifier
    assert model_costs.total_macs(model, (64, 64, 3)) == expected


def test_the_papers_cut_of_efficientnet_b7():
    cuts = ("2g_add", "3g_add", "4j_add", "5j_add", "6m_add", "7d_add")
    model = _build("EfficientNetB7", include_top=False)
    ends = _ends(model)
    assert tuple(ends) == tuple(f"block{cut}" for cut in cuts)
    assert [shape[2] for shape in ends.values()] == [48, 80, 160, 224, 384, 640]
    assert cut_points.propose(model, (224, 224, 3), DNA) == tuple(ends)
    # DNA's Table 1: 66,347,960 trainable parameters, of which 2,561,000 in the classifier.
    points = cut_points.single_way_layers(model, (224, 224, 3))
    assert sum(point.params for point in points) == 66_347_960 - 2_561_000


@pytest.mark.skipif(not LITE0.exists(), reason="needs ../shared/data/teachers")
def test_the_cut_of_efficientnet_lite0():
    model = keras_files.load_model(LITE0)
    assert _ends(model) == B0
    assert cut_points.propose(model, (224, 224, 3), DNA) == tuple(B0)


def test_units_of_inverted_bottlenecks_end_where_they_are_narrow():
    model = keras.applications.MobileNetV2((96, 96, 3), weights=None, classes=5)
    points = cut_points.single_way_layers(model, (96, 96, 3))
    received = [point.layer for point in cut_points.unit_ends(points, (96, 96, 3))]
    narrow = {1, 3, 6, 10, 13, 16}  # the width or the resolution changes: no residual
    expected = [
        f"block_{number}_{'project_BN' if number in narrow else 'add'}" for number in range(1, 17)
    ]
    assert received == expected
    stages = [point.layer for point in cut_points.stage_ends(points, (96, 96, 3))]
    assert set(stages) < set(received)
    assert cut_points.propose(model, (96, 96, 3), ends_of=cut_points.unit_ends) == tuple(expected)


def test_units_of_residual_networks_and_of_plain_ones():
    layers = keras.layers

    def norm_relu(x):
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input((32, 32, 3))
    x = norm_relu(layers.Conv2D(8, 3, 2, "same", name="stem")(image))
    for unit in (1, 2):  # the sum comes last
        y = norm_relu(layers.Conv2D(8, 3, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(y))
        x = layers.ReLU(name=f"relu_{unit}")(layers.Add()([x, y]))
    for unit in (3, 4):  # plain convolutions, the second beside a 1x1 that is no unit of its own
        x = layers.Conv2D(16, 3, 2 if unit == 3 else 1, "same", name=f"conv_{unit}")(x)
        x = layers.Conv2D(16, 1, activation="relu", name=f"pointwise_{unit}")(x)
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    points = cut_points.single_way_layers(keras.Model(image, x), (32, 32, 3))
    received = [point.layer for point in cut_points.unit_ends(points, (32, 32, 3))]
    assert received[1:] == ["relu_1", "relu_2", "pointwise_3", "pointwise_4"]
    assert received[0].startswith("re_lu")  # of the stem


def test_the_cut_of_the_embedded_default():
    model = residual_cnn.build((32, 32, 3), 10)
    cuts = ("stage1_out", "stage2_out", "stage3_out")
    assert cut_points.propose(model, (32, 32, 3)) == cuts
    digits = presets.PRESETS["digits"]
    assert cut_points.propose(model, (32, 32, 3), digits) == cuts


def test_models_for_any_image_size_have_the_points_of_the_size_asked_for():
    fixed = _build("MobileNetV2", 96, include_top=False)
    free = _build("MobileNetV2", include_top=False, input_shape=(None, None, 3))
    points = [cut_points.single_way_layers(model, (96, 96, 3)) for model in (fixed, free)]
    assert points[0] == points[1] and len(points[0]) > 70
    free = _build("ConvNeXtTiny", include_top=False, input_shape=(None, None, 3))
    macs = model_costs.total_macs(free, (224, 224, 3))
    assert macs == 4_455_531_264 - 768 * 1000  # the models inside are counted, too


def test_teachers_that_enlarge_small_images_keep_all_their_stages():
    image = keras.Input((32, 32, 3))
    larger = layers.Resizing(128, 128)(image)
    model = _build("MobileNetV2", 128, include_top=False, input_tensor=larger)
    ends = _ends(model, 32)
    assert [shape[0] for shape in ends.values()] == [32, 16, 8, 8, 4, 4]


def _point(layer, size, channels, kind="Add", joins=True, pointwise=0, spatial=1):
    return cut_points.CutPoint(
        layer, kind, (size, size, channels), 10, 100, joins, pointwise, spatial
    )


def _stage_names(points, size):
    return [point.layer for point in cut_points.stage_ends(points, (size, size, 3))]


def test_networks_for_small_images_keep_their_large_maps():
    points = [_point("one", 32, 16), _point("two", 16, 32), _point("three", 8, 64)]
    assert _stage_names(points, 32) == ["one", "two", "three"]
    assert _stage_names([*points, _point("four", 4, 128)], 32) == ["two", "three", "four"]
    assert _stage_names([*points, _point("four", 4, 128), _point("five", 2, 256)], 32) == [
        "three",
        "four",
        "five",
    ]


def test_more_than_twelve_stages_leave_one_for_each_resolution():
    points = [_point(f"p{i}", 8 if i < 6 else 4, 8 + i) for i in range(12)]
    assert len(_stage_names(points, 32)) == 12
    points.append(_point("last", 4, 99))
    assert _stage_names(points, 32) == ["p5", "last"]


def test_heads_pools_and_pre_activations_are_no_stage_ends():
    end = _point("end", 8, 8)
    norm = _point("norm", 8, 8, "BatchNormalization", False, 0, 0)
    relu = _point("relu", 8, 8, "ReLU", False, 0, 0)
    conv = _point("conv", 8, 8, "Conv2D", False)
    head = _point("head", 8, 99, "Conv2D", False, pointwise=1, spatial=0)
    pool = _point("pool", 4, 8, "MaxPooling2D", False, spatial=0)
    pad = _point("pad", 9, 8, "ZeroPadding2D", False, spatial=0)
    mean = _point("mean", 1, 8, "GlobalAveragePooling2D", False, spatial=0)
    for points, expected in (
        ([end, norm, relu], ["end"]),  # the norm opens the next unit
        ([end, relu], ["relu"]),  # as in ResNet: the activation ends the unit
        ([end, conv, norm, relu], ["relu"]),  # the norm is the convolution's
        ([end, relu, norm], ["relu"]),
        ([end, pad, norm], ["end"]),
        ([end, pool], ["end"]),
        ([end, head], ["end"]),
        ([end, mean], ["end"]),
        ([end, _point("means", 1, 9, "Mean"), _point("more", 1, 10)], ["end"]),
        ([end, _point("two", 2, 9), _point("one", 1, 10)], ["end", "two", "one"]),  # a stride
        ([end, _point("wide", 8, 48), _point("next", 4, 12)], ["end", "next"]),  # inner width
        ([end, _point("shrunk", 4, 8), _point("next", 4, 12)], ["end", "next"]),
        ([end, _point("shrunk", 4, 8), _point("next", 2, 12)], ["end", "shrunk", "next"]),
    ):
        assert _stage_names(points, 32) == expected, points


def _space(*strides, stem=2):
    blocks = tuple(spaces.Block(stride, (spaces.Cell(1, 8),)) for stride in strides)
    frame = spaces.Frame(stem_stride=stem)
    return spaces.SearchSpace("own", DNA.ops, blocks, frame)


def _chosen(points, space, size=32):
    ends = [p for p in points if p.layer.startswith("end")]
    chosen = fit.choose(points, ends, (size, size, 3), space)
    return chosen and [point.layer for point in chosen]


def test_the_choice_for_a_space_is_the_best_of_all_assignments():
    draw, count = random.Random(3), 0
    for _ in range(200):
        sizes = sorted(draw.choices((8, 4, 2), k=draw.randint(2, 9)), reverse=True)
        points = [
            _point(
                f"{draw.choice(('end', 'other'))}{i}",
                size,
                draw.choice((8, 9)),
                spatial=draw.randint(0, 1),
            )
            for i, size in enumerate(sizes)
        ]
        strides = [2, *draw.choices((1, 2), k=draw.randint(0, 2))]
        space = _space(*strides)
        expected = _best_assignment(points, fit.block_sizes(space, (32, 32, 3)))
        assert _chosen(points, space) == expected
        count += expected is not None
    assert 50 < count < 150


def _best_assignment(points, sizes):
    """By trying all: stage ends count 2, others of their shapes 1; then the latest."""
    ends = {p.shape for p in points if p.layer.startswith("end")}
    assignments = [((), ())]  # places, worths
    for size in sizes:
        assignments = [
            (
                (*places, i),
                (*worths, 2 if p.layer.startswith("end") else 1 if p.shape in ends else 0),
            )
            for places, worths in assignments
            for i, p in enumerate(points)
            if p.shape[:2] == size
            and i > (places[-1] if places else -1)
            and any(q.spatial for q in points[(places[-1] + 1 if places else 0) : i + 1])
        ]
    if not assignments:
        return None
    places, _ = max(assignments, key=lambda pair: (sum(pair[1]), pair[0][::-1]))
    return [points[i].layer for i in places]


def test_a_stage_is_shared_by_two_blocks_where_the_space_has_more():
    model = _build("MobileNetV3Small")
    five = tuple(KNOWN["MobileNetV3Small"])
    assert cut_points.propose(model, (224, 224, 3), DNA) == (
        *five[:4],
        "expanded_conv_9_add",
        five[4],
    )


def test_a_space_that_does_not_fit_is_refused_with_the_way_out():
    model = residual_cnn.build((32, 32, 3), 10)
    message = (
        r"Block 3 of the space 'dna' needs a map of 2x2 for images of 32x32, and the teacher "
        r"'residual_cnn' has none to cut at\. It offers maps of 16x16, 8x8, 4x4\. Likely fix: a "
        r"space that fits, such as the ready-made 'digits'\."
    )
    with pytest.raises(ValueError, match=message):
        cut_points.propose(model, (32, 32, 3), DNA)
    model = residual_cnn.build((100, 100, 3), 10)  # no ready-made space for such images
    four = _space(2, 2, 1, 1)
    assert cut_points.propose(model, (100, 100, 3), four)[1:] == (
        "stage2_out",
        "stage3_unit1_add",
        "stage3_out",
    )
    message = r"Block 6 of the space 'own' needs another map of 13x13 .* has none left .*fewer blo"
    with pytest.raises(ValueError, match=message):
        cut_points.propose(model, (100, 100, 3), _space(2, 2, *[1] * 6))
    with pytest.raises(ValueError, match=r"Block 3 .* a map of 7x7 .*a space with other strides"):
        cut_points.propose(model, (100, 100, 3), _space(2, 2, 2))


def _strided(size, padding):
    image = keras.Input((size, size, 3))
    x = image
    for i, width in enumerate((4, 8, 12, 16)):
        x = layers.Conv2D(width, 3, 2, padding=padding, name=f"conv{i}")(x)
        x = layers.Conv2D(width, 3, 1, padding=padding, name=f"more{i}")(x)
    return keras.Model(image, x, name="strided")


def test_a_teacher_that_rounds_the_other_way_is_told_so():
    with pytest.raises(ValueError, match=r"needs a map of 25x25 .* 23x23.* cut off the borders"):
        cut_points.propose(_strided(100, "valid"), (100, 100, 3), _space(2))
    image = keras.Input((30, 30, 3))
    x = image
    for i in range(2):
        x = layers.Conv2D(4, 3, padding="same", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(name=f"pool{i}")(x)
    x = layers.Conv2D(4, 3, padding="same", name="conv2")(x)  # 30 -> 15 -> 7
    with pytest.raises(ValueError, match=r"a map of 8x8 .* 15x15, 7x7\. .* multiple of 32, so"):
        cut_points.propose(keras.Model(image, x), (30, 30, 3), _space(2))


def test_what_has_no_map_or_no_plain_graph_is_refused():
    image = keras.Input((8, 8, 3))
    flat = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)), name="flat")
    assert cut_points.single_way_layers(flat, (8, 8, 3)) == []
    with pytest.raises(ValueError, match="No layer of the teacher 'flat' is the only way"):
        cut_points.propose(flat, (8, 8, 3))
    with pytest.raises(ValueError, match=r"Block 1 of the space 'dna' .* offers maps of no size"):
        cut_points.propose(flat, (8, 8, 3), DNA)
    with pytest.raises(ValueError, match="takes images of 8x8x3, and the data gives 9x8x3"):
        cut_points.propose(flat, (9, 8, 3))
    with pytest.raises(ValueError, match="one input and one output"):
        cut_points.propose(keras.Model(image, [image, flat.output]), (8, 8, 3))


def test_every_point_can_be_cut_at():
    model = residual_cnn.build((16, 16, 3), 5)
    points = cut_points.single_way_layers(model, (16, 16, 3))
    cut = cutting.cut_model(model, tuple(point.layer for point in points), (16, 16, 3))
    assert cut.shapes[1:] == tuple(point.shape for point in points)
    params = [sum(int(np.prod(w.shape)) for w in b.trainable_weights) for b in cut.blocks]
    assert params == [point.params for point in points]
