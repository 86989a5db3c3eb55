"""One image: decoding, resizing and cropping it, shift and flip.

All functions are graph functions for `tf.data`. Random ones are stateless: the
same seed gives the same image on every machine and in every run.
"""

import numpy as np
import tensorflow as tf

from dna_tf.data import orientation

_DCT = "INTEGER_ACCURATE"
# Values of 16 bits below this are taken for those of a camera of 12 bits or fewer.
_LEAST_OF_16_BITS = 4096


def decode(contents, as_before=False):
    """Decodes an image file: JPEG, PNG, WebP, BMP, or the first frame of a GIF.

    JPEGs are decoded with the accurate inverse DCT: TensorFlow's default is
    faster, but shifts colours. An alpha channel is dropped. Photos are turned as their EXIF
    tag says. The 16 bits of a PNG are scaled to 0..255 and rounded.

    Args:
        contents: string scalar, the bytes of the file.
        as_before: neither turns photos nor rounds 16 bits, as in runs that were begun before
            both were done.

    Returns:
        uint8 tensor `(height, width, channels)` with 1 (grey) or 3 channels.
    """

    def jpeg():
        return _grey_or_colour(
            tf.io.extract_jpeg_shape(contents),
            lambda channels: tf.io.decode_jpeg(contents, channels=channels, dct_method=_DCT),
        )

    image = tf.cond(tf.io.is_jpeg(contents), jpeg, lambda: _decode_other(contents, as_before))
    if not as_before:
        image = orientation.turn(image, orientation.of_file(contents))
    return tf.ensure_shape(image, (None, None, None))


def decode_crop(contents, box_of, as_before=False):
    """Decodes a part of an image file; of a JPEG only the rows and columns of that part.

    Args:
        contents: string scalar, the bytes of the file.
        box_of: `box_of(shape)`, graph function from the int32 shape `(height, width,
            channels)` of the image to int32 `(top, left, height, width)`.
        as_before: as for `decode`.

    Returns:
        uint8 tensor `(height, width, channels)`, the same pixels as in the whole image, except
        in the last column of a colour JPEG, whose chroma misses its neighbour to the right (of
        the image as it is stored).
    """
    turned_by = tf.constant(1) if as_before else orientation.of_file(contents)

    def stored_box(shape):
        if as_before:
            return box_of(shape)
        upright = orientation.turned_shape(shape, turned_by)
        return orientation.stored_box(box_of(upright), upright, turned_by)

    def jpeg():
        shape = tf.io.extract_jpeg_shape(contents)
        box = stored_box(shape)
        return _grey_or_colour(
            shape,
            lambda channels: tf.io.decode_and_crop_jpeg(
                contents, box, channels=channels, dct_method=_DCT
            ),
        )

    def other():
        image = _decode_other(contents, as_before)
        return crop(image, stored_box(tf.shape(image)))

    image = tf.cond(tf.io.is_jpeg(contents), jpeg, other)
    if not as_before:
        image = orientation.turn(image, turned_by)
    return tf.ensure_shape(image, (None, None, None))


def crop(image, box):
    """Cuts `(top, left, height, width)` out of an image."""
    top, left, height, width = tf.unstack(box)
    return image[top : top + height, left : left + width]


def _grey_or_colour(shape, jpeg):
    # CMYK files have 4 components and are decoded to RGB if 3 channels are requested.
    return tf.cond(tf.equal(shape[2], 1), lambda: jpeg(1), lambda: jpeg(3))


def _decode_other(contents, as_before):
    def usual():
        # TensorFlow 2.21 writes behind its memory when it decodes an animated WebP.
        animated = "This is an animated WebP, which TensorFlow cannot decode. Keep one frame."
        with tf.control_dependencies(
            [tf.debugging.Assert(~_is_animated_webp(contents), [animated])]
        ):
            return tf.io.decode_image(tf.identity(contents), expand_animations=False)

    if as_before:
        image = usual()
    else:
        image = tf.cond(_is_png_of_16_bits(contents), lambda: _decode_16_bits(contents), usual)
    channels = tf.shape(image)[2]
    return image[:, :, : tf.where(channels >= 3, 3, 1)]


