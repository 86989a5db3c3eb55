"""Models in other types, for fixed batches, frozen or nested: they compute what plain ones do."""

import keras
import numpy as np
import pytest

from dna_tf.export import prepare
from dna_tf.models import graph, inference, keras_files, model_costs, plain_models
from dna_tf.teachers import building, cut_points, cutting
from dna_tf.training import student_checks
from tests.helpers import devices, small_teachers
from tests.helpers.small_images import Stripes

SHAPE = (16, 16, 3)
PIXELS = np.random.RandomState(0).uniform(0, 255, (3, *SHAPE)).astype(np.float32)
L = keras.layers


@pytest.fixture(autouse=True)
def _seeded(seeded):
    """First weights are those of one seed."""


def _body(x, **options):
    """Rescaling and two stages; `options` are those of every layer."""
    x = L.Rescaling(1 / 255, name="rescale", **options)(x)
    for number, width in enumerate((4, 6)):
        x = L.Conv2D(width, 3, 2, "same", name=f"conv{number}", **options)(x)
        x = L.BatchNormalization(name=f"bn{number}", **options)(x)
        x = L.ReLU(name=f"relu{number}", **options)(x)
    return x


def _head(x, **options):
    x = L.GlobalAveragePooling2D(name="pool", **options)(x)
    return L.Dense(4, name="scores", **options)(x)


def _flat_model(batch_size=None, **options):
    image = keras.Input(SHAPE, batch_size)
    model = keras.Model(image, _head(_body(image, **options), **options), name="teacher")
    return small_teachers.shaken(model)


def _inner_model(shape=(None, None, 3)):
    image = keras.Input(shape)
    return small_teachers.shaken(keras.Model(image, _body(image), name="backbone"))


def _outputs(model, pixels=PIXELS):
    return np.asarray(model(pixels, training=False))


def _with_weights(twin, model):
    twin.set_weights(model.get_weights())
    return twin


def _functional(inner):
    image = keras.Input(SHAPE)
    return keras.Model(image, _head(inner(image, training=False)), name="teacher")


def _sequential(inner):
    pool, scores = L.GlobalAveragePooling2D(name="pool"), L.Dense(4, name="scores")
    return keras.Sequential([inner, pool, scores], name="teacher")


def _twice(inner):
    image = keras.Input((None, None, 3))
    middle = keras.Model(image, inner(image), name="middle")
    return _functional(keras.Sequential([keras.Input(SHAPE), middle], name="outer"))


@pytest.mark.parametrize("nest", [_functional, _sequential, _twice])
def test_a_nested_backbone_becomes_part_of_the_graph(nest, tmp_path):
    nested = nest(_inner_model(SHAPE))
    twin = _with_weights(_flat_model(), nested)
    keras_files.save_model(nested, tmp_path / "model.keras")
    read = building.build_teacher(str(tmp_path / "model.keras"), SHAPE, 4)
    for model in (plain_models.flat(nested), read):
        np.testing.assert_array_equal(_outputs(model), _outputs(twin))
        assert [layer.name for layer in model.layers[1:]] == [ly.name for ly in twin.layers[1:]]
        assert cut_points.single_way_layers(model, SHAPE) == cut_points.single_way_layers(
            twin, SHAPE
        )


def test_names_that_occur_twice_have_their_models_in_front():
    first, second = _inner_model(), keras.Sequential(name="tail")
    for layer in (keras.Input((4, 4, 6)), L.Conv2D(5, 1, name="conv0"), L.Conv2D(5, 1, name="end")):
        second.add(layer)
    image = keras.Input(SHAPE)
    x = second(first(L.ZeroPadding2D(0, name="end")(image)))
    model = keras.Model(image, L.Conv2D(2, 1, name="conv1")(x))
    flat = plain_models.flat(model)
    names = [layer.name for layer in flat.layers[1:]]
    first_names = ["rescale", "conv0", "bn0", "relu0", "backbone_conv1", "bn1", "relu1"]
    assert names == ["end", *first_names, "tail_conv0", "tail_end", "conv1"]
    np.testing.assert_array_equal(_outputs(flat), _outputs(model))


