"""Retraining: seeds, recipes, changed data, distilling; the same bits as the function."""

import dataclasses
import json

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import seeding
from dna_tf.config import recipes, run_config
from dna_tf.data import loading
from dna_tf.models import keras_files, students
from dna_tf.phases import retraining
from dna_tf.space import zoo
from dna_tf.training import student_training
from tests.helpers import tiny_config
from tests.helpers.data_files import picture, png, write_folder
from tests.helpers.noise_training import tiny_architecture

NAMES = ("paper", "authors_later", "modern", "small", "transfer")
CLASSES = ("ant", "bee", "cat")


def of_recipe(name):
    """The default config with a recipe."""
    config = run_config.default_config()
    getattr(recipes, name)(config)
    return config


def cut_down(name, folder, **changes):
    """The recipe for a few small images and two epochs."""
    write_folder(folder / "images", CLASSES, 20)
    config = of_recipe(name)
    config.data.update(source=f"folder:{folder / 'images'}", image_size=16, rating_per_class=4)
    config.retrain.update(epochs=2, batch_size=16, accumulate=2, seeds=1, checkpoint_seconds=0.0)
    config.retrain.update(changes)
    run, config = workdirs.open_workdir(folder / "run", config)
    return run, config


_SLOW = ("paper", "authors_later", "small", "transfer")  # the other one has most of their parts


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in NAMES]
)
def test_a_student_trains_with_the_recipe(name, tmp_path):
    changes = {}
    if name == "transfer":
        start = students.build_student(tiny_architecture(7, 24), seed=3)
        keras_files.save_model(start, tmp_path / "start.keras")
        changes = {"start_from": str(tmp_path / "start.keras")}
    run, config = cut_down(name, tmp_path, **changes)
    arch = tiny_architecture(7, 24) if name == "transfer" else tiny_architecture()
    (result,) = retraining.retrain(run, config, arch)
    folder = run.student("tiny", 0)
    other = "last" if config.retrain.take == "best" else "best"
    for file in ("model.keras", f"{other}.keras", "history.json", "architecture.json"):
        assert (folder / file).exists(), file
    history = json.loads((folder / "history.json").read_text())["epochs"]
    assert len(history) == 2 and all(np.isfinite(list(epoch.values())).all() for epoch in history)
    assert result["weights"] == ("averaged" if config.retrain.ema_decay else "trained")
    # ImageNet's recipes measure in few epochs, and always after the last one.
    measured = [epoch["rating_accuracy"] for epoch in history if "rating_accuracy" in epoch]
    assert "rating_accuracy" in history[-1]
    assert result["best_rating_accuracy"] == max(measured)
    assert list((run.tensorboard / "students" / "tiny" / "0").glob("events*"))
    trained = keras_files.load_model(folder / "model.keras")
    assert trained.input_shape == (None, 16, 16, 3) and trained.output_shape == (None, 3)
    assert retraining.retrain(run, config, arch) == [result]  # it is there already


