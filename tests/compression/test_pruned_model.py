"""Pruning: the smallest weights of the right layers become zero, and only these."""

import types

import keras
import numpy as np
import pytest

from dna_tf.compression import fine_tuning, pruned_model
from tests.helpers import small_images

SPARSITY, EPOCHS = 0.5, 3


def _section(**changes):
    values = {"epochs": EPOCHS, "batch_size": 32, "learning_rate": 3e-3, "checkpoint_seconds": 99.0}
    return types.SimpleNamespace(**{**values, **changes})


@pytest.fixture(scope="module")
def model():
    return small_images.trained()


def _pruned(model, folder, **changes):
    images = small_images.Stripes()
    section = _section(**changes)
    pruned = pruned_model.PrunedModel(model, SPARSITY, section.epochs * images.steps_per_epoch(32))
    history = fine_tuning.fine_tune("pruned", folder, pruned.model, images, section, 0)
    return pruned, history


@pytest.fixture(scope="module")
def pruned(model, tmp_path_factory):
    return _pruned(model, tmp_path_factory.mktemp("pruned"))


def _accuracy(model, images):
    answers = model.predict(images.pixels, verbose=0).argmax(1)
    return np.mean(answers == images.labels)


def test_half_of_each_pointwise_kernel_is_zero_and_no_other_weight(model, pruned):
    stripped = pruned[0].strip()
    names = pruned[0].names
    expected = [
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Dense)
        or (type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1))
    ]
    assert names == expected and "classifier" in names and "stem_conv" not in names
    for layer in stripped.layers:
        for index, values in enumerate(layer.get_weights()):
            share = np.mean(values == 0)
            if index == 0 and layer.name in names:
                # tfmot rounds the number of kept weights.
                assert abs(share - SPARSITY) <= 1 / values.size, layer.name
                assert pruned_model.layer_sparsity(stripped, names)[layer.name] == share
            elif layer.name.endswith("_conv"):
                assert share == 0, layer.name


def test_the_pruned_student_still_knows_its_task(model, pruned):
    images, stripped = small_images.Stripes(128, seed=9), pruned[0].strip()
    assert _accuracy(model, images) > 0.95
    assert _accuracy(stripped, images) > 0.9
    assert pruned[1][-1]["loss"] < 0.5
    twin = pruned[0].model.predict(images.pixels, verbose=0)
    np.testing.assert_allclose(
        stripped.predict(images.pixels, verbose=0), twin, rtol=1e-4, atol=1e-4
    )


def test_it_is_the_smallest_weights_that_go(model, tmp_path):
    before = [np.copy(w) for w in model.get_weights()]
    pruned, _ = _pruned(model, tmp_path, epochs=1, learning_rate=1e-8)
    stripped = pruned.strip()
    for name in pruned.names:
        kernel = model.get_layer(name).get_weights()[0]
        kept = stripped.get_layer(name).get_weights()[0] != 0
        assert np.abs(kernel[kept]).min() >= np.abs(kernel[~kept]).max() - 1e-6, name
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)  # the student itself stays


def test_a_model_without_such_layers_is_refused():
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3)(image)
    bare = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x), name="bare")
    with pytest.raises(ValueError, match=r"'bare' has no pointwise \(1x1\) convolution and no den"):
        pruned_model.PrunedModel(bare, 0.5, 10)


def test_zeros_save_bytes_under_gzip(model, pruned):
    calibration = small_images.Stripes().pixels[:20]
    stripped = pruned[0].strip()
    before, after = (pruned_model.file_bytes(each, calibration) for each in (model, stripped))
    for form in ("float32", "int8"):
        assert before[form]["file"] == pytest.approx(after[form]["file"], rel=0.01)
        assert after[form]["gzip"] < before[form]["gzip"]
    assert after["float32"]["gzip"] < 0.85 * before["float32"]["gzip"]
