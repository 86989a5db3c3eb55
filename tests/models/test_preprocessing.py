"""Preprocessing inside a model: the values of keras.applications, and the model unchanged."""

import keras
import numpy as np
import pytest

from dna_tf.models import keras_files, preprocessing
from dna_tf.teachers import building, cutting
from tests.helpers import devices

SHAPE = (8, 10, 3)
layers = keras.layers
MODES = {"minus_one_one": "tf", "caffe": "caffe", "torch": "torch"}


def _images(count=2, shape=SHAPE):
    return np.random.default_rng(1).uniform(0, 255, (count, *shape)).astype(np.float32)


def _expected(kind, images):
    if kind in MODES:
        of_keras = keras.applications.imagenet_utils.preprocess_input
        return of_keras(images.copy(), mode=MODES[kind])
    return images / np.float32(255) if kind == "zero_one" else images


@pytest.mark.parametrize("kind", preprocessing.KINDS)
@pytest.mark.parametrize("shape", [SHAPE, (None, None, 3)])
def test_the_layers_compute_what_keras_computes(kind, shape):
    image = keras.Input(shape)
    model = keras.Model(image, preprocessing.apply(kind, image))
    assert model.output_shape == (None, *shape) and not model.weights
    images = np.concatenate([_images(), np.floor(_images()), np.zeros((1, *SHAPE), np.float32)])
    values = model(images).numpy()
    # On CPUs to the bit; GPUs divide in another way.
    tolerance = 1e-6 if devices.HAS_GPU else 0.0
    np.testing.assert_allclose(values, _expected(kind, images), rtol=tolerance, atol=tolerance)
    in_graph = model.predict(images, verbose=0)
    np.testing.assert_allclose(in_graph, values, rtol=tolerance, atol=tolerance)


def _model():
    """A graph with what can go wrong: sharing, several readers, operations, a nested model."""
    image = keras.Input(SHAPE, name="pixels")
    normalize = layers.Normalization(name="normalize")
    normalize.adapt(np.random.default_rng(5).normal(3, 7, (4, *SHAPE)))
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = shared(normalize(image))
    y = layers.BatchNormalization(name="norm")(layers.Conv2D(3, 1, name="side")(image))
    x = layers.Concatenate(name="joined")([x, shared(y * 2.0 + image)])
    x = layers.BatchNormalization(name="frozen", trainable=False)(x)
    inner = keras.Sequential(
        [keras.Input((8, 10, 8)), layers.Conv2D(5, 3, name="inner_conv"), layers.ReLU()],
        name="inner",
    )
    x = layers.Dropout(0.5, seed=4, name="drop")(inner(x))
    x = layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(image, x, name="odd")
    rng = np.random.default_rng(3)
    for weight in model.weights:
        if "normalize" not in weight.path:
            weight.assign(rng.uniform(0.2, 1.0, weight.shape))
    return model


@pytest.mark.parametrize("kind", preprocessing.KINDS[1:])
def test_a_model_behind_preprocessing_is_itself(tmp_path, kind):
    model, images = _model(), _images()
    expected = model(_expected(kind, images), training=False).numpy()
    whole = preprocessing.with_preprocessing(model, kind)
    np.testing.assert_allclose(whole(images, training=False), expected, rtol=1e-5, atol=1e-4)
    assert whole.name == "odd" and whole.input.name == model.input.name
    # The model's own layers in the model's order, and nothing else but the new ones.
    names = [layer.name for layer in model.layers]
    kept = [layer.name for layer in whole.layers if not layer.name.startswith("preprocess_")]
    assert kept == names and len(whole.layers) > len(names)
    for weights in ("weights", "trainable_weights"):
        paths = [
            [w.path.split("/")[-2:] for w in getattr(part, weights)] for part in (whole, model)
        ]
        assert paths[0] == paths[1] and len(paths[0]) > 5
    # Two models: neither shares a weight with the other, and a layer is in one graph only.
    before = whole(images, training=False).numpy()
    for weight in model.weights:
        weight.assign(weight + 1)
    np.testing.assert_array_equal(whole(images, training=False), before)
    for part in (whole, model):
        assert part.get_layer("joined").output.shape == (None, 8, 10, 8)
    keras_files.save_model(whole, tmp_path / "made.keras")
    loaded = keras_files.load_model(tmp_path / "made.keras")
    np.testing.assert_array_equal(loaded(images, training=False), before)


