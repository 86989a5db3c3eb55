"""Teachers: built, loaded safely, and cut into sub-models whose chain is the whole."""

import hashlib

import keras
import numpy as np
import pytest

from dna_tf.models import keras_files, model_costs
from dna_tf.space import fit, presets
from dna_tf.teachers import application_names, building, cutting, residual_cnn
from tests.helpers import small_teachers

SHAPE = (16, 16, 3)
CUTS = ("stage1_out", "stage2_out", "stage3_out")
layers = keras.layers


def _images(shape, batch=3):
    return np.random.default_rng(1).uniform(0, 255, (batch, *shape)).astype(np.float32)


@pytest.fixture(scope="module")
def small():
    return small_teachers.shaken(residual_cnn.build(SHAPE, 5, dropout=0.5, seed=3))


@pytest.fixture(scope="module")
def b0():
    return small_teachers.shaken(building.build_teacher("efficientnet_b0", (32, 32, 3), 7, seed=3))


def _wrong_maps(cut, model, cuts, shapes):
    """The cuts whose maps are not the model's, and what else of the cut is not as expected.

    A block's map is right if it has its shape, is the model's and the features' to the bit,
    and is not zero all over.
    """
    expected = {"model": model, "cuts": cuts, "shapes": shapes}
    wrong = [name for name, value in expected.items() if getattr(cut, name) != value]
    images = _images(shapes[0])
    chained, features = images, cut.features(images, training=False)
    features = features if len(cuts) > 1 else [features]
    for block, feature, name, shape in zip(cut.blocks, features, cuts, shapes[1:], strict=True):
        chained = block(chained, training=False)
        alone = keras.Model(model.input, model.get_layer(name).output)(images, training=False)
        same = np.array_equal(chained, feature) and np.array_equal(chained, alone)
        if not same or chained.shape != (3, *shape) or np.abs(chained).max() <= 0.01:
            wrong.append(name)
    # What comes after the last cut reads nothing but its map.
    rest = keras.Model(model.get_layer(cuts[-1]).output, model.output)
    if not np.array_equal(rest(chained, training=False), model(images, training=False)):
        wrong.append("rest")
    return wrong


def test_the_blocks_of_residual_cnn_make_its_features(small):
    cut = cutting.cut_model(small, CUTS, SHAPE)
    assert _wrong_maps(cut, small, CUTS, (SHAPE, (4, 4, 32), (2, 2, 64), (2, 2, 96))) == []
    before = sum(block.count_params() for block in cut.blocks)
    assert 0 < before < small.count_params()  # each weight in one block, head in none


def test_the_blocks_of_efficientnet_make_its_features(b0):
    shapes = ((8, 24), (4, 40), (2, 80), (2, 112), (1, 192), (1, 320))
    shapes = ((32, 32, 3), *((size, size, width) for size, width in shapes))
    cut = cutting.cut_model(b0, small_teachers.B0_CUTS, (32, 32, 3))
    assert _wrong_maps(cut, b0, small_teachers.B0_CUTS, shapes) == []
    assert b0.output_shape == (None, 7)


def test_odd_sizes_give_the_shapes_that_run(small):
    model = residual_cnn.build((15, 13, 1), 2)
    cut = cutting.cut_model(model, CUTS[:2], (15, 13, 1))
    assert _wrong_maps(cut, model, CUTS[:2], ((15, 13, 1), (4, 4, 32), (2, 2, 64))) == []


def test_one_cut_makes_one_block(small):
    cuts = ("stage2_unit1_add",)
    cut = cutting.cut_model(small, cuts, SHAPE)
    assert _wrong_maps(cut, small, cuts, (SHAPE, (2, 2, 64))) == []
    assert len(cut.blocks) == 1


def test_a_model_for_any_image_size_takes_the_datas():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(4, 3, 2, padding="same", name="conv")(image))
    assert cutting.cut_model(model, ("conv",), (10, 7, 3)).shapes == ((10, 7, 3), (5, 4, 4))


