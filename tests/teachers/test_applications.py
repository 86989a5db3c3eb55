"""Teachers by name: what keras.applications computes with its own preprocessing, in one graph."""

import importlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from dna_tf.models import keras_files, preprocessing
from dna_tf.teachers import application_names, applications, building, cutting
from tests.helpers import small_teachers

# The smallest model of each family, with its family's module and the size it is tested at.
FAMILIES = {
    "efficientnet_b0": ("efficientnet", 32),
    "efficientnet_v2_b0": ("efficientnet_v2", 32),
    "mobilenet": ("mobilenet", 32),
    "mobilenet_v2": ("mobilenet_v2", 32),
    "mobilenet_v3_small": ("mobilenet_v3", 32),
    "resnet50": ("resnet", 32),
    "resnet50_v2": ("resnet_v2", 32),
    "convnext_tiny": ("convnext", 32),
    "densenet121": ("densenet", 32),
    "vgg16": ("vgg16", 32),
    "xception": ("xception", 71),
    "inception_v3": ("inception_v3", 75),
    "inception_resnet_v2": ("inception_resnet_v2", 75),
    "nasnet_mobile": ("nasnet", 64),
}
# One with names of its own for its parts, and one with its preprocessing inside.
QUICK = ("mobilenet_v2", "mobilenet_v3_small")
B7_CUTS = ("block2g_add", "block3g_add", "block4j_add", "block5j_add", "block6m_add", "block7d_add")


def _images(size, count=2):
    rng = np.random.default_rng(1)
    return rng.uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def _of_keras(name, size, **options):
    function = getattr(keras.applications, application_names.MODELS[name].function)
    options = {"weights": None, "classes": 7, "classifier_activation": None} | options
    return function(input_shape=(size, size, 3), **options)


def _shake(model, size):
    """Gives every weight a say, and batch norms the statistics of images, so that maps live."""
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if type(layer).__name__ == "LayerScale":  # starts at 1e-6
            layer.set_weights([rng.uniform(0.1, 1.0, w.shape) for w in layer.weights])
    model(_images(size, 8), training=True)
    return model


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in FAMILIES]
)
def test_it_is_keras_model_with_keras_preprocessing_inside(tmp_path, name):
    module, size = FAMILIES[name]
    model = _shake(applications.build(name, (size, size, 3), 7, seed=3), size)
    assert model.name == name and len(model.inputs) == 1 and model.output_shape == (None, 7)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    reference = _of_keras(name, size)
    reference.set_weights(model.get_weights())  # fails if the order or a shape differs
    prepare = importlib.import_module(f"keras.applications.{module}").preprocess_input
    images = _images(size)
    scores = model(images, training=False).numpy()
    expected = reference(prepare(images.copy()), training=False).numpy()
    largest = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * largest  # it sees the image
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5 * largest)
    # Logits: neither positive nor summing to 1.
    assert np.abs(scores.sum(-1) - 1).max() > 1e-3
    keras_files.save_model(model, tmp_path / "model.keras")
    loaded = keras_files.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images, training=False), scores)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]


def test_the_table_has_every_model_of_keras():
    functions = {n for n in dir(keras.applications) if n[0].isupper()}
    assert {entry.function for entry in application_names.MODELS.values()} == functions
    assert len(set(application_names.NAMES)) == 40
    for name, entry in application_names.MODELS.items():
        # efficientnet_v2_b0 is EfficientNetV2B0
        assert name.replace("_", "") == entry.function.lower()
        assert entry.kind in preprocessing.KINDS and (entry.kind == "none") == entry.included


def test_the_table_needs_no_keras():
    code = "import sys, dna_tf.teachers.application_names; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", application_names.NAMES)
