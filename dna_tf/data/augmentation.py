"""Augmentation of a recipe: crops, colours, RandAugment, erasing, and mixing of pairs of images.

Everything is drawn from a seed for each image, so that an image looks the same in a resumed
run, in any part of a batch and on any number of workers.

MixUp and CutMix mix each two neighbours of a batch. Batches come in random order, so
neighbours are random pairs. Pairs, and not a permutation of the batch, so that a part of a
batch is mixed as it is within the whole batch.
"""

import dataclasses
import functools
import math

import tensorflow as tf

from dna_tf.data import draw_seeds, rand_augment

# Range of width / height of crops and of erased rectangles, and the number of draws.
# Source: Szegedy et al., 2015; Zhong et al., 2020 (as in the authors' code).
_CROP_RATIOS = (3 / 4, 4 / 3)
_ERASE_RATIOS = (0.3, 1 / 0.3)
_ERASE_AREAS = (0.02, 1 / 3)
_TRIES = 10
# Mean and standard deviation of the noise in an erased rectangle: those of ImageNet.
_NOISE = (118.0, 58.0)


def of_recipe(recipe, num_classes):
    """Returns the augmentation of a recipe, or `None` if it has none.

    Args:
        recipe: a config section such as `retrain`.
        num_classes: classes of the data.
    """
    augmentation = Augmentation(
        recipe.crop_area,
        recipe.color_jitter,
        recipe.randaugment_ops,
        recipe.randaugment_magnitude,
        recipe.erase,
        recipe.mixup,
        recipe.cutmix,
        num_classes,
    )
    is_used = augmentation.changes_images or augmentation.crop_area or augmentation.mixes
    return augmentation if is_used else None


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The augmentation of training images beyond shift and flip.

    Args:
        crop_area: smallest share of the image that a random-resized crop takes; 0: no crops.
        color_jitter: largest relative change of brightness, contrast and saturation.
        ops: operations of RandAugment for each image.
        magnitude: their strength, 0 to 10.
        erase: probability to erase a rectangle.
        mixup: alpha of MixUp; 0: no MixUp.
        cutmix: alpha of CutMix; 0: no CutMix. With both, each pair takes one of them at random.
        num_classes: classes of the data, for mixed labels.
    """

    crop_area: float = 0.0
    color_jitter: float = 0.0
    ops: int = 0
    magnitude: float = 9.0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    num_classes: int = 0

    @property
    def changes_images(self):
        """Whether `image` does anything."""
        return bool(self.color_jitter or self.ops or self.erase)

    @property
    def mixes(self):
        """Whether images are mixed; labels are then distributions."""
        return bool(self.mixup or self.cutmix)

    def crop_box(self, shape, seed):
        """Draws the rectangle of a random-resized crop.

        The area is uniform in `crop_area..1` of the image, and the logarithm of width / height
        is uniform. If none of ten draws fits into the image, the largest centred rectangle
        with a ratio in range is taken.

        Args:
            shape: int32 tensor `(height, width, ...)` of the image.
            seed: int64 tensor `(2,)`.

        Returns:
            An int32 tensor `(top, left, height, width)`.

        Source: Szegedy et al., 2015, as in the authors' code.
        """
        seed = draw_seeds.of_draw(seed, "crop")
        return _rectangle(shape, seed, (self.crop_area, 1.0), _CROP_RATIOS)

    def image(self, image, seed):
        """Changes one image: RandAugment, colours, erasing, in this order.

        Args:
            image: uint8 tensor `(height, width, channels)`.
            seed: int64 tensor `(2,)`; it alone decides the changes.

        Returns:
            A float32 tensor of the same shape in 0..255.
        """
        return _traced_once(self)(image, seed)

    def _image(self, image, seed):
        if self.ops:
            image = rand_augment.apply(image, seed, self.ops, self.magnitude)
        image = tf.cast(image, tf.float32)
        if self.color_jitter:
            image = jitter_colors(image, seed, self.color_jitter)
        if self.erase:
            image = _erase(image, seed, self.erase)
        return image

    def draws(self, seed):
        """Returns the draws of one image for the mixing of its pair; see `augmentation.draws`."""
        return draws(seed, self.mixup, self.cutmix)

    def batch(self, images, labels, draws):
        """Mixes each two neighbours of a batch; see `augmentation.mix`."""
        return mix(images, labels, draws, self.num_classes)


@functools.cache
def _traced_once(augmentation):
    """Returns `Augmentation.image` as one compiled function for the datasets of all epochs."""
    return tf.function(augmentation._image)


def uniform(count, seed):
    """Returns random numbers in [0, 1): float32 `(count,)`."""
    return tf.random.stateless_uniform([count], seed, alg="philox")


def jitter_colors(image, seed, strength):
    """Changes brightness, contrast and saturation, each by a factor in 1 - s .. 1 + s.

    Args:
        image: float tensor `(height, width, channels)` in 0..255.
        seed: int64 tensor `(2,)`, the seed of the image.
        strength: s, in [0, 1].

    Returns:
        A tensor like `image`.

    Source: torchvision's ColorJitter, with the order fixed.
    """
    factors = 1.0 + strength * (2.0 * uniform(3, draw_seeds.of_draw(seed, "colours")) - 1.0)
    image = tf.clip_by_value(image * factors[0], 0.0, 255.0)
    mean = tf.reduce_mean(rand_augment.luma(image))
    image = tf.clip_by_value(mean + (image - mean) * factors[1], 0.0, 255.0)
    grey = rand_augment.luma(image)
    return tf.clip_by_value(grey + (image - grey) * factors[2], 0.0, 255.0)


def _erase(image, seed, probability):
    """Fills a rectangle with noise, with a probability.

    Source: Zhong et al., 2020; noise for each pixel as in the authors' code, clipped to
    the range of images.
    """

    def erased():
        shape = tf.shape(image)
        rectangle_seed = draw_seeds.of_draw(seed, "erased_rectangle")
        top, left, height, width = tf.unstack(
            _rectangle(shape, rectangle_seed, _ERASE_AREAS, _ERASE_RATIOS)
        )
        rows, columns = tf.range(shape[0])[:, None, None], tf.range(shape[1])[None, :, None]
        inside = (rows >= top) & (rows < top + height) & (columns >= left)
        inside &= columns < left + width
        noise_seed = draw_seeds.of_draw(seed, "erased_noise")
        noise = tf.random.stateless_normal(shape, noise_seed, *_NOISE, alg="philox")
        return tf.where(inside, tf.clip_by_value(noise, 0.0, 255.0), image)

    draw = uniform(1, draw_seeds.of_draw(seed, "erasing"))[0]
    return tf.cond(draw < probability, erased, lambda: image)


def _rectangle(shape, seed, areas, ratios):
    """Draws a rectangle inside an image: `(top, left, height, width)`."""
    size = tf.cast(shape[:2], tf.float32)
    draws = tf.reshape(uniform(4 * _TRIES, seed), (4, _TRIES))
    area = (areas[0] + (areas[1] - areas[0]) * draws[0]) * size[0] * size[1]
    low, high = math.log(ratios[0]), math.log(ratios[1])
    ratio = tf.exp(low + (high - low) * draws[1])
    heights, widths = tf.round(tf.sqrt(area / ratio)), tf.round(tf.sqrt(area * ratio))
    fits = (heights >= 1) & (widths >= 1) & (heights <= size[0]) & (widths <= size[1])
    first = tf.argmax(tf.cast(fits, tf.int32))
    # If none fits: the whole image, cut to the nearest ratio.
    whole_ratio = tf.clip_by_value(size[1] / size[0], *ratios)
    whole = tf.minimum(size, tf.round(tf.stack([size[1] / whole_ratio, size[0] * whole_ratio])))
    one_fits = fits[first]
    drawn = tf.stack([heights[first], widths[first]])
    chosen = tf.where(one_fits, drawn, whole)
    free = size - chosen
    place = tf.where(one_fits, tf.floor((free + 1.0) * draws[2:, first]), tf.floor(free / 2.0))
    return tf.cast(tf.concat([tf.minimum(place, free), chosen], 0), tf.int32)


def draws(seed, mixup, cutmix):
    """Draws how a pair of images is mixed; of the two draws of a pair the first image's counts.

    Args:
        seed: int64 tensor `(2,)`, the seed of the image.
        mixup: alpha of MixUp; 0: no MixUp.
        cutmix: alpha of CutMix; 0: no CutMix.

    Returns:
        float32 `(4,)`: lambda from Beta(alpha, alpha); 1 for CutMix or 0 for MixUp, each with
        probability 1/2 if both have an alpha; the centre of the rectangle, in 0..1 of height
        and width.
    """
    numbers = uniform(3, draw_seeds.of_draw(seed, "mixing"))
    cuts = numbers[0] < (0.5 if mixup and cutmix else float(bool(cutmix)))
    alpha = tf.where(cuts, cutmix or 1.0, mixup or 1.0)
    # A Beta variate is a share of two Gamma variates.
    share_seed = draw_seeds.of_draw(seed, "mixing_share")
    gammas = tf.random.stateless_gamma([2], share_seed, alpha=alpha)
    total = tf.reduce_sum(gammas)
    share = tf.where(total > 0, gammas[0] / tf.maximum(total, 1e-30), 0.5)
    return tf.stack([share, tf.cast(cuts, tf.float32), numbers[1], numbers[2]])


def mix(images, labels, draws, num_classes):
    """Mixes images 2i and 2i + 1 of a batch, each the other's partner.

    Args:
        images: float32 `(batch, height, width, channels)`; the batch is even.
        labels: int32 `(batch,)`.
        draws: float32 `(batch, 4)`, the result of `draws` for each image.
        num_classes: classes of the data.

    Returns:
        The mixed images, and float32 targets `(batch, num_classes)`: lambda at the image's
        own class and 1 - lambda at its partner's. For CutMix lambda is corrected to the area
        that was pasted.

    Source: Zhang et al., 2018 (MixUp); Yun et al., 2019 (CutMix); pairs as timm's mode
    "pair".
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
    # One formula for both: the weight of the partner in each pixel.
    weight = tf.where(cuts[:, None, None, None], tf.cast(pasted, tf.float32), _wide(1.0 - share))
    mixed = images + weight * (partners - images)
    targets = tf.one_hot(labels, num_classes)
    partner_targets = tf.one_hot(partner_labels, num_classes)
    return mixed, share[:, None] * targets + (1.0 - share)[:, None] * partner_targets


def _inside(centre, share, length):
    """Returns which of `length` places lie within a `share` of it around `centre`, and how many."""
    extent = tf.floor(share * length)
    middle = tf.floor(centre * length)
    first = tf.maximum(middle - tf.floor(extent / 2.0), 0.0)
    end = tf.minimum(middle - tf.floor(extent / 2.0) + extent, float(length))
    places = tf.range(length, dtype=tf.float32)[None]
    return (places >= first[:, None]) & (places < end[:, None]), end - first


def _swapped(values):
    """Returns the values with each two neighbours exchanged."""
    rest = values.shape[1:]
    return tf.reshape(tf.reverse(tf.reshape(values, (-1, 2, *rest)), [1]), (-1, *rest))


def _wide(share):
    return share[:, None, None, None]
