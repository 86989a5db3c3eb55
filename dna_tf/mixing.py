"""MixUp and CutMix: each two neighbours of a batch are mixed with one another.

Batches come in a random order, so that neighbours are chance pairs. Pairs, and not one
permutation of the batch, so that a part of a batch is mixed as it is within the whole.
"""

import tensorflow as tf


def draws(seed, mixup, cutmix):
    """What one image decides for its pair, of which that of the first one counts.

    Args:
        seed: int64 tensor `(2,)`.
        mixup: alpha of MixUp, 0 for none.
        cutmix: alpha of CutMix, 0 for none.

    Returns:
        float32 `(4,)`: lambda from Beta(alpha, alpha); 1 for CutMix and 0 for MixUp, by
        half where both have an alpha; the centre of the rectangle, in 0..1 of height and
        width.
    """
    numbers = tf.random.stateless_uniform([3], seed, alg="philox")
    cuts = numbers[0] < (0.5 if mixup and cutmix else float(bool(cutmix)))
    alpha = tf.where(cuts, cutmix or 1.0, mixup or 1.0)
    # A Beta variate is a share of two Gamma variates.
    gammas = tf.random.stateless_gamma([2], seed, alpha=alpha)
    total = tf.reduce_sum(gammas)
    share = tf.where(total > 0, gammas[0] / tf.maximum(total, 1e-30), 0.5)
    return tf.stack([share, tf.cast(cuts, tf.float32), numbers[1], numbers[2]])


def mix(images, labels, draws, num_classes):
    """Mixes images 2i and 2i + 1 of a batch, each the other's partner.

    Args:
        images: float32 `(batch, height, width, channels)`, an even batch.
        labels: int32 `(batch,)`.
        draws: float32 `(batch, 4)`, of each image as `draws` gives them.
        num_classes: classes of the data.

    Returns:
        The mixed images, and float32 targets `(batch, num_classes)`: with lambda the
        image's own class, with what is left its partner's. CutMix corrects lambda to
        the area that was pasted.

    Source: Zhang et al., 2018 (MixUp); Yun et al., 2019 (CutMix); pairs: timm's mode
    "pair", our choice.
    """
    batch, height, width, _ = images.shape
    drawn = tf.repeat(draws[::2], 2, axis=0)
    share, cuts = drawn[:, 0], drawn[:, 1] > 0
    size = tf.sqrt(1.0 - share)
    rows, row_count = _inside(drawn[:, 2], size, height)
    columns, column_count = _inside(drawn[:, 3], size, width)
    pasted = (rows[:, :, None] & columns[:, None, :])[..., None]
    share = tf.where(cuts, 1.0 - row_count * column_count / (height * width), share)
    partners, partner_labels = _swapped(images), _swapped(labels)
    # One formula for both: how much of the partner a pixel has.
    weight = tf.where(cuts[:, None, None, None], tf.cast(pasted, tf.float32), _wide(1.0 - share))
    mixed = images + weight * (partners - images)
    own, other = tf.one_hot(labels, num_classes), tf.one_hot(partner_labels, num_classes)
    return mixed, share[:, None] * own + (1.0 - share)[:, None] * other


def _inside(centre, share, length):
    """Which of `length` places lie within `share` of it around `centre`, and how many."""
    extent = tf.floor(share * length)
    middle = tf.floor(centre * length)
    first = tf.maximum(middle - tf.floor(extent / 2.0), 0.0)
    end = tf.minimum(middle - tf.floor(extent / 2.0) + extent, float(length))
    places = tf.range(length, dtype=tf.float32)[None]
    return (places >= first[:, None]) & (places < end[:, None]), end - first


def _swapped(values):
    """The values with each two neighbours exchanged."""
    rest = values.shape[1:]
    return tf.reshape(tf.reverse(tf.reshape(values, (-1, 2, *rest)), [1]), (-1, *rest))


def _wide(share):
    return share[:, None, None, None]
