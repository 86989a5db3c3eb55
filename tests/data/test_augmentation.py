"""Augmentation of a recipe: against Pillow and NumPy, and the same in any part of a batch."""

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageOps
import pytest
import tensorflow as tf

from dna_tf.data import augmentation, decoding, draw_seeds, loading, rand_augment
from tests.helpers.data_files import data_config, write_folder

SIZE = 24


def photo(seed, height=SIZE, width=SIZE):
    """A smooth uint8 picture that does not use all values."""
    rng = np.random.RandomState(seed)
    coarse = rng.uniform(20, 220, (5, 5, 3))
    smooth = tf.image.resize(coarse, (height, width), "bicubic").numpy()
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 8, 240).astype(np.uint8)


def pillow(name, image, signed):
    """The operation as Pillow does it."""
    picture, level = PIL.Image.fromarray(image), abs(signed)
    if name == "identity":
        return picture
    if name in ("autocontrast", "equalize"):
        return getattr(PIL.ImageOps, name)(picture)
    if name == "solarize":
        return PIL.ImageOps.solarize(picture, 256 - 256 * level)
    if name == "posterize":
        return PIL.ImageOps.posterize(picture, 8 - int(4 * level))
    enhancers = {"color": "Color", "contrast": "Contrast"}
    enhancers |= {"brightness": "Brightness", "sharpness": "Sharpness"}
    if name in enhancers:
        return getattr(PIL.ImageEnhance, enhancers[name])(picture).enhance(1 + 0.9 * signed)
    if name == "rotate":
        middle = ((SIZE - 1) / 2 + 0.5,) * 2
        return picture.rotate(
            30 * signed, PIL.Image.Resampling.BILINEAR, center=middle, fillcolor=(128,) * 3
        )
    move, shear = 0.45 * SIZE * signed, 0.3 * signed
    matrix = {
        "shear_x": (1, shear, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, shear, 1, 0),
        "translate_x": (1, 0, move, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, move),
    }[name]
    # Pillow maps centres of pixels, TensorFlow their corners.
    a, b, c, d, e, f = matrix
    c, f = c + (1 - a - b) / 2, f + (1 - d - e) / 2
    return picture.transform(
        picture.size,
        PIL.Image.Transform.AFFINE,
        (a, b, c, d, e, f),
        PIL.Image.Resampling.BILINEAR,
        fillcolor=(128,) * 3,
    )


@pytest.mark.parametrize("signed", [0.9, -0.35])
@pytest.mark.parametrize("name", rand_augment.OPS)
def test_an_operation_does_what_pillows_does(name, signed):
    image = photo(3)
    result = rand_augment.run(name, tf.constant(image), tf.constant(signed)).numpy().astype(int)
    expected = np.asarray(pillow(name, image, signed)).astype(int)
    assert result.shape == image.shape
    if name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y"):
        # What lies half outside is blended with the fill here, and not by Pillow.
        filled = (expected == 128).all(-1) | (result == 128).all(-1)
        around = tf.nn.max_pool2d(filled[None, ..., None].astype(float), 5, 1, "SAME")[0, ..., 0]
        compared = np.asarray(around) == 0
        compared[[0, 1, -2, -1]] = compared[:, [0, 1, -2, -1]] = False
        assert compared.sum() > 100
        assert np.abs(result - expected)[compared].max() <= 2
        assert np.abs(result - image)[compared].mean() > 2
        return
    assert np.abs(result - expected).max() <= (0 if name in ("identity", "posterize") else 1)
    assert np.mean(result != expected) < 0.03
    if name != "identity":
        assert np.any(result != image)


def test_operations_take_grey_images():
    image = tf.constant(photo(1)[..., :1])
    for name in rand_augment.OPS:
        assert rand_augment.run(name, image, tf.constant(0.5)).shape == image.shape
    flat = tf.fill((4, 4, 3), tf.constant(7, tf.uint8))
    for name in ("autocontrast", "equalize"):  # nothing to stretch
        np.testing.assert_array_equal(rand_augment.run(name, flat, tf.constant(1.0)), flat)