def test_the_smallest_image_is_that_of_keras(name):
    smallest = application_names.MODELS[name].smallest
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}"):
        _of_keras(name, smallest - 1)
    with pytest.raises(
        ValueError, match=rf"{name} takes images of at least {smallest}x{smallest}\. Received: "
    ):
        applications.build(name, (smallest, smallest - 1, 3), 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", application_names.NAMES)
def test_every_model_is_built_at_its_smallest_image(name):
    smallest = application_names.MODELS[name].smallest
    model = applications.build(name, (smallest, smallest, 3), 5)
    scores = model(_images(smallest, 1), training=False)
    assert scores.shape == (1, 5) and np.all(np.isfinite(scores))
    keras.utils.clear_session()


def test_names_of_layers_do_not_depend_on_what_was_built_before():
    first, _, again = (
        applications.build("mobilenet_v3_small", (32, 32, 3), classes) for classes in (3, 4, 3)
    )
    names = [[operation.name for operation in model.operations] for model in (first, again)]
    assert names[0] == names[1] and names[0][:2] == ["image", "rescaling"]
    # Keras numbers in the order of making, which where branches join is not that of the graph:
    # five convolutions, then a block with four branches of 1, 2, 3 and 1.
    model = applications.build("inception_v3", (75, 75, 3), 3)
    convolutions = [model.get_layer(f"conv2d_{i}") for i in range(5, 12)]
    assert [(conv.filters, conv.kernel_size[0]) for conv in convolutions] == [
        (64, 1),
        *((48, 1), (64, 5)),
        *((64, 1), (96, 3), (96, 3)),
        (32, 1),
    ]


def test_convnext_is_flat_and_can_be_cut_where_its_blocks_end():
    model = applications.build("convnext_tiny", (32, 32, 3), 3)
    cuts = [f"convnext_tiny_stage_{i}_block_{n}_add" for i, n in enumerate((2, 2, 8, 2))]
    cut = cutting.cut_model(model, cuts, (32, 32, 3))
    assert cut.shapes[1:] == ((8, 8, 96), (4, 4, 192), (2, 2, 384), (1, 1, 768))
    value = _images(32)
    for block in cut.blocks:
        value = block(value, training=False)
    rest = keras.Model(model.get_layer(cuts[-1]).output, model.output)
    np.testing.assert_array_equal(rest(value), model(_images(32), training=False))


def test_cuts_of_the_paper():
    b7 = keras.applications.EfficientNetB7(weights=None, input_shape=(32, 32, 3))
    assert applications.paper_cuts("efficientnet_b7", b7) == B7_CUTS
    b0 = applications.build("efficientnet_b0", (32, 32, 3), 3)
    assert applications.paper_cuts("efficientnet_b0", b0) == small_teachers.B0_CUTS
    cutting.cut_model(b0, small_teachers.B0_CUTS, (32, 32, 3))
    assert applications.paper_cuts("efficientnet_v2_b0", b0) is None
    assert applications.paper_cuts("some/efficientnet_b0.keras", b0) is None


def test_wrong_images_are_refused():
    build = applications.build
    with pytest.raises(ValueError, match="no teacher named 'resnet51'.*mean 'resnet50'"):
        build("resnet51", (32, 32, 3), 3)
    for name in ("resnet50", "densenet121", "convnext_tiny"):
        with pytest.raises(ValueError, match=f"{name} has a value for each .*64x64x1.*channels=3"):
            build(name, (64, 64, 1), 3)
    with pytest.raises(ValueError, match="ImageNet weights need images with 3 channels.*224x1"):
        build("efficientnet_b0", (224, 224, 1), 1000, "imagenet")
    with pytest.raises(ValueError, match=r"vgg16 fit images of 224x224 only.*64x64x3"):
        build("vgg16", (64, 64, 3), 1000, "imagenet")
    grey = build("mobilenet_v3_small", (32, 32, 1), 3)
    assert grey.input_shape == (None, 32, 32, 1)


def test_a_weights_file_gives_the_model_it_was_made_of(tmp_path):
    name = "mobilenet_v3_small"
    source = _of_keras(name, 32)
    rng = np.random.default_rng(4)
    source.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in source.get_weights()])
    source.save_weights(tmp_path / "of_keras.weights.h5")
    source.save(tmp_path / "whole.h5")
    rebuilt = applications.build(name, (32, 32, 3), 7, str(tmp_path / "of_keras.weights.h5"))
    rebuilt.save_weights(tmp_path / "of_ours.weights.h5")
    for file in ("of_keras.weights.h5", "whole.h5", "of_ours.weights.h5"):
        model = applications.build(name, (32, 32, 3), 7, str(tmp_path / file))
        for weight, expected in zip(model.get_weights(), source.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, expected)


def test_weights_files_that_do_not_fit_are_refused(tmp_path, recwarn):
    def refused(weights, classes=7, name="mobilenet_v3_small"):
        applications.build(name, (32, 32, 3), classes, str(tmp_path / weights))

    with pytest.raises(FileNotFoundError, match="no weights file .*none.weights.h5"):
        refused("none.weights.h5")
    with pytest.raises(ValueError, match=r"must be '', 'imagenet' or .*\.h5 file.*model\.keras"):
        refused("model.keras")
    model = _of_keras("mobilenet_v3_small", 32)
    model.save_weights(tmp_path / "seven.weights.h5")
    with pytest.raises(
        ValueError, match=r"does not fit .* with 5 outputs.*classes=5.*logits.*1024, 7\)"
    ):
        refused("seven.weights.h5", 5)
    with pytest.raises(ValueError, match=r"does not fit mobilenet_v2 with 7 outputs.*MobileNetV2"):
        refused("seven.weights.h5", name="mobilenet_v2")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(ValueError, match=r"text\.h5 does not fit .*file signature not found"):
        refused("text.h5")
    model.get_layer("conv_bn").moving_variance.assign(np.full(16, np.nan))
    model.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(ValueError, match="conv_bn/moving_variance has values that are not numbers"):
        refused("nan.weights.h5")
    assert not [w for w in recwarn if "nested container" in str(w.message)]


