"""The seeds of what is drawn for one image: each kind of draw has a seed of its own.

Two draws from one seed are the same random numbers in another form: a strength would then
decide a direction. Seeds are not derived from derived seeds, so that each is in this list.
"""

import tensorflow as tf

# A kind keeps its number for good: with another one the same run would draw other images.
_NUMBERS = {
    "crop": 0,
    "operations": 1,
    "colours": 2,
    "erasing": 3,
    "mixing": 4,
    "erased_noise": 5,
    "strengths": 6,
    "erased_rectangle": 7,
    "mixing_share": 8,
}
_STEP = 0x9E3779B97F4A7C1
KINDS = tuple(_NUMBERS)


def of_draw(seed, kind):
    """Returns the seed of one kind of draw for an image.

    Args:
        seed: int64 tensor `(2,)`, the seed of the image; not the result of this function.
        kind: one of `KINDS`.

    Returns:
        An int64 tensor `(2,)`, another one for each kind.
    """
    return seed + tf.constant([_NUMBERS[kind] * _STEP % 2**62, 0], tf.int64)