def test_none_is_the_model_itself():
    model = _model()
    assert preprocessing.with_preprocessing(model, "none") is model


def test_sequential_models_and_dicts_of_one_input_get_it_too():
    def conv():
        return layers.Conv2D(2, 3, name="conv")

    image = keras.Input(SHAPE, name="pixels")
    sequence = keras.Sequential([keras.Input(SHAPE), conv()])
    for model in (sequence, keras.Model({"pixels": image}, [conv()(image)])):
        whole = preprocessing.with_preprocessing(model, "zero_one")
        expected = model.get_layer("conv")(_images() / 255)
        np.testing.assert_allclose(whole(_images()), expected, rtol=1e-5, atol=1e-5)


def test_a_teacher_file_gets_the_configs_preprocessing_and_can_be_cut(tmp_path):
    model = _model()
    keras_files.save_model(model, tmp_path / "odd.keras")
    path = str(tmp_path / "odd.keras")
    built = building.build_teacher(path, SHAPE, 3, preprocessing="torch")
    cut = cutting.cut_model(built, ("joined", "drop"), SHAPE)
    images = _images()
    whole = keras.Model(model.input, model.get_layer("drop").output)
    np.testing.assert_allclose(
        cut.blocks[1](cut.blocks[0](images, training=False), training=False),
        whole(_expected("torch", images), training=False),
        rtol=1e-5,
        atol=1e-4,
    )
    with pytest.raises(ValueError, match="no preprocessing 'tourch'.*mean 'torch'"):
        building.build_teacher(path, SHAPE, 3, preprocessing="tourch")
    with pytest.raises(ValueError, match="odd.keras holds a model with its weights.*'imagenet'"):
        building.build_teacher(path, SHAPE, 3, weights="imagenet")
    for name in ("residual_cnn", "resnet50"):
        with pytest.raises(ValueError, match=f"models from files: {name} has its.*'torch'"):
            building.build_teacher(name, (32, 32, 3), 3, preprocessing="torch")


class _Closed(layers.Layer):
    """A layer that cannot be rebuilt: its config does not have the arguments of its constructor."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {"name": self.name}


class _Subclassed(keras.Model):
    def call(self, x):
        return x


def test_models_that_cannot_have_it_are_refused():
    refused = preprocessing.with_preprocessing
    with pytest.raises(ValueError, match=r"no preprocessing 'tf'\. Known: \['none', 'zero_one'"):
        refused(_model(), "tf")
    grey, image = keras.Input((8, 8, 1)), keras.Input(SHAPE)
    for kind in ("caffe", "torch"):
        with pytest.raises(ValueError, match=f"'{kind}' has a value.*images with 1 channels"):
            refused(keras.Model(grey, layers.ReLU()(grey)), kind)
    assert refused(keras.Model(grey, layers.ReLU()(grey)), "zero_one").input_shape[-1] == 1
    preprocessed = refused(_model(), "torch")
    for kind in ("torch", "caffe"):
        with pytest.raises(ValueError, match="'odd' has layers named preprocess_... already"):
            refused(preprocessed, kind)
    line = keras.Input((5,))
    with pytest.raises(ValueError, match=r"model of images .* has the shape \(None, 5\)"):
        refused(keras.Model(line, layers.ReLU()(line)), "torch")
    two = keras.Model([image, grey], [layers.ReLU()(image), layers.ReLU()(grey)])
    with pytest.raises(ValueError, match="one input and one output.* with 2 inputs .* 2 outputs"):
        refused(two, "zero_one")
    closed = keras.Model(image, _Closed(2.0, name="closed")(image))
    with pytest.raises(
        ValueError, match=r"'closed' \(_Closed\).*rebuilt from its config.*'factor'"
    ):
        refused(closed, "zero_one")
    subclassed = _Subclassed(name="own")
    subclassed(_images())
    with pytest.raises(ValueError, match=r"'own' is a subclassed model \(_Subclassed\)"):
        refused(subclassed, "zero_one")