def test_lists_dicts_and_sequential_models_of_one_input_can_be_cut():
    def convs():
        return layers.Conv2D(4, 3, name="first"), layers.Conv2D(2, 3, name="last")

    image, (first, last) = keras.Input(SHAPE, name="image"), convs()
    y = last(first(image))
    sequence = keras.Sequential([keras.Input(SHAPE), *convs()])
    for model in (keras.Model([image], [y]), keras.Model({"image": image}, y), sequence):
        first, last = model.get_layer("first"), model.get_layer("last")
        expected = last(first(_images(SHAPE))).numpy()
        cut = cutting.cut_model(model, ("first", "last"), SHAPE)
        assert cut.shapes == (SHAPE, (14, 14, 4), (12, 12, 2))
        np.testing.assert_array_equal(cut.features(_images(SHAPE))[1], expected)
        np.testing.assert_array_equal(cut.blocks[1](cut.blocks[0](_images(SHAPE))), expected)
        assert cut.model.count_params() == model.count_params()


@pytest.mark.parametrize(
    ("cuts", "message"),
    [
        (
            ("stage1_ot", "stage2_out"),
            r"'residual_cnn' has no layer 'stage1_ot'\. Did you mean 'stage1_out'",
        ),
        (
            ("stage2_out", "stage3_out", "stage1_out"),
            r"out of order\. .*computes these layers in this order: "
            r"\['stage1_out', 'stage2_out', 'stage3_out'\]\. Received: cuts=\['stage2_out', ",
        ),
        (
            ("stage1_unit2_conv1", "stage2_out"),
            r"'stage1_unit2_conv1' is not the only way through the teacher .* Nearest layers to "
            r"cut at: 'stage1_unit1_add' before it and 'stage1_out' after it",
        ),
        (
            ("stage1_out", "stage2_unit2_conv1"),
            r"'stage2_unit2_conv1' is not the only .*'stage2_unit1_add' before it and 'stage2_out'",
        ),
        (("stage1_out", "stage1_out"), r"must name different layers, one per block.*stage1_out"),
        ((), r"must name different layers, one per block\. Received: cuts=\[\]"),
        (
            ("stage1_out", "head_pool"),
            r"'head_pool' of .* expected to return one map .*\(None, 96\)\. Nearest.*: "
            "'head_relu' ",
        ),
        (("image",), r"'image' is the input of the teacher .*: 'rescale' after it"),
    ],
    ids=["unknown", "order", "inside", "inside-last", "twice", "none", "not-a-map", "input"],
)
def test_wrong_cuts_are_refused(small, cuts, message):
    with pytest.raises(ValueError, match=message):
        cutting.cut_model(small, cuts, SHAPE)


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1), (16, 15, 3), (16, 16)])
def test_another_image_shape_is_refused(small, shape):
    text = "x".join(map(str, shape))
    with pytest.raises(ValueError, match=f"takes images of 16x16x3, and the data gives {text}\\."):
        cutting.cut_model(small, CUTS, shape)


class _Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.conv = layers.Conv2D(3, 3, name="conv")

    def call(self, x):
        return self.conv(x)


def test_models_without_one_plain_graph_are_refused(small):
    subclassed = _Subclassed()
    subclassed(_images(SHAPE))
    with pytest.raises(ValueError, match=r"'own' is a subclassed model \(_Subclassed\), and only"):
        cutting.cut_model(subclassed, ("conv",), SHAPE)
    image_1, image_2 = keras.Input(SHAPE), keras.Input(SHAPE)
    both = keras.Model([image_1, image_2], layers.Add(name="add")([image_1, image_2]))
    with pytest.raises(ValueError, match=r"one input and one output.*2 inputs .* 1 outputs \['add"):
        cutting.cut_model(both, ("add",), SHAPE)
    fork = keras.Model(
        image_1, [layers.Conv2D(2, 3, name="a")(image_1), layers.Conv2D(2, 3)(image_1)]
    )
    with pytest.raises(ValueError, match=r"one input and one output.*1 inputs .* 2 outputs \['a'"):
        cutting.cut_model(fork, ("a",), SHAPE)
    with pytest.raises(ValueError, match=r"Sequential model without an input shape: put keras\.In"):
        cutting.cut_model(keras.Sequential([layers.Conv2D(2, 3)]), ("a",), SHAPE)
    image = keras.Input(SHAPE)
    outer = keras.Model(image, layers.Dense(2)(small(image)), name="outer")
    with pytest.raises(ValueError, match="'stage1_out' is in the nested model 'residual_cnn' ins"):
        cutting.cut_model(outer, ("stage1_out",), SHAPE)
    with pytest.raises(ValueError, match=r"'residual_cnn' .*one map .*\(None, 5\)\. It cannot be"):
        cutting.cut_model(outer, ("residual_cnn",), SHAPE)