@pytest.fixture
def download(monkeypatch):
    """Stands in for Keras' download; returns what it is to give and what was asked for."""
    state = {"path": None, "asked": []}

    def get_file(name, *args, **kwargs):
        state["asked"].append(name)
        if state["path"] is None:
            raise Exception("URL fetch failure on https://...: no network")
        return state["path"]

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    return state


@pytest.mark.usefixtures("seeded")
def test_imagenet_weights_work_at_any_size(tmp_path, download):
    # Keras adds a Rescaling to EfficientNet for ImageNet weights, and gives them at 224 only.
    source = _shake(_of_keras("efficientnet_b0", 64, classes=1000), 64)
    source.layers[2].set_weights(
        [np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)]
    )
    download["path"] = str(tmp_path / "b0.weights.h5")
    source.save_weights(download["path"])
    model = applications.build("efficientnet_b0", (65, 48, 3), 7, "imagenet")
    assert download["asked"] == ["efficientnetb0.h5"] and model.output_shape == (None, 1000)
    images = np.random.default_rng(1).uniform(0, 255, (2, 65, 48, 3)).astype(np.float32)
    headless = keras.applications.EfficientNetB0(
        weights="imagenet", include_top=False, input_shape=(65, 48, 3)
    )

    def features(model):
        # Not deeper: rounding grows from layer to layer when weights are random.
        cut = keras.Model(model.inputs[0], model.get_layer("block4a_project_bn").output)
        return cut(images, training=False).numpy()

    expected = features(headless)
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(features(model), expected, rtol=1e-4, atol=tolerance)
    heads = [network.get_layer("predictions").kernel for network in (model, source)]
    np.testing.assert_array_equal(*heads)
    # The same file given as a path: Keras would leave its standard deviations unsquared.
    by_path = applications.build("efficientnet_b0", (65, 48, 3), 1000, download["path"])
    np.testing.assert_allclose(features(by_path), expected, rtol=1e-4, atol=tolerance)


def test_imagenet_weights_of_the_images_size_where_keras_has_them(tmp_path, download):
    download["path"] = str(tmp_path / "mobilenet.weights.h5")
    _of_keras("mobilenet", 32, classes=1000).save_weights(download["path"])
    for shape in ((160, 160, 3), (32, 32, 3), (160, 128, 3)):
        applications.build("mobilenet", shape, 7, "imagenet")
    assert download["asked"] == [f"mobilenet_1_0_{size}_tf.h5" for size in (160, 224, 224)]


def test_imagenet_weights_that_cannot_be_had_are_told(monkeypatch, download):
    with pytest.raises(
        OSError, match="ImageNet weights of mobilenet_v3_small.*KERAS_HOME.*no network"
    ):
        applications.build("mobilenet_v3_small", (32, 32, 3), 7, "imagenet")
    right = keras.applications.MobileNetV3Small

    def wrong(weights=None, **options):  # some releases of Keras 3
        if weights == "imagenet":
            return right(weights=None, input_shape=(224, 224, 1))
        return right(weights=weights, **options)

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", wrong)
    with pytest.raises(ValueError, match="mobilenet_v3_small .* sees 1 channels instead of 3"):
        applications.build("mobilenet_v3_small", (32, 32, 3), 7, "imagenet")


def test_a_config_names_them():
    built = building.build_teacher("mobilenet_v3_small", (32, 32, 3), 4, seed=1)
    assert built.name == "mobilenet_v3_small" and built.output_shape == (None, 4)
    again = applications.build("mobilenet_v3_small", (32, 32, 3), 4, seed=1)
    other = applications.build("mobilenet_v3_small", (32, 32, 3), 4, seed=2)
    fingerprints = [keras_files.weights_fingerprint(model) for model in (built, again, other)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    assert building.needs_training("resnet50")
    assert not building.needs_training("resnet50", "imagenet")
    with pytest.raises(ValueError, match="no weights for residual_cnn.*Received: 'imagenet'"):
        building.build_teacher("residual_cnn", (32, 32, 3), 4, weights="imagenet")