def test_crop_boxes_are_in_the_image_and_of_the_requested_areas():
    result = augmentation.Augmentation(crop_area=0.25)
    box = tf.function(result.crop_box)
    shares, ratios, tops = [], [], []
    for number in range(400):
        top, left, height, width = box(tf.constant([60, 90, 3]), tf.constant([1, number], tf.int64))
        assert 0 <= top <= 60 - height and 0 <= left <= 90 - width
        shares.append(int(height) * int(width) / 5400)
        ratios.append(int(width) / int(height))
        tops.append(int(top) / max(1, 60 - int(height)))
    assert 0.22 < min(shares) < 0.3 and max(shares) > 0.85  # a square fills two thirds
    assert 0.72 < min(ratios) < 0.8 and 1.25 < max(ratios) < 1.36
    assert 0.4 < np.mean(tops) < 0.6
    # No crop fits a strip: the centre, as near to the ratio as it can be.
    assert box(tf.constant([10, 100, 3]), tf.constant([1, 2], tf.int64)).numpy().tolist() == [
        0,
        43,
        10,
        13,
    ]


@pytest.mark.parametrize("kind", ["jpeg", "grey jpeg", "png"])
def test_a_crop_is_a_part_of_the_whole_image(kind):
    image = photo(0, 41, 53)
    if kind == "png":
        contents = tf.io.encode_png(image)
    else:
        contents = tf.io.encode_jpeg(image[..., :1] if kind == "grey jpeg" else image)
    whole = decoding.decode(contents)
    seen = []

    def box_of(shape):
        seen.append(tuple(np.array(shape)[:2]))
        return tf.constant([7, 12, 21, 30])

    part = decoding.decode_crop(contents, box_of)
    assert seen == [(41, 53)]
    # Chroma of the last column lacks its neighbour to the right.
    last = -1 if kind == "jpeg" else None
    np.testing.assert_array_equal(part[:, :last], whole[7:28, 12:42][:, :last])
    assert np.mean(np.abs(np.subtract(part, whole[7:28, 12:42], dtype=int))) < 1