def test_a_layer_that_is_called_twice_is_no_cut():
    image, shared = keras.Input(SHAPE), layers.Conv2D(3, 3, padding="same", name="shared")
    x = layers.ReLU(name="between")(shared(layers.ReLU(name="first")(image)))
    model = keras.Model(image, layers.ReLU(name="last")(shared(x)))
    message = r"'shared' of .* is used 2 times .* ambiguous.*'first' before it and 'between' after"
    with pytest.raises(ValueError, match=message):
        cutting.cut_model(model, ("shared", "last"), SHAPE)
    cuts = ("first", "between")
    cut = cutting.cut_model(model, cuts, SHAPE)
    assert _wrong_maps(cut, model, cuts, (SHAPE, SHAPE, SHAPE)) == []
    # What else the layer is used for does not matter.
    used = layers.Conv2D(3, 3, padding="same", name="used")
    one = keras.Model(image, layers.ReLU(name="end")(used(image)))
    used(keras.Input(SHAPE))
    for _ in range(2):  # nor that it was cut before
        cut = cutting.cut_model(one, ("used",), SHAPE)
        assert _wrong_maps(cut, one, ("used",), (SHAPE, SHAPE)) == []


def test_bare_sums_and_models_in_the_model_can_be_cuts():
    image = keras.Input(SHAPE, name="image")
    unit = [layers.Conv2D(4, 3, 2, padding="same"), layers.BatchNormalization()]
    x = keras.Sequential(unit, name="inner")(image)
    y = x + layers.Conv2D(4, 3, padding="same", name="conv")(x)
    model = keras.Model(image, layers.ReLU(name="end")(y))
    (name,) = [op.name for op in model.operations if type(op).__name__ == "Add"]
    cut = cutting.cut_model(model, ("inner", name), SHAPE)
    images = _images(SHAPE)
    expected = unit[1](unit[0](images), training=False)
    np.testing.assert_array_equal(cut.blocks[0](images, training=False), expected)
    expected = expected + model.get_layer("conv")(expected)
    np.testing.assert_array_equal(cut.features(images, training=False)[1], expected)
    assert cut.shapes == (SHAPE, (8, 8, 4), (8, 8, 4))


def test_efficientnets_first_weights_come_from_the_seed(b0):
    again = building.build_teacher("efficientnet_b0", (32, 32, 3), 7, seed=3)
    kernels = [layer.kernel for layer in b0.layers if type(layer) is layers.Conv2D]
    others = [layer.kernel for layer in again.layers if type(layer) is layers.Conv2D]
    assert len(kernels) > 30
    for kernel, other in zip(kernels, others, strict=True):
        np.testing.assert_array_equal(kernel, other)


def test_residual_cnn_is_what_it_says(small):
    # Counted by hand: kernels, then batch norms (gamma and beta), then the classifier.
    kernels, norms, reads = 9 * 3 * 24, 0, 24
    for width in (32, 64, 96):
        kernels += reads * width + 9 * reads * width + 3 * 9 * width * width
        norms += reads + 3 * width
        reads = width
    trainable = kernels + 2 * (norms + 96) + 96 * 5 + 5
    assert sum(int(np.prod(v.shape)) for v in small.trainable_variables) == trainable
    rescaled = keras.Model(small.input, small.get_layer("rescale").output)
    values = rescaled(np.broadcast_to([[[[0.0]]], [[[127.5]]], [[[255.0]]]], (3, *SHAPE)))
    np.testing.assert_allclose(values[:, 0, 0, 0], [-1, 0, 1], atol=1e-6)
    for name in CUTS:  # maps before an activation have both signs
        assert isinstance(small.get_layer(name), layers.Add)


def test_residual_cnn_wide_has_the_maps_of_small_images_and_even_stages():
    assert tuple(residual_cnn.SIZES) == application_names.TRAINED_HERE
    model = building.build_teacher("residual_cnn_wide", (32, 32, 3), 10, seed=1)
    cut = cutting.cut_model(model, [f"stage{i}_out" for i in range(1, 7)], (32, 32, 3))
    maps = [(32, 32), (16, 64), (8, 128), (8, 128), (4, 256), (4, 256)]
    assert [(side, width) for side, _, width in cut.shapes[1:]] == maps
    fit.check_fit(presets.get_space("small_images"), cut.shapes, cut.cuts)
    # By hand: a 3x3 at full width is 9.4 M in every stage; then what changes the shape.
    full = 9 * 32 * 32 * 32 * 32
    shaped = (full / 9, full / 18, full / 18, full / 9, full / 18, full / 9)  # 1x1 shortcuts
    first = (1, 0.5, 0.5, 1, 0.5, 1)
    stem_and_head = 9 * 3 * 32 * 32 * 32 + 256 * 10
    total = sum(full * (3 + part) + short for part, short in zip(first, shaped, strict=True))
    assert model_costs.count_macs(model) == total + stem_and_head