def _decode_16_bits(contents):
    values = tf.cast(tf.io.decode_png(contents, dtype=tf.uint16), tf.int32)
    largest = tf.reduce_max(values)
    dark = (
        "This 16-bit PNG has no value above 4095, as if it had 12 bits: it would be nearly black. "
        "Scale its values to 0..65535, or write it with 8 bits. Its largest value:"
    )
    is_full = (largest >= _LEAST_OF_16_BITS) | (largest == 0)
    with tf.control_dependencies([tf.debugging.Assert(is_full, [dark, largest])]):
        # 65535 is 257 times 255.
        return tf.cast((values + 128) // 257, tf.uint8)


def _is_png_of_16_bits(contents):
    is_png = tf.strings.substr(contents, 0, 4) == b"\x89PNG"
    return is_png & (_text(contents, 24, 1) == b"\x10")


def _is_animated_webp(contents):
    is_extended = (_text(contents, 0, 4) == b"RIFF") & (_text(contents, 8, 8) == b"WEBPVP8X")
    flags = tf.io.decode_raw(_text(contents, 20, 1), tf.uint8)
    return is_extended & tf.reduce_any(tf.bitwise.bitwise_and(flags, tf.constant(2, tf.uint8)) > 0)


def _text(contents, position, count):
    """Returns `count` bytes of a file, fewer at its end."""
    return tf.strings.substr(contents, tf.minimum(position, tf.strings.length(contents)), count)


def fit(image, image_size, channels, crop_fraction, interpolation="bilinear"):
    """Resizes and crops an image to the shape that models take.

    The shorter side is resized (antialiased where it shrinks) to
    `image_size / crop_fraction`, then the centre is cropped. Grey is repeated
    for RGB; RGB becomes grey by luma weights. Values are rounded to whole
    numbers, so that a cached image takes one byte per value.

    Args:
        image: uint8 or float tensor `(height, width, channels)` in 0..255 with 1 or 3 channels.
        image_size: side of the result, in pixels.
        channels: 1 or 3.
        crop_fraction: in (0, 1]; 1 crops only what makes the image square.
        interpolation: `"bilinear"` or `"bicubic"` (used by the authors in evaluation).

    Returns:
        uint8 tensor `(image_size, image_size, channels)`.
    """
    image, shape = tf.convert_to_tensor(image), (image_size, image_size, channels)

    def resized():
        values = _greyed(tf.cast(image, tf.float32), channels)
        shorter = tf.cast(tf.reduce_min(tf.shape(values)[:2]), tf.float32)
        scale = round(image_size / crop_fraction) / shorter
        size = tf.cast(tf.round(tf.cast(tf.shape(values)[:2], tf.float32) * scale), tf.int32)
        # Antialiasing has no effect on a side that grows.
        values = tf.image.resize(values, size, interpolation, antialias=True)
        top, left = tf.unstack((size - image_size) // 2)
        values = values[top : top + image_size, left : left + image_size]
        return _rounded(values, image_size, channels)

    if crop_fraction != 1.0 or image.dtype != tf.uint8 or not image.shape.is_compatible_with(shape):
        return resized()
    # Resizing would give the same pixels.
    fits = tf.reduce_all(tf.shape(image) == shape)
    return tf.ensure_shape(tf.cond(fits, lambda: image, resized), shape)


def resize_crop(image, image_size, channels):
    """Resizes a crop to the shape that models take, whatever its ratio of width to height.

    Args:
        image: uint8 or float tensor `(height, width, channels)` in 0..255 with 1 or 3 channels.
        image_size: side of the result, in pixels.
        channels: 1 or 3.

    Returns:
        uint8 tensor `(image_size, image_size, channels)`.
    """
    image = _greyed(tf.cast(image, tf.float32), channels)
    image = tf.image.resize(image, (image_size, image_size), "bilinear", antialias=True)
    return _rounded(image, image_size, channels)


def _greyed(image, channels):
    if channels == 3:
        return image
    # The branch for RGB is traced for grey images too, and must have three channels.
    rgb_shape = tf.concat([tf.shape(image)[:2], [3]], 0)
    return tf.cond(
        tf.equal(tf.shape(image)[2], 3),
        lambda: tf.image.rgb_to_grayscale(tf.broadcast_to(image, rgb_shape)),
        lambda: image,
    )


def _rounded(image, image_size, channels):
    image = tf.broadcast_to(image, [image_size, image_size, channels])
    return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)


def shift_limit(shift, image_size):
    """Returns the largest shift in whole pixels for `shift`, a fraction of the size."""
    # Without the small term, products such as 0.29 * 100 would lose a pixel.
    return int(np.floor(shift * image_size + 1e-6))


def augment(image, seed, limit, flip):
    """Shifts an image at random, and flips it left-right half of the time.

    The border that a shift uncovers repeats the edge.

    Args:
        image: tensor `(height, width, channels)`.
        seed: int64 tensor `(2,)`; it alone decides shift and flip.
        limit: largest shift in pixels, up, down, left or right; each whole
            number of pixels up to it is equally likely.
        flip: whether to flip at all.

    Returns:
        A tensor like `image`.
    """
    draws = tf.random.stateless_uniform([3], seed, alg="philox")
    if flip:
        image = tf.cond(draws[2] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)
    if limit:
        offsets = tf.cast(tf.floor(draws[:2] * (2 * limit + 1)), tf.int32) - limit
        for axis in (0, 1):
            last = tf.shape(image)[axis] - 1
            rows = tf.clip_by_value(tf.range(last + 1) - offsets[axis], 0, last)
            image = tf.gather(image, rows, axis=axis)
    return image
