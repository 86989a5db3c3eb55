"""No two draws share a seed: all seeds of an epoch, and what is drawn does not hang together."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.data import augmentation, draw_seeds, loading, rand_augment

COUNT = 6000
CLASSES = 60
# No other test has these numbers: the compiled augmentation is kept by them.
FULLEST = augmentation.Augmentation(0.31, 0.21, 1, 9.0, 1.0, 0.41, 0.41, CLASSES)


def same_images():
    """49 training images of equal pixels, each with a label of its own: only the draws differ."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (12, 12, 3), np.uint8)
    pixels = np.repeat(picture[None], CLASSES, 0)
    return loading.images_from_arrays(
        train=(pixels, np.arange(CLASSES)),
        rating_fraction=0.1,
        test_fraction=0.1,
        shift=0.25,
        flip=True,
    )


def drawn(function, count=COUNT):
    """The results of a function for the seeds of `count` images, as arrays."""
    seeds = tf.stack(
        [tf.fill([count], tf.constant(7, tf.int64)), tf.range(count, dtype=tf.int64)], 1
    )
    structure = tf.nest.map_structure(
        lambda value: tf.TensorSpec(value.shape, value.dtype), function(seeds[0])
    )
    mapped = tf.function(lambda: tf.map_fn(function, seeds, fn_output_signature=structure))
    return tf.nest.map_structure(lambda value: value.numpy(), mapped())


@pytest.fixture
def used_seeds(monkeypatch):
    """A list that gets the seed of each random op, also of those inside datasets."""
    used = []

    def note(seed):
        used.append(tuple(seed.tolist()))
        return seed

    def noting(draw):
        def noted(shape, seed, *args, **kwargs):
            seed = tf.ensure_shape(tf.numpy_function(note, [seed], tf.int64), (2,))
            return draw(shape, seed, *args, **kwargs)

        return noted

    names = [name for name in dir(tf.random) if name.startswith("stateless_")]
    for name in set(names) - {"stateless_parameterized_truncated_normal"}:
        monkeypatch.setattr(tf.random, name, noting(getattr(tf.random, name)))
    return used


def test_all_draws_of_all_images_of_two_epochs_have_different_seeds(used_seeds):
    images = same_images()
    del used_seeds[:]
    for epoch in (0, 1):
        steps = list(images.epoch(48, epoch, seed=3, augmentation=FULLEST))
        assert len(steps) == 1
    # The order is a draw; for each image shift and flip are one, the others those of the list.
    # Of the 49 images the batch leaves one out, which may be prepared all the same.
    assert len(used_seeds) >= 2 * (1 + 48 * (1 + len(draw_seeds.KINDS)))
    shared = len(used_seeds) - len(set(used_seeds))
    assert not shared, f"{shared} draws have the seed of another draw"


def test_kind_direction_and_strength_of_an_operation_are_independent():
    ops, strengths = drawn(lambda seed: rand_augment.draw(seed, 3, 9.0))
    limit = 4 / np.sqrt(COUNT)
    for slot, other in itertools.product(range(3), range(3)):
        signs, sizes = np.sign(strengths[:, slot]), np.abs(strengths[:, other])
        assert abs(np.corrcoef(signs, sizes)[0, 1]) < limit, (slot, other)
        assert abs(np.corrcoef(ops[:, slot], sizes)[0, 1]) < limit, (slot, other)
        assert abs(np.corrcoef(ops[:, slot], signs)[0, 1]) < limit
        if slot == other:
            for kind in range(len(rand_augment.OPS)):
                of_kind = sizes[ops[:, slot] == kind]
                assert abs(len(of_kind) - COUNT / 14) < 4 * np.sqrt(COUNT / 14)
                # 0.05, cut off where the strength would be above 1.
                assert 0.04 < of_kind.std() < 0.056, (slot, rand_augment.OPS[kind])
        else:
            assert abs(np.corrcoef(strengths[:, slot], strengths[:, other])[0, 1]) < limit


def test_the_erased_area_does_not_depend_on_how_the_pair_is_mixed():
    recipe = augmentation.Augmentation(erase=1.0, mixup=1.0, cutmix=1.0)
    black = tf.zeros((20, 20, 3), tf.uint8)

    def one(seed):
        erased = tf.reduce_any(recipe.image(black, seed) > 0, -1)
        places = tf.where(erased)
        middle = tf.reduce_mean(tf.cast(places, tf.float32), 0)
        area = tf.reduce_mean(tf.cast(erased, tf.float32))
        return tf.concat([[area], middle, recipe.draws(seed)], 0)

    area, row, column, share, cuts, y, x = drawn(one, 1500).T
    values = {"area": area, "row": row, "column": column, "share": share, "cuts": cuts}
    values |= {"y": y, "x": x}
    for (one_name, first), (other_name, second) in itertools.combinations(values.items(), 2):
        assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(1500), (one_name, other_name)
    # What hangs together without a line: shares far from the middle.
    assert abs(np.corrcoef(abs(share - 0.5), cuts)[0, 1]) < 4 / np.sqrt(1500)
    assert abs(np.corrcoef(abs(share - 0.5), y)[0, 1]) < 4 / np.sqrt(1500)


RECIPES = {
    "shift and flip": None,
    "crops": augmentation.Augmentation(crop_area=0.2),
    "colours": augmentation.Augmentation(color_jitter=0.5),
    "operations": augmentation.Augmentation(ops=1),
    "erasing": augmentation.Augmentation(erase=1.0),
    "mixing": augmentation.Augmentation(mixup=1.0, cutmix=1.0, num_classes=CLASSES),
}


@pytest.mark.parametrize("name", RECIPES)
def test_an_image_is_drawn_anew_in_each_epoch_and_unlike_the_others(name):
    images, drawn_in = same_images(), []
    for epoch in (0, 1):
        ((_, labels),) = images.epoch(48, epoch, seed=3, augment=False)
        ((pixels, targets),) = images.epoch(48, epoch, seed=3, augmentation=RECIPES[name])
        results = [pixels.numpy()[row].tobytes() for row in range(48)]
        rows = range(48)
        if name == "mixing":  # each two have one draw, that of the first
            rows = rows[::2]
            results = [round(float(targets[row, labels[row]]), 5) for row in range(48)]
        drawn_in.append({int(labels[row]): results[row] for row in rows})
    first, second = drawn_in
    common = first.keys() & second.keys()
    assert len(common) > 5
    # Some meet by chance: there are 98 shifts with flip, and 14 operations.
    same = sum(first[label] == second[label] for label in common)
    assert same <= len(common) // 4, f"{same} of {len(common)} are the same in both epochs"
    different = len(set(first.values()))
    assert different > len(first) // 2, f"{different} of {len(first)} images are different"


def test_a_seed_draws_the_same_in_every_version():
    """Golden: a run that was killed goes on with the same images after an update."""
    seed = tf.constant([7, 11], tf.int64)
    ops, strengths = rand_augment.draw(seed, 3, 9.0)
    assert ops.numpy().tolist() == [3, 11, 11]
    np.testing.assert_allclose(strengths, [-0.9171017, 0.9637176, -0.8422432], rtol=1e-5)
    mixing = augmentation.draws(seed, 0.2, 1.0)
    np.testing.assert_allclose(mixing, [0.5209412, 1.0, 0.5987494, 0.8907994], rtol=1e-5)
    box = augmentation.Augmentation(crop_area=0.3).crop_box(tf.constant([40, 60, 3]), seed)
    assert box.numpy().tolist() == [0, 12, 40, 48]