def test_the_fingerprint_is_that_of_the_weights_alone(small):
    digest = hashlib.sha256()
    for layer in small.layers:
        for value in layer.get_weights() if layer.name != "head_dropout" else []:
            digest.update(value.tobytes())
    first = keras_files.weights_fingerprint(small)
    assert first == digest.hexdigest()[:16]
    copy = keras.models.clone_model(small)
    assert keras_files.weights_fingerprint(copy) != first
    copy.set_weights(small.get_weights())
    assert keras_files.weights_fingerprint(copy) == first
    seed = copy.get_layer("head_dropout").seed_generator.state.numpy().tolist()
    copy.get_layer("head_dropout")(np.ones((1, 96), np.float32), training=True)
    assert copy.get_layer("head_dropout").seed_generator.state.numpy().tolist() != seed
    assert keras_files.weights_fingerprint(copy) == first  # dropout has drawn, no weight moved
    for name in ("moving_mean", "gamma"):  # one bit of one weight, trainable or not
        variable = getattr(copy.get_layer("head_bn"), name)
        value = variable.numpy()
        value[7] = np.nextafter(value[7], np.float32(99))
        variable.assign(value)
        assert keras_files.weights_fingerprint(copy) != first
        first = keras_files.weights_fingerprint(copy)


def test_save_and_load_keep_every_bit(tmp_path, small):
    path = tmp_path / "new" / "model.keras"
    keras_files.save_model(small, path)
    assert [file.name for file in path.parent.iterdir()] == ["model.keras"]
    loaded = keras_files.load_model(path)
    fingerprint = keras_files.weights_fingerprint
    assert fingerprint(loaded) == fingerprint(small)
    loaded_too = building.build_teacher(str(path), SHAPE, 5)
    assert fingerprint(loaded_too) == fingerprint(small)
    cut = cutting.cut_model(loaded, CUTS, SHAPE)
    images = _images(SHAPE)
    expected = cutting.cut_model(small, CUTS, SHAPE).features(images, training=False)
    for feature, other in zip(cut.features(images, training=False), expected, strict=True):
        np.testing.assert_array_equal(feature, other)


def test_files_that_are_no_safe_models_are_refused(tmp_path, small):
    with pytest.raises(FileNotFoundError, match="There is no model file .*none.keras"):
        keras_files.load_model(tmp_path / "none.keras")
    image = keras.Input(SHAPE)
    unsafe = keras.Model(image, layers.Lambda(lambda x: x * 2.0, name="code")(image))
    for suffix in ("keras", "h5"):
        unsafe.save(tmp_path / f"unsafe.{suffix}")
        with pytest.raises(
            ValueError, match=r"unsafe\.\w+ is not a Keras.*loaded safely.*`Lambda`"
        ):
            keras_files.load_model(tmp_path / f"unsafe.{suffix}")
    small.save(tmp_path / "whole.keras")
    content = (tmp_path / "whole.keras").read_bytes()
    broken = tmp_path / "broken.keras"
    for size in (0, 1, len(content) // 2, len(content) - 1):
        broken.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"broken\.keras is not a Keras.*truncated"):
            keras_files.load_model(broken)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF  # in the weights
    broken.write_bytes(flipped)
    with pytest.raises(ValueError, match=r"broken\.keras is not a Keras.*Bad CRC"):
        keras_files.load_model(broken)
    (tmp_path / "text.h5").write_text("no model")
    with pytest.raises(ValueError, match=r"text\.h5 is not a Keras model"):
        keras_files.load_model(tmp_path / "text.h5")


def test_residual_cnn_medium_has_the_maps_of_its_config():
    model = building.build_teacher("residual_cnn_medium", (32, 32, 3), 10, seed=1)
    cut = cutting.cut_model(model, [f"stage{i}_out" for i in range(1, 5)], (32, 32, 3))
    maps = [(16, 32), (8, 64), (8, 96), (4, 128)]
    assert [(side, width) for side, _, width in cut.shapes[1:]] == maps
