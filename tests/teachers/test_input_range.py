"""The warnings about what a trained teacher is fed, on made models and on the real Lite0."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import decoding
from dna_tf.models import keras_files, preprocessing
from dna_tf.teachers import input_range

SHAPE = (12, 12, 3)
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
TEACHER = DATA / "teachers" / "efficientnet_lite0_imagenet.keras"
SAMPLE = DATA / "imagenet_sample"
layers = keras.layers


def _images(count=40, seed=1):
    """Smooth images whose channels have different means and spreads."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (count, 4, 4, 3)) * [150, 100, 60] + [90, 60, 20]
    return np.repeat(np.repeat(coarse, 3, 1), 3, 2).astype(np.float32)


def _trained(kind, images):
    """A model whose batch norm saw these images behind a kind of preprocessing."""
    image = keras.Input(SHAPE)
    rng = np.random.default_rng(2)
    start = keras.initializers.RandomUniform(-0.5, 0.6, seed=3)
    x = layers.Conv2D(8, 3, kernel_initializer=start, use_bias=False, name="stem")(image)
    norm = layers.BatchNormalization(name="stem_bn")
    x = layers.Conv2D(4, 3, name="later")(layers.ReLU()(norm(x)))
    x = layers.BatchNormalization(name="later_bn")(x)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)), name="trained")
    prepare = keras.Model(image, preprocessing.apply(kind, image))
    values = model.get_layer("stem")(prepare(images)).numpy()
    norm.moving_mean.assign(values.mean((0, 1, 2)))
    norm.moving_variance.assign(values.var((0, 1, 2)))
    model.get_layer("later_bn").moving_mean.assign(rng.normal(0, 99, 4))  # must not matter
    return model


@pytest.mark.parametrize("kind", preprocessing.KINDS)
def test_the_right_range_passes_and_wrong_ones_name_it(kind):
    model = _trained(kind, _images())
    right = preprocessing.with_preprocessing(model, kind)
    assert input_range.check(right, _images(seed=7)) is None
    for wrong in preprocessing.KINDS:
        scales = {"none": 1, "caffe": 1, "zero_one": 255, "minus_one_one": 127.5, "torch": 57}
        if not 0.5 < scales[wrong] / scales[kind] < 2:
            fed = preprocessing.with_preprocessing(model, wrong)
            text = input_range.check(fed, _images(seed=7))
            assert "config.teacher.preprocessing" in text
            # The measured fit is told, whatever preprocessing is in the model now.
            assert f"{kind!r}" in text.partition("Tried on these images, ")[2]
            assert f"{wrong!r}" not in text.partition("Tried on these images, ")[2]


def test_the_text_has_the_numbers_that_were_measured():
    images = _images()
    model = _trained("zero_one", images)
    other = _images(20, seed=9) * 0.7
    values = model.get_layer("stem")(other).numpy().astype(np.float64)
    norm = model.get_layer("stem_bn")
    variance = norm.moving_variance.numpy().astype(np.float64)
    ratio = np.median(values.var((0, 1, 2)) / variance)
    shift = np.median(np.abs(values.mean((0, 1, 2)) - norm.moving_mean) / np.sqrt(variance))
    text = input_range.check(model, other)
    for part in (
        "'trained' seems to get images in another range",
        "batch norm, 'stem_bn', the variance of 20 images",
        f"is {ratio:.3g} times what it was in training (expected 0.25 to 4)",
        f"mean is {shift:.3g} standard deviations off (expected at most 0.5)",
        f"0..255 (these are {other.min():.3g} to {other.max():.3g})",
    ):
        assert part in text
    # Values that are no images at all fit nothing.
    assert "None of ['none', " in input_range.check(model, images * 1e6)


def test_a_wrong_offset_alone_is_told():
    images = _images()
    model = _trained("none", images)
    mean = images.mean((0, 1, 2))
    text = input_range.check(model, images - mean)
    assert "variance of 40 images is 1 times" in text and "standard deviations off" in text


def test_dead_channels_say_nothing():
    model = _trained("none", _images())
    norm = model.get_layer("stem_bn")
    for count in (5, 8):  # most channels, then all
        variance = norm.moving_variance.numpy()
        variance[:count] = 0.0
        norm.moving_variance.assign(variance)
        assert input_range.check(model, _images()) is None
        if count == 5:
            assert input_range.check(model, _images() / 255)


def test_models_whose_batch_norm_cannot_be_measured_pass():
    image = keras.Input(SHAPE)
    bare = keras.Model(image, layers.Conv2D(2, 3)(image))
    nested = keras.Model(image, _trained("none", _images())(image))
    for model in (bare, nested):
        assert input_range.check(model, _images()) is None
    # One that is called twice has no one input; the next one is measured.
    shared, norm = layers.BatchNormalization(), layers.BatchNormalization(name="next")
    both = layers.Add()([shared(image), shared(layers.ReLU()(image))])
    text = input_range.check(keras.Model(image, norm(both)), _images())
    assert "'next'" in text


@pytest.mark.skipif(
    not (TEACHER.exists() and SAMPLE.exists()), reason=f"needs {TEACHER} and {SAMPLE}"
)
def test_the_real_teacher_is_right_in_0_to_255_only():
    files = sorted(SAMPLE.glob("*/*"))[::40]
    images = np.stack(
        [decoding.fit(tf.io.decode_jpeg(f.read_bytes(), channels=3), 224, 3, 0.875) for f in files]
    ).astype(np.float32)
    assert images.max() > 200
    model = keras_files.load_model(TEACHER)
    assert input_range.check(model, images) is None
    for wrong in (images / 255, images / 127.5 - 1):
        text = input_range.check(model, wrong)
        assert (
            "'efficientnet_lite0' seems to get images in another range" in text and "0..255" in text
        )
    for kind in preprocessing.KINDS[1:]:
        text = input_range.check(preprocessing.with_preprocessing(model, kind), images)
        assert text.endswith("Tried on these images, 'none' would fit.")


def test_accuracy_that_may_be_chance_is_told():
    assert input_range.accuracy_warning(875, 1000, 1000) is None
    # By hand: the interval of 59 of 100 begins at 49.2 %, that of 60 at 50.2 %.
    assert input_range.accuracy_warning(59, 100, 2) is not None
    assert input_range.accuracy_warning(60, 100, 2) is None
    text = input_range.accuracy_warning(12, 100, 10)
    for part in ("12.00 % of 100 images", "10.00 % for 10 classes", "config.teacher.preprocessing"):
        assert part in text
    assert input_range.accuracy_warning(0, 50, 1000)
    with pytest.raises(ValueError, match="at least one answer"):
        input_range.accuracy_warning(0, 0, 10)
