"""Decoding, resizing and cropping, shift and flip of one image."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from dna_tf.data import decoding
from tests.helpers.data_files import picture, png


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_decode_drops_alpha_and_keeps_grey(channels):
    image = picture(0, channels=channels)
    kept = 1 if channels < 3 else 3
    np.testing.assert_array_equal(decoding.decode(png(image)), image[..., :kept])


@pytest.mark.parametrize("channels", [1, 3])
def test_decode_jpeg_is_accurate(channels):
    contents = tf.io.encode_jpeg(picture(0, 32, 32, channels))
    expected = tf.io.decode_jpeg(contents, dct_method="INTEGER_ACCURATE")
    fast = tf.io.decode_jpeg(contents, dct_method="INTEGER_FAST")
    assert np.any(fast != expected), "this image does not tell the two methods apart"
    np.testing.assert_array_equal(decoding.decode(contents), expected)


def test_fit_shrinks_crops_and_keeps_size():
    image = picture(1, 16, 24)
    same = decoding.fit(image[:, :16], 16, 3, 1.0)
    np.testing.assert_array_equal(same, image[:, :16])
    cropped = decoding.fit(image, 16, 3, 1.0)
    np.testing.assert_array_equal(cropped, image[:, 4:20])
    central = decoding.fit(image, 8, 3, 0.5)
    np.testing.assert_array_equal(central, image[4:12, 8:16])
    # Antialiased: a fine checkerboard becomes grey. Plain bilinear would pick every third
    # pixel: a third of 63 puts the centre of each new pixel on an old one.
    board = (np.indices((63, 63)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    small = decoding.fit(board, 21, 1, 1.0).numpy()[1:-1, 1:-1]
    assert np.abs(small.astype(int) - 127.5).max() < 20


def test_fit_converts_channels():
    image = picture(2, 8, 8)
    grey = decoding.fit(image, 8, 1, 1.0).numpy()
    weights = np.array([0.2989, 0.5870, 0.1140])
    np.testing.assert_allclose(grey[..., 0], image @ weights, atol=0.51)
    again = decoding.fit(grey, 8, 3, 1.0).numpy()
    np.testing.assert_array_equal(again, np.repeat(grey, 3, -1))
    np.testing.assert_array_equal(decoding.fit(grey, 8, 1, 1.0), grey)


@pytest.mark.parametrize("flip", [False, True])
def test_augmentation_matches_numpy(flip):
    image = picture(0, 9, 9)
    shifts, flips, limit = set(), set(), 2
    augment = tf.function(decoding.augment)
    for number in range(80):
        seed = tf.constant([11, number], tf.int64)
        draws = tf.random.stateless_uniform([3], seed).numpy()
        down, right = np.floor(draws[:2] * 5).astype(int) - 2
        flipped = bool(flip and draws[2] < 0.5)
        expected = image[:, ::-1] if flipped else image
        padded = np.pad(expected, ((limit, limit), (limit, limit), (0, 0)), mode="edge")
        top, left = limit - down, limit - right
        expected = padded[top : top + 9, left : left + 9]
        got = augment(tf.constant(image), seed, limit, flip)
        np.testing.assert_array_equal(got, expected)
        shifts |= {("down", down), ("right", right)}
        flips.add(flipped)
    assert len(shifts) == 10
    assert flips == ({False, True} if flip else {False})


def test_shift_limit():
    assert decoding.shift_limit(0.1, 32) == 3
    assert decoding.shift_limit(0.29, 100) == 29
    assert decoding.shift_limit(0.0, 32) == 0


def pillow_file(image, kind, **options):
    """The bytes of an image file that Pillow writes."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def test_16_bits_of_a_png_are_scaled_and_rounded():
    values = np.arange(0, 65536, 3, np.uint16)[: 127 * 172].reshape(127, 172)
    for result in (
        tf.function(decoding.decode)(pillow_file(values, "PNG")),
        decoding.decode_crop(
            pillow_file(values, "PNG"), lambda shape: tf.constant([0, 0, 127, 172])
        ),
    ):
        exact = values / 65535 * 255
        assert np.abs(result.numpy()[..., 0] - exact).max() <= 0.5
    colours = np.stack([values, values[::-1], values], -1)
    decoded = decoding.decode(tf.io.encode_png(colours)).numpy()
    assert np.abs(decoded - colours / 65535 * 255).max() <= 0.5
    black = pillow_file(np.zeros((4, 4), np.uint16), "PNG")
    assert not decoding.decode(black).numpy().any()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (pillow_file(picture(0)[..., 0].astype(np.uint16) * 16, "PNG"), "no value above 4095"),
        (
            pillow_file(
                picture(0), "WEBP", save_all=True, append_images=[PIL.Image.fromarray(picture(1))]
            ),
            "animated WebP",
        ),
    ],
)
def test_files_that_would_be_decoded_wrongly_are_refused(contents, message):
    def cropped(contents):
        return decoding.decode_crop(contents, lambda shape: tf.constant([0, 0, 2, 2]))

    for decode in (decoding.decode, cropped):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            tf.function(decode)(tf.constant(contents))


def test_webp_is_decoded_as_pillow_decodes_it():
    image = picture(3, 20, 31, 4)
    contents = pillow_file(image, "WEBP", lossless=True, exact=True)
    np.testing.assert_array_equal(decoding.decode(contents), image[..., :3])


def test_decoding_as_before_neither_turns_nor_rounds():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    contents = pillow_file(picture(0, 8, 9), "PNG", exif=exif)
    np.testing.assert_array_equal(decoding.decode(contents, as_before=True), picture(0, 8, 9))
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16 + 15
    stored = decoding.decode(pillow_file(values, "PNG"), as_before=True)
    np.testing.assert_array_equal(stored.numpy()[..., 0], values // 256)


def test_a_resize_that_overshoots_ends_at_black_and_white():
    """Bicubic goes beyond 0 and 255 at edges; without a limit 256 would be stored as 0."""
    stripes = np.zeros((12, 12, 3), np.uint8)
    stripes[:, 4:8] = 255
    received = decoding.fit(tf.constant(stripes), 31, 3, 1.0, "bicubic").numpy()
    wide = tf.image.resize(tf.cast(stripes, tf.float32), (31, 31), "bicubic", antialias=True)
    assert wide.numpy().max() > 256 and wide.numpy().min() < -1
    np.testing.assert_array_equal(received, np.clip(np.round(wide.numpy()), 0, 255))


def test_photos_become_grey_and_grey_images_stay():
    colours = picture(2, 9, 9)
    received = decoding.fit(tf.constant(colours), 9, 1, 1.0).numpy()
    shares = np.array([0.2989, 0.587, 0.114])  # of red, green, blue: ITU-R 601
    np.testing.assert_allclose(received[..., 0], colours @ shares, atol=0.51)
    grey = decoding.fit(tf.constant(colours[..., :1]), 9, 1, 1.0).numpy()
    np.testing.assert_array_equal(grey, colours[..., :1])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_of_the_right_size_is_left_as_it_is(channels, interpolation):
    image = np.random.default_rng(channels).integers(0, 256, (12, 12, channels), np.uint8)
    # An image of floats is resized, whatever its size.
    resized = decoding.fit(image.astype(np.float32), 12, channels, 1.0, interpolation)
    np.testing.assert_array_equal(resized, image)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None), tf.uint8)])
    def fit(pixels):
        return decoding.fit(pixels, 12, channels, 1.0, interpolation)

    np.testing.assert_array_equal(fit(image), image)
    assert fit(image[:, :9]).shape == image.shape
    assert fit(np.zeros((12, 12, 4 - channels), np.uint8)).shape == image.shape
