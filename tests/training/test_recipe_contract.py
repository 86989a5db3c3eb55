"""Contract of all recipes: what a recipe says about images reaches the batches of a training."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.config import recipes, run_config
from dna_tf.data import loading
from dna_tf.training import classifier
from tests.helpers.noise_training import CLASSES, SIZE, plain_model, recipe

NAMES = ("paper", "authors_later", "modern", "small", "transfer")
# Field of a recipe -> the changes with which it shows.
AUGMENTATION = {
    "crop_area": {"crop_area": 0.2},
    "color_jitter": {"color_jitter": 0.5},
    "randaugment_ops": {"randaugment_ops": 2},
    "erase": {"erase": 1.0},
    "mixup": {"mixup": 1.0},
    "cutmix": {"cutmix": 1.0},
}
OTHERS = {
    *("epochs", "accumulate", "optimizer", "learning_rate", "reference_batch_size", "schedule"),
    *("decay_factor", "decay_epochs", "warmup_epochs", "weight_decay", "label_smoothing"),
    *("dropout", "drop_connect", "ema_decay", "precision", "rating_every", "take", "tensorboard"),
    *("checkpoint_seconds", "seeds", "control_seeds", "start_from", "distill_weight"),
    *("distill_temperature", "teachers", "teacher_ends", "cycles"),
}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (48, SIZE, SIZE, 3), np.uint8)
    return loading.images_from_arrays((pixels, np.arange(48) % CLASSES), rating_per_class=4)


def batches_of(images, folder, **changes):
    """The images and targets that the steps of a training receive, in order."""
    usual = {"epochs": 1, "batch_size": 8, "rating_every": 0, "precision": "float32"}
    trainer = classifier.ClassifierTrainer(plain_model(), images, recipe(**{**changes, **usual}))
    received = []

    def update(parts, number):
        received.extend((pixels.numpy(), labels.numpy()) for pixels, labels in parts)
        return {"loss": tf.constant(0.0)}

    trainer.update = update
    trainer.train(3, folder, "toy")
    return received


def test_every_field_is_of_images_or_not():
    fields = set(recipe()) - {"batch_size"}
    assert fields == {*AUGMENTATION, "randaugment_magnitude", *OTHERS}


@pytest.mark.parametrize("field", AUGMENTATION)
def test_a_field_changes_the_images_of_a_training(images, tmp_path, field):
    plain = batches_of(images, tmp_path / "plain")
    changed = batches_of(images, tmp_path / "changed", **AUGMENTATION[field])
    assert len(plain) == len(changed) == images.steps_per_epoch(8)
    assert any(np.any(one[0] != other[0]) for one, other in zip(plain, changed, strict=True))
    for pixels, targets in changed:
        assert pixels.shape == (8, SIZE, SIZE, 3) and 0 <= pixels.min() <= pixels.max() <= 255
        assert targets.shape == ((8, CLASSES) if field in ("mixup", "cutmix") else (8,))
    again = batches_of(images, tmp_path / "again", **AUGMENTATION[field])
    for one, other in zip(changed, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_the_magnitude_changes_the_images_of_a_training(images, tmp_path):
    weak, strong = (
        batches_of(images, tmp_path / f"{m}", randaugment_ops=2, randaugment_magnitude=m)
        for m in (1.0, 9.0)
    )
    assert any(np.any(one[0] != other[0]) for one, other in zip(weak, strong, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipes_augmentation_reaches_a_training(images, tmp_path, name):
    config = run_config.default_config()
    getattr(recipes, name)(config)
    fields = {name: config.retrain[name] for name in (*AUGMENTATION, "randaugment_magnitude")}
    plain = batches_of(images, tmp_path / "plain")
    changed = batches_of(images, tmp_path / "changed", **fields)
    differs = any(np.any(one[0] != other[0]) for one, other in zip(plain, changed, strict=True))
    assert differs == any(fields[name] for name in AUGMENTATION)
