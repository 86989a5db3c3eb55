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


# What each recipe sets, from the source that its docstring names.
IMAGENET = {"image_size": 224, "crop_fraction": 0.875, "interpolation": "bicubic", "flip": True}
LARGE = {"batch_size": 4096, "reference_batch_size": 4096, "accumulate": 8}
OF_RECIPES = {
    "authors_later": (
        IMAGENET,
        {**LARGE, "randaugment_ops": 2, "randaugment_magnitude": 9.0, "erase": 0.2}
        | {"color_jitter": 0.4, "optimizer": "rmsprop", "epochs": 500},
    ),
    "modern": (
        IMAGENET,
        {**LARGE, "epochs": 600, "optimizer": "adamw", "learning_rate": 4e-3, "schedule": "cosine"}
        | {"warmup_epochs": 20.0, "weight_decay": 0.05, "label_smoothing": 0.1, "dropout": 0.2}
        | {"drop_connect": 0.1, "ema_decay": 0.9999, "crop_area": 0.08, "color_jitter": 0.0}
        | {"randaugment_ops": 2, "randaugment_magnitude": 9.0, "erase": 0.25, "mixup": 0.1}
        | {"cutmix": 1.0},
    ),
    "small": (
        {"image_size": 32, "crop_fraction": 1.0, "shift": 0.125, "flip": True},
        {"epochs": 40, "batch_size": 128, "optimizer": "adamw", "learning_rate": 2e-3}
        | {"reference_batch_size": 128, "schedule": "cosine", "weight_decay": 0.05},
    ),
    "transfer": (
        {"image_size": 224, "crop_fraction": 1.0, "flip": True},
        {"epochs": 100, "batch_size": 256, "optimizer": "sgd", "learning_rate": 0.01}
        | {"reference_batch_size": 256, "schedule": "cosine", "warmup_epochs": 0.0}
        | {"weight_decay": 1e-4, "label_smoothing": 0.0, "dropout": 0.2, "drop_connect": 0.2}
        | {"ema_decay": 0.999, "crop_area": 0.2, "color_jitter": 0.06, "erase": 0.5}
        | {"take": "best"},
    ),
}


@pytest.mark.parametrize("name", OF_RECIPES)
def test_a_recipe_is_that_of_its_source(name):
    config, (data, training) = of_recipe(name), OF_RECIPES[name]
    assert {field: config.data[field] for field in data} == data
    assert {field: config.retrain[field] for field in training} == training
    if name == "small":  # teachers train half as long
        halved = {**training, "epochs": 20}
        assert {field: config.teacher_training[field] for field in training} == halved


def test_the_papers_supernet_is_the_spec():
    config = run_config.default_config()
    recipes.paper_supernet(config)
    expected = {"epochs": 20, "learning_rate": 0.005, "first_block_learning_rate": 0.002}
    expected["learning_rate_decay"] = 0.9
    assert {field: config.supernet[field] for field in expected} == expected


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
