"""Recipes by name: their numbers, and refusals of those that cannot be."""

import pytest

from dna_tf.config import recipes, run_config
from dna_tf.training import optimizers

NAMES = ("paper", "authors_later", "modern", "small", "transfer")
CLASSES = ("ant", "bee", "cat")


def of_recipe(name):
    """The default config with a recipe."""
    config = run_config.default_config()
    getattr(recipes, name)(config)
    return config


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_passes_the_check_and_changes_only_data_and_training(name):
    config = of_recipe(name)
    run_config.check_config(config)
    plain, usual = run_config.to_plain(config), run_config.to_plain(run_config.default_config())
    sections = {field.partition(".")[0] for field in run_config.differences(plain, usual)}
    assert sections <= {"data", "retrain", "teacher_training"}
    assert "retrain" in sections and config.is_locked


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_returns_the_section_with_and_without_a_config(name):
    config = run_config.default_config()
    section = (
        getattr(recipes, name)(config, epochs=7)
        if name in ("modern", "small")
        else (getattr(recipes, name)(config))
    )
    assert section is config.retrain
    alone = getattr(recipes, name)(**({"epochs": 7} if name in ("modern", "small") else {}))
    assert alone == section and alone is not section
    assert run_config.to_plain(run_config.default_config())["retrain"] != dict(alone)


def test_imagenets_rating_images_are_measured_rarely():
    """Each time 50,000 images are decoded, and with TFRecord files all training images read."""
    for name in NAMES:
        section = of_recipe(name).retrain
        of_imagenet = name in ("paper", "authors_later", "modern")
        assert (section.rating_every >= 10) == of_imagenet, name
    config = of_recipe("paper")
    assert recipes.transfer(config).rating_every == 1  # it takes the best epoch


def test_the_papers_recipe_is_the_spec():
    # Spec: DNA 4.1 and the authors' script.
    config = of_recipe("paper").retrain
    expected = {
        "batch_size": 4096,
        "optimizer": "rmsprop",
        "learning_rate": 0.256,
        "decay_factor": 0.97,
        "decay_epochs": 2.4,
        "warmup_epochs": 5,
        "epochs": 500,
        "dropout": 0.2,
        "drop_connect": 0.2,
        "ema_decay": 0.9998,
        "label_smoothing": 0.1,
        "weight_decay": 1e-5,
        "color_jitter": 0.06,
        "crop_area": 0.08,
        "randaugment_ops": 0,
        "erase": 0.0,
    }
    assert {name: config[name] for name in expected} == expected
    later = of_recipe("authors_later").retrain
    changed = {name for name in later if later[name] != config[name]}
    assert changed == {"randaugment_ops", "erase", "color_jitter"}
    # The script's rate at its own batch is the same rule.
    config.batch_size = 1024
    assert optimizers.peak_learning_rate(config) == pytest.approx(0.064)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulate": 5}, r"accumulate=5 does not divide the batch of 64 .*: \[2, 4, 8\]"),
        ({"take": "best", "rating_every": 0}, "take='best' needs the accuracy on the rating"),
        ({"mixup": 0.1, "batch_size": 12, "accumulate": 4}, "12 in 4 parts is odd"),
        ({"optimizer": "lmab"}, r"retrain.optimizer must be one of .*Did you mean 'lamb'"),
        ({"precision": "float16"}, "retrain.precision must be one of"),
        ({"distill_weight": 2.0}, r"retrain.distill_weight must be in \[0.0, 1.0\]"),
    ],
)
def test_recipes_that_cannot_be_are_refused(changes, message):
    config = run_config.default_config()
    config.retrain.update(changes)
    with pytest.raises(ValueError, match=message):
        run_config.check_config(config)