@pytest.mark.parametrize(("height", "width"), [(61, 97), (96, 40), (11, 16)])
def test_a_crop_is_resized_as_pillow_resizes_it(height, width):
    """Pillow averages over all pixels that a smaller one covers; pixels are noise here."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    bilinear = PIL.Image.Resampling.BILINEAR
    expected = np.asarray(PIL.Image.fromarray(image).resize((SIZE, SIZE), bilinear)).astype(int)
    result = decoding.resize_crop(tf.constant(image), SIZE, 3).numpy().astype(int)
    assert np.abs(result - expected).max() <= 1


def test_colours_change_as_numpy_changes_them():
    image = photo(2).astype(np.float32)
    seed = tf.constant([3, 4], tf.int64)
    colour_seed = draw_seeds.of_draw(seed, "colours")
    factors = 1 + 0.4 * (2 * tf.random.stateless_uniform([3], colour_seed).numpy() - 1)
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    expected = np.clip(image * factors[0], 0, 255)
    mean = (expected @ weights).mean()
    expected = np.clip(mean + (expected - mean) * factors[1], 0, 255)
    grey = (expected @ weights)[..., None]
    expected = np.clip(grey + (expected - grey) * factors[2], 0, 255)
    np.testing.assert_allclose(augmentation.jitter_colors(image, seed, 0.4), expected, atol=1e-2)


def test_erasing_happens_as_often_and_as_large_as_requested():
    image = tf.constant(photo(2))
    result = augmentation.Augmentation(erase=0.5)
    erase = tf.function(lambda seed: result.image(image, seed))
    shares = []
    for number in range(200):
        changed = np.any(erase(tf.constant([9, number], tf.int64)).numpy() != image.numpy(), -1)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        if len(rows):
            assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() > 0.95
        shares.append(changed.mean())
    assert 0.35 < np.mean(np.array(shares) > 0) < 0.65
    erased = [share for share in shares if share]
    assert min(erased) < 0.05 and 0.25 < max(erased) < 0.37


def numpy_mix(pictures, labels, draws, classes):
    """Both kinds of mixing, image by image."""
    result, targets = pictures.copy(), np.zeros((len(pictures), classes))
    _, height, width, _ = pictures.shape
    for i in range(len(pictures)):
        j, (share, cuts, y, x) = i ^ 1, draws[i - i % 2]
        if cuts:
            tall, wide = int(np.sqrt(1 - share) * height), int(np.sqrt(1 - share) * width)
            top, left = int(y * height) - tall // 2, int(x * width) - wide // 2
            rows = slice(max(top, 0), min(top + tall, height))
            columns = slice(max(left, 0), min(left + wide, width))
            result[i, rows, columns] = pictures[j, rows, columns]
            share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / height / width
        else:
            result[i] = share * pictures[i] + (1 - share) * pictures[j]
        targets[i, labels[i]] += share
        targets[i, labels[j]] += 1 - share
    return result, targets


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0), (0, 1.0), (0.8, 1.0)])
def test_mixing_is_that_of_numpy(mixup, cutmix):
    rng = np.random.RandomState(0)
    pictures = rng.uniform(0, 255, (40, 9, 7, 3)).astype(np.float32)
    labels = rng.randint(0, 5, 40).astype(np.int32)
    seeds = [tf.constant([2, number], tf.int64) for number in range(40)]
    draws = np.stack([augmentation.draws(seed, mixup, cutmix) for seed in seeds])
    kinds = set(draws[:, 1])
    assert kinds == ({0, 1} if mixup and cutmix else {float(bool(cutmix))})
    expected, targets = numpy_mix(pictures, labels, draws.astype(np.float64), 5)
    result = augmentation.mix(tf.constant(pictures), tf.constant(labels), tf.constant(draws), 5)
    np.testing.assert_allclose(result[0], expected, atol=1e-3)
    np.testing.assert_allclose(result[1], targets, atol=1e-5)
    np.testing.assert_allclose(np.sum(result[1], 1), 1.0, atol=1e-6)


def test_lambda_is_of_the_beta_distribution():
    seeds = [tf.constant([7, number], tf.int64) for number in range(800)]
    draw = tf.function(lambda seed: augmentation.draws(seed, 0.2, 0.0)[0])
    shares = np.array([draw(seed) for seed in seeds])
    assert abs(shares.mean() - 0.5) < 0.06
    assert abs(shares.var() - 0.25 / (2 * 0.2 + 1)) < 0.02  # of Beta(0.2, 0.2)


@pytest.mark.parametrize("in_memory", [True, False])
def test_epochs_are_the_same_in_parts_and_when_resumed(tmp_path, in_memory):
    write_folder(tmp_path, ["ant", "bee", "cat"], 16)
    config = data_config(
        source=f"folder:{tmp_path}", rating_per_class=2, image_size=16, test_fraction=0.2, flip=True
    )
    limit = 2**28 if in_memory else 0
    loaded = loading.load(config, seed=0, memory_limit_bytes=limit)
    for crop_area in (0.0, 0.3):
        result = augmentation.Augmentation(crop_area, 0.1, 0, 9.0, 0.5, 0.2, 1.0, 3)

        def epoch(number=1, result=result, **more):
            dataset = loaded.epoch(8, number, seed=5, augmentation=result, **more)
            return list(dataset.as_numpy_iterator())

        whole = epoch()
        assert [batch[0].shape for batch in whole] == [(8, 16, 16, 3)] * 4
        assert whole[0][1].shape == (8, 3)
        assert all(0 <= batch[0].min() and batch[0].max() <= 255 for batch in whole)
        for one, other in zip(epoch(skip_batches=2), whole[2:], strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
        halves = [epoch(shard=(index, 2)) for index in (0, 1)]
        for batch, one, other in zip(whole, *halves, strict=True):
            np.testing.assert_array_equal(batch[0], np.concatenate([one[0], other[0]]))
            np.testing.assert_array_equal(batch[1], np.concatenate([one[1], other[1]]))
        assert not np.array_equal(epoch(2)[0][0], whole[0][0])
        plain = next(loaded.epoch(8, 1, seed=5).as_numpy_iterator())
        assert plain[1].shape == (8,) and not np.array_equal(plain[0], whole[0][0])
        untouched = loaded.epoch(8, 1, seed=5, augment=False, augmentation=result)
        np.testing.assert_array_equal(next(untouched.as_numpy_iterator())[1], plain[1])


def test_recipes_without_anything_more_have_none():
    class Recipe:
        crop_area = color_jitter = erase = mixup = cutmix = 0.0
        randaugment_ops, randaugment_magnitude = 0, 9.0

    assert augmentation.of_recipe(Recipe, 5) is None
    for field in ("crop_area", "color_jitter", "erase", "mixup", "cutmix", "randaugment_ops"):
        changed = type("Changed", (Recipe,), {field: 1})
        assert augmentation.of_recipe(changed, 5).num_classes == 5