def test_a_student_of_a_run_is_the_one_of_the_function(tmp_path):
    run, config = cut_down("small", tmp_path)
    arch, recipe = tiny_architecture(), config.retrain
    (result,) = retraining.retrain(run, config, arch)
    source = f"folder:{tmp_path / 'images'}"
    changes = {name: config.data[name] for name in ("image_size", "rating_per_class", "shift")}
    images = loading.load_images(source, seed=config.seed, flip=config.data.flip, **changes)
    assert images.fingerprint == result["data_fingerprint"]
    seed = seeding.derive_seed("student", config.seed, 0)
    model = students.build_student(arch, recipe.dropout, recipe.drop_connect, seed)
    student = student_training.train_student(model, images, recipe, seed=seed)
    assert student.test_correct == result["test_correct"]
    history = json.loads((run.student("tiny", 0) / "history.json").read_text())["epochs"]
    assert student.history == history
    saved = keras_files.load_model(run.student("tiny", 0) / "model.keras")
    for one, other in zip(saved.weights, model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("seeds, control_seeds, expected", [(3, 0, (3, 3)), (3, 1, (3, 1))])
def test_controls_may_have_fewer_seeds(tmp_path, monkeypatch, seeds, control_seeds, expected):
    def finished(workdir, arch, seed):
        return {"seed": seed, "test_correct": 1, "test_images": 2}

    monkeypatch.setattr(retraining, "finished", finished)
    config = tiny_config.get_config()
    config.retrain.update(seeds=seeds, control_seeds=control_seeds)
    searched = zoo.get_architecture("dna_a")
    control = dataclasses.replace(searched, origin={"by": "control", "control_of": "dna_a"})
    results = [
        retraining.retrain(workdirs.Workdir(tmp_path), config, a) for a in (searched, control)
    ]
    assert tuple(map(len, results)) == expected
    assert [result["seed"] for result in results[0]] == list(range(seeds))


def test_a_missing_file_to_start_from_is_refused_before_any_folder(tmp_path):
    run, config = cut_down("transfer", tmp_path, start_from=str(tmp_path / "none.keras"))
    with pytest.raises(FileNotFoundError, match="There is no model file .*none.keras"):
        retraining.retrain(run, config, tiny_architecture())
    assert not run.student("tiny", 0).exists()


def test_changed_data_is_seen_without_a_teacher(tmp_path):
    run, config = cut_down("small", tmp_path)
    (first,) = retraining.retrain(run, config, tiny_architecture())
    path = tmp_path / "images" / "ant" / "000.png"
    path.write_bytes(png(picture(999, 9, 9)))
    with pytest.raises(ValueError, match="since the student 'tiny' was trained with seed 0"):
        retraining.retrain(run, config, tiny_architecture(), seeds=[0, 1])
    assert not run.student("tiny", 1).exists()
    # A student that was killed before its result was written: its checkpoints know it, too.
    (run.student("tiny", 0) / "result.json").unlink()
    expected = f"student tiny seed 0: the data has .* now, {first['data_fingerprint']} then"
    with pytest.raises(ValueError, match=expected):
        retraining.retrain(run, config, tiny_architecture())


def test_distilling_needs_a_teacher_of_the_datas_classes(tmp_path):
    run, config = cut_down("small", tmp_path, distill_weight=0.5)
    with pytest.raises(FileNotFoundError, match="Train the teacher first"):
        retraining.retrain(run, config, tiny_architecture())
    teacher = students.build_student(tiny_architecture(7))
    keras_files.save_model(teacher, run.teacher / "model.keras")
    images = loading.load(config.data, config.seed, run.path)
    result = {"kind": "dna_tf.teacher", "image_shape": [16, 16, 3]}
    result["data_fingerprint"] = images.fingerprint
    (run.teacher / "result.json").write_text(json.dumps(result))
    with pytest.raises(ValueError, match="knows the data's 3 classes .* has 7 outputs"):
        retraining.retrain(run, config, tiny_architecture())
    keras_files.save_model(students.build_student(tiny_architecture()), run.teacher / "model.keras")
    (result,) = retraining.retrain(run, config, tiny_architecture())
    history = json.loads((run.student("tiny", 0) / "history.json").read_text())["epochs"]
    assert all(epoch["distillation"] > 0 for epoch in history) and result["test_images"]


def test_a_loss_that_is_not_a_number_stops_the_training_and_names_it(tmp_path):
    run, config = cut_down("small", tmp_path, optimizer="sgd", learning_rate=1e2)
    config.retrain.update(epochs=30, weight_decay=10.0, warmup_epochs=0.0)
    with pytest.raises(ValueError, match="student tiny seed 0: loss became (nan|inf) by epoch"):
        retraining.retrain(run, config, tiny_architecture())
    assert not (run.student("tiny", 0) / "result.json").exists()
