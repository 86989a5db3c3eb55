"""RandAugment for one image, in `tf.data`: only the drawn operations are computed.

Operations work on uint8 images as Pillow's do; a test compares the two.
"""

import functools
import math

import tensorflow as tf

from dna_tf.data import draw_seeds

# Grey of the area that a geometric operation uncovers. Source: EfficientNet's code.
_FILL = 128.0
_NOISE = 0.5  # standard deviation of the magnitude (the authors' "mstd0.5")
_LUMA = (0.299, 0.587, 0.114)
_SMOOTH = (1 / 13, 5 / 13)  # Pillow's SMOOTH kernel: its border and its centre
# Largest changes, at magnitude 10. Source: Cubuk et al., 2020, and their code; translation
# as a share of the image as in timm.
_DEGREES, _SHEAR, _TRANSLATE, _ENHANCE, _BITS = 30.0, 0.3, 0.45, 0.9, 4.0

OPS = (
    "identity",
    "autocontrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)


def apply(image, seed, count, magnitude):
    """Applies operations that are drawn at random, with replacement.

    Args:
        image: uint8 tensor `(height, width, channels)` with 1 or 3 channels.
        seed: int64 tensor `(2,)`; it alone decides the changes.
        count: how many operations.
        magnitude: 0 to 10; for each operation normal noise with a deviation of 0.5 is added,
            and the sign of operations with a sign is drawn.

    Returns:
        A tensor like `image`.

    Source: Cubuk et al., 2020. All operations grow stronger with the magnitude, and
    every drawn operation is applied (timm applies each with probability 1/2).
    """
    ops, strengths = draw(seed, count, magnitude)
    for number in range(count):
        image = apply_one(image, ops[number], strengths[number])
    return image


def draw(seed, count, magnitude):
    """Draws the operations of one image; arguments as of `apply`.

    Returns:
        int32 `(count,)`, indices in `OPS`; and float32 `(count,)`, the strengths in -1..1.
    """
    draws = tf.random.stateless_uniform(
        [count, 2], draw_seeds.of_draw(seed, "operations"), alg="philox"
    )
    noise = tf.random.stateless_normal([count], draw_seeds.of_draw(seed, "strengths"), alg="philox")
    levels = tf.clip_by_value((magnitude + _NOISE * noise) / 10.0, 0.0, 1.0)
    ops = tf.cast(draws[:, 0] * len(OPS), tf.int32)
    return ops, tf.where(draws[:, 1] < 0.5, -1.0, 1.0) * levels


def apply_one(image, op, signed):
    """Applies the operation with the index `op` of `OPS`; the others are not computed."""
    branches = [functools.partial(run, name, image, signed) for name in OPS]
    result = tf.switch_case(op, branches)
    return tf.ensure_shape(result, image.shape)


def run(name, image, signed):
    """Applies one operation.

    Args:
        name: one of `OPS`.
        image: uint8 tensor `(height, width, channels)`.
        signed: float scalar, the strength in -1..1; operations without a sign take its
            absolute value.

    Returns:
        A tensor like `image`.
    """
    if name == "identity":
        return image
    level = tf.abs(signed)
    if name == "autocontrast":
        return _autocontrast(image)
    if name == "equalize":
        return _equalize(image)
    if name == "solarize":
        threshold = 256.0 - 256.0 * level
        return tf.where(tf.cast(image, tf.float32) < threshold, image, 255 - image)
    if name == "posterize":
        bits = 8 - tf.cast(_BITS * level, tf.int32)
        mask = tf.cast(256 - tf.bitwise.left_shift(1, 8 - bits), tf.uint8)
        return tf.bitwise.bitwise_and(image, mask)
    if name in ("color", "contrast", "brightness", "sharpness"):
        return _enhance(name, tf.cast(image, tf.float32), 1.0 + _ENHANCE * signed)
    return _transform(image, _matrix(name, image, signed))


def luma(image):
    """Returns the brightness of a float image: `(height, width, 1)`."""
    if image.shape[-1] == 1:
        return image
    return tf.reduce_sum(image * tf.constant(_LUMA), axis=-1, keepdims=True)


def _autocontrast(image):
    pixels = tf.cast(image, tf.float32)
    low = tf.reduce_min(pixels, (0, 1))
    high = tf.reduce_max(pixels, (0, 1))
    scale = 255.0 / tf.maximum(high - low, 1.0)
    # Pillow rounds down; the small term makes up for the rounding of float32.
    stretched = tf.floor((pixels - low) * scale + 1e-3)
    return tf.where(high > low, _to_uint8(stretched, 0.0), image)


def _equalize(image):
    return tf.stack([_equalize_channel(c) for c in tf.unstack(image, axis=-1)], axis=-1)


def _equalize_channel(channel):
    values = tf.cast(channel, tf.int32)
    counts = tf.math.bincount(tf.reshape(values, [-1]), minlength=256, maxlength=256)
    total = tf.size(values)
    last = counts[tf.reduce_max(values)]
    step = (total - last) // 255
    table = (tf.cumsum(counts, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.cast(tf.minimum(table, 255), tf.uint8)
    return tf.where(step > 0, tf.gather(table, values), channel)


def _enhance(name, image, factor):
    """Interpolates between a degenerate image and the image, or extrapolates beyond it."""
    if name == "brightness":
        degenerate = 0.0
    elif name == "color":
        degenerate = tf.round(luma(image))
    elif name == "contrast":
        degenerate = tf.floor(tf.reduce_mean(tf.round(luma(image))) + 0.5)
    else:
        degenerate = _smooth(image)
    # Pillow rounds down.
    return _to_uint8(tf.floor(degenerate + (image - degenerate) * factor + 1e-3), 0.0)


def _smooth(image):
    beside, centre = _SMOOTH
    kernel = tf.constant([[beside] * 3, [beside, centre, beside], [beside] * 3], tf.float32)
    channels = image.shape[-1]
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, channels, 1])
    inner = tf.nn.depthwise_conv2d(image[None], kernel, [1, 1, 1, 1], "VALID")[0]
    inner = tf.floor(inner + 0.5)
    height, width = image.shape[0] - 2, image.shape[1] - 2
    # Pillow leaves the border as it is.
    padded = tf.pad(inner, [[1, 1], [1, 1], [0, 0]])
    inside = tf.pad(tf.ones((height, width, 1), tf.bool), [[1, 1], [1, 1], [0, 0]])
    return tf.where(inside, padded, image)


def _matrix(name, image, signed):
    """Returns the 8 numbers that map a pixel of the result to a place in the image."""
    height, width = image.shape[0], image.shape[1]
    one, zero = tf.constant(1.0), tf.constant(0.0)
    if name == "rotate":
        angle = -math.radians(_DEGREES) * signed  # upwards as in Pillow
        cos, sin = tf.cos(angle), tf.sin(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        return [cos, sin, x - x * cos - y * sin, -sin, cos, y + x * sin - y * cos, zero, zero]
    if name == "shear_x":
        return [one, _SHEAR * signed, zero, zero, one, zero, zero, zero]
    if name == "shear_y":
        return [one, zero, zero, _SHEAR * signed, one, zero, zero, zero]
    if name == "translate_x":
        return [one, zero, _TRANSLATE * width * signed, zero, one, zero, zero, zero]
    return [one, zero, zero, zero, one, _TRANSLATE * height * signed, zero, zero]


def _transform(image, matrix):
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=tf.stack(matrix)[None],
        output_shape=list(image.shape[:2]),
        fill_value=_FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return _to_uint8(moved[0], 0.5)


def _to_uint8(image, add):
    return tf.cast(tf.clip_by_value(image + add, 0.0, 255.0), tf.uint8)