class Doubled(keras.Model):
    """A functional model by its constructor that computes something else."""

    def __init__(self):
        image = keras.Input((4, 4, 6))
        super().__init__(image, L.Conv2D(3, 1)(image))

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training)

    def get_config(self):
        return {"name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls()


def test_models_that_cannot_be_taken_apart_stay_one_layer():
    image, backbone = keras.Input(SHAPE), _inner_model()
    model = keras.Model(image, Doubled()(backbone(image)))
    flat = plain_models.flat(model)
    assert isinstance(flat.layers[-1], Doubled) and flat.layers[-2].name == "relu1"
    np.testing.assert_array_equal(_outputs(flat), _outputs(model))


def test_an_inner_model_at_which_the_teacher_is_cut_stays_one_layer():
    image = keras.Input(SHAPE)
    tail = keras.Sequential([keras.Input((4, 4, 6)), L.Conv2D(5, 1, name="end")], name="tail")
    model = keras.Model(image, tail(_inner_model()(image)))
    flat = plain_models.flat(model, cuts=("relu0", "tail"))
    teacher = cutting.cut_model(flat, ("relu0", "tail"), SHAPE)
    assert [layer.name for layer in flat.layers[-3:]] == ["bn1", "relu1", "tail"]
    np.testing.assert_array_equal(teacher.features(PIXELS)[1], _outputs(model))
    assert plain_models.flat(model, cuts=("backbone", "tail")) is model


def test_a_backbone_that_is_used_twice_can_be_cut_outside_of_it():
    image, backbone = keras.Input(SHAPE), _inner_model(SHAPE)
    both = L.Add(name="both")([backbone(image), backbone(L.Rescaling(-1.0, 255.0)(image))])
    model = keras.Model(image, _head(both))
    flat = plain_models.flat(model)
    np.testing.assert_array_equal(_outputs(flat), _outputs(model))
    assert model_costs.count_params(flat) == model_costs.count_params(model)
    assert "both" in [point.layer for point in cut_points.single_way_layers(flat, SHAPE)]
    with pytest.raises(cutting.CutError, match="'relu1' .* is used 2 times.*'both' after it"):
        cutting.cut_model(flat, ["relu1"], SHAPE)


def test_in_training_too_it_computes_what_the_nested_model_does():
    nested = _functional(_inner_model())
    flat = plain_models.flat(nested)
    np.testing.assert_array_equal(flat(PIXELS, training=True), nested(PIXELS, training=True))
    for new, old in zip(flat.weights, nested.weights, strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16", "float64"])
def test_models_in_other_types_are_read_in_float32(policy, tmp_path):
    model = _flat_model(dtype=policy)
    twin = _with_weights(_flat_model(), model)
    keras_files.save_model(model, tmp_path / "model.keras")
    for read in (keras_files.load_model(tmp_path / "model.keras"), plain_models.flat(model)):
        assert {variable.dtype for variable in read.weights} == {"float32"}
        np.testing.assert_array_equal(_outputs(read), _outputs(twin))
        assert {tensor.dtype for c in graph.calls(read.outputs) for tensor in c.outputs} == {
            "float32"
        }


def test_types_are_changed_inside_wrappers_and_casts_too():
    image = keras.Input(SHAPE, dtype="float16")
    inner = L.Dense(3, name="inner", dtype="float16")
    x = L.TimeDistributed(inner, dtype="mixed_float16")(image)
    x = keras.ops.cast(x, "float16") * 2.0
    model = keras.Model(image, L.Flatten(dtype="float16")(x))
    read = plain_models.usable(model)
    expected = 2.0 * np.asarray(PIXELS) @ inner.kernel.numpy().astype(np.float32)
    np.testing.assert_allclose(_outputs(read), expected.reshape(3, -1), rtol=1e-5)
    assert read.input.dtype == read.output.dtype == "float32"
    assert plain_models.is_usable(read) and {w.dtype for w in read.weights} == {"float32"}


def test_a_fixed_batch_becomes_a_free_one():
    model = _flat_model(batch_size=1)
    free = plain_models.usable(model)
    expected = np.concatenate([_outputs(model, PIXELS[i : i + 1]) for i in range(3)])
    tolerance = 2e-3 if devices.HAS_GPU else 1e-5  # their products have 10 bits after the point
    np.testing.assert_allclose(_outputs(free), expected, rtol=tolerance)
    predictor = inference.KerasPredictor(model)
    np.testing.assert_allclose(predictor.scores(PIXELS), expected, rtol=tolerance)
    image = keras.Input(SHAPE, 2)
    needs_it = keras.Model(image, keras.ops.reshape(image, (2, -1)), name="two")
    with pytest.raises(ValueError, match="'two' is for batches of 2, and its layer 'reshape"):
        plain_models.usable(needs_it)


def test_a_plain_model_is_not_copied():
    model = _flat_model()
    assert plain_models.flat(model) is plain_models.usable(model) is model
    image = keras.Input(SHAPE)
    assert plain_models.usable(nested := _functional(_inner_model())) is nested
    quantized = keras.Model(image, L.Dense(3)(L.Flatten()(image)))
    quantized.quantize("int8")
    assert plain_models.usable(quantized) is quantized


def _freeze(model):
    model.trainable = False
    return model


def test_a_frozen_model_costs_what_it_costs():
    def attention(image):
        return L.MultiHeadAttention(2, 3)(L.Reshape((64, 12))(image), L.Reshape((64, 12))(image))

    image = keras.Input(SHAPE)
    models = [
        _flat_model(),
        _functional(_inner_model()),
        keras.Model(image, attention(image)),
    ]
    for model in models:
        frozen = _freeze(keras.models.clone_model(model))
        assert model_costs.count_params(frozen) == model_costs.count_params(model) > 100
        assert model_costs.total_macs(frozen, SHAPE) == model_costs.total_macs(model, SHAPE)
    flat = _flat_model()
    points = cut_points.single_way_layers(flat, SHAPE)
    assert cut_points.single_way_layers(_freeze(flat), SHAPE) == points
    # By hand: two convolutions with biases and two scales and offsets, then a dense layer.
    assert model_costs.count_params(flat) == 112 + 8 + 222 + 12 + 28
    with pytest.raises(ValueError, match="no weights to train: all its layers are frozen"):
        student_checks.check_model(flat, _stripes())


def _stripes():
    images = Stripes(8)
    images.image_shape, images.num_classes = SHAPE, 4
    return images


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"dtype": "mixed_float16"}])
def test_a_student_to_train_must_be_plain(options):
    with pytest.raises(ValueError, match="must be in float32 and for batches of any size"):
        student_checks.check_model(_flat_model(**options), _stripes())


@devices.of_cpus
def test_channels_first_is_refused_before_any_work():
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, data_format="channels_first", name="first")(L.Permute((3, 1, 2))(image))
    inner = keras.Model(image, L.Permute((2, 3, 1))(x))
    image = keras.Input(SHAPE)
    model = keras.Model(image, _head(inner(image)), name="nchw")
    for refuse in (
        lambda: cutting.cut_model(model, ["pool"], SHAPE),
        lambda: cut_points.propose(model, SHAPE),
        lambda: prepare.prepare(model),
        lambda: inference.KerasPredictor(model),
        lambda: student_checks.check_model(model, _stripes()),
    ):
        with pytest.raises(ValueError, match="'nchw' has convolutions.*'first'.*channels_last"):
            refuse()
