"""Recipes by name: their numbers, and a short training with each of them."""

import dataclasses
import json
import types

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.config import recipes, run_config
from dna_tf.data import loading
from dna_tf.models import keras_files, students
from dna_tf.phases import retraining
from dna_tf.space import spaces
from dna_tf.training import optimizers, student_checks
from tests.helpers.data_files import picture, png, write_folder
from tests.helpers.noise_training import tiny_architecture

NAMES = ("paper", "authors_later", "modern", "small", "transfer")
CLASSES = ("ant", "bee", "cat")


def of_recipe(name):
    """The default config with a recipe."""
    made = run_config.default_config()
    getattr(recipes, name)(made)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_passes_the_check_and_changes_only_data_and_training(name):
    made = of_recipe(name)
    run_config.check_config(made)
    plain, usual = run_config.to_plain(made), run_config.to_plain(run_config.default_config())
    sections = {field.partition(".")[0] for field in run_config.differences(plain, usual)}
    assert sections <= {"data", "retrain", "teacher_training"}
    assert "retrain" in sections and made.is_locked


def test_the_papers_recipe_is_the_spec():
    # Spec: DNA 4.1 and the authors' script.
    made = of_recipe("paper").retrain
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
    assert {name: made[name] for name in expected} == expected
    later = of_recipe("authors_later").retrain
    changed = {name for name in later if later[name] != made[name]}
    assert changed == {"randaugment_ops", "erase", "color_jitter"}
    # The script's rate at its own batch is the same rule.
    made.batch_size = 1024
    assert optimizers.peak_learning_rate(made) == pytest.approx(0.064)


def cut_down(name, folder, **changes):
    """The recipe for a few small images and two epochs."""
    write_folder(folder / "images", CLASSES, 20)
    made = of_recipe(name)
    made.data.update(source=f"folder:{folder / 'images'}", image_size=16, rating_per_class=4)
    made.retrain.update(epochs=2, batch_size=16, accumulate=2, seeds=1, checkpoint_seconds=0.0)
    made.retrain.update(changes)
    run, made = workdirs.open_workdir(folder / "run", made)
    return run, made


_SLOW = ("paper", "authors_later")  # the other ones have all their parts between them, but one


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in NAMES]
)
def test_a_student_trains_with_the_recipe(name, tmp_path):
    changes = {}
    if name == "transfer":
        start = students.build_student(tiny_architecture(7, 24), seed=3)
        keras_files.save_model(start, tmp_path / "start.keras")
        changes = {"start_from": str(tmp_path / "start.keras")}
    run, made = cut_down(name, tmp_path, **changes)
    arch = tiny_architecture(7, 24) if name == "transfer" else tiny_architecture()
    (result,) = retraining.retrain(run, made, arch)
    folder = run.student("tiny", 0)
    other = "last" if made.retrain.take == "best" else "best"
    for file in ("model.keras", f"{other}.keras", "history.json", "architecture.json"):
        assert (folder / file).exists(), file
    history = json.loads((folder / "history.json").read_text())["epochs"]
    assert len(history) == 2 and all(np.isfinite(list(epoch.values())).all() for epoch in history)
    assert result["weights"] == ("averaged" if made.retrain.ema_decay else "trained")
    best = max(epoch["rating_accuracy"] for epoch in history)
    assert result["best_rating_accuracy"] == best
    assert list((run.tensorboard / "students" / "tiny" / "0").glob("events*"))
    trained = keras_files.load_model(folder / "model.keras")
    assert trained.input_shape == (None, 16, 16, 3) and trained.output_shape == (None, 3)
    assert retraining.retrain(run, made, arch) == [result]  # it is there already


def test_fine_tuning_starts_from_the_students_weights(tmp_path):
    start = students.build_student(tiny_architecture(7, 24), seed=3)
    path = tmp_path / "start.keras"
    keras_files.save_model(start, path)
    model = students.build_student(tiny_architecture(), seed=4)
    before = model.get_layer("classifier").kernel.numpy()
    student_checks.copy_weights(path, model)
    known = {w.path: w.numpy() for w in start.weights}
    for weight in model.weights:
        if weight.path.startswith("classifier"):
            continue
        np.testing.assert_array_equal(weight.numpy(), known[weight.path])
    np.testing.assert_array_equal(model.get_layer("classifier").kernel.numpy(), before)


def test_a_file_of_another_architecture_is_refused(tmp_path):
    arch = tiny_architecture()
    path = tmp_path / "start.keras"
    keras_files.save_model(students.build_student(arch), path)
    wider = dataclasses.replace(arch.blocks[0], width=6)
    deeper = dataclasses.replace(arch.blocks[0], ops=(*arch.blocks[0].ops, spaces.Op(3, 2)))
    wrong = "is no student of the architecture 'tiny': its layer"
    for block, message in (
        (wider, f"{wrong} 'block1_layer1_project_conv' was expected to have weights"),
        (deeper, f"{wrong} 'block1_layer3_expand_conv' was .* Found: no such layer"),
    ):
        other = dataclasses.replace(arch, blocks=(block,))
        with pytest.raises(ValueError, match=message):
            student_checks.copy_weights(path, students.build_student(other))
    keras_files.save_model(
        students.build_student(dataclasses.replace(arch, blocks=(deeper,))), path
    )
    with pytest.raises(ValueError, match="layers more, such as 'block1_layer3_"):
        student_checks.copy_weights(path, students.build_student(arch))
    run, made = cut_down("transfer", tmp_path, start_from=str(tmp_path / "none.keras"))
    with pytest.raises(FileNotFoundError, match="There is no model file .*none.keras"):
        retraining.retrain(run, made, arch)
    assert not run.student("tiny", 0).exists()


def test_changed_data_is_seen_without_a_teacher(tmp_path):
    run, made = cut_down("small", tmp_path)
    (first,) = retraining.retrain(run, made, tiny_architecture())
    path = tmp_path / "images" / "ant" / "000.png"
    path.write_bytes(png(picture(999, 9, 9)))
    with pytest.raises(ValueError, match="since the student 'tiny' was trained with seed 0"):
        retraining.retrain(run, made, tiny_architecture(), seeds=[0, 1])
    assert not run.student("tiny", 1).exists()
    # A student that was killed before its result was written: its checkpoints know it, too.
    (run.student("tiny", 0) / "result.json").unlink()
    expected = f"student tiny seed 0: the data has .* now, {first['data_fingerprint']} then"
    with pytest.raises(ValueError, match=expected):
        retraining.retrain(run, made, tiny_architecture())


def test_architectures_are_fitted_to_the_data():
    images = types.SimpleNamespace(image_shape=(32, 32, 3), num_classes=5)
    fitted = student_checks.fit_to_data(tiny_architecture(), images)
    assert (fitted.image_size, fitted.num_classes, fitted.name) == (32, 5, "tiny")
    images.image_shape = (32, 32, 1)
    with pytest.raises(ValueError, match="takes images of 3 channels, and the data gives 1"):
        student_checks.fit_to_data(tiny_architecture(), images)


def test_distilling_needs_a_teacher_of_the_datas_classes(tmp_path):
    run, made = cut_down("small", tmp_path, distill_weight=0.5)
    with pytest.raises(FileNotFoundError, match="Train the teacher first"):
        retraining.retrain(run, made, tiny_architecture())
    teacher = students.build_student(tiny_architecture(7))
    keras_files.save_model(teacher, run.teacher / "model.keras")
    images = loading.load(made.data, made.seed, run.path)
    result = {"kind": "dna_tf.teacher", "image_shape": [16, 16, 3]}
    result["data_fingerprint"] = images.fingerprint
    (run.teacher / "result.json").write_text(json.dumps(result))
    with pytest.raises(ValueError, match="knows the data's 3 classes .* has 7 outputs"):
        retraining.retrain(run, made, tiny_architecture())
    keras_files.save_model(students.build_student(tiny_architecture()), run.teacher / "model.keras")
    (found,) = retraining.retrain(run, made, tiny_architecture())
    history = json.loads((run.student("tiny", 0) / "history.json").read_text())["epochs"]
    assert all(epoch["distillation"] > 0 for epoch in history) and found["test_images"]


def test_a_loss_that_is_no_number_stops_the_training_and_names_it(tmp_path):
    run, made = cut_down("small", tmp_path, optimizer="sgd", learning_rate=1e2)
    made.retrain.update(epochs=30, weight_decay=10.0, warmup_epochs=0.0)
    with pytest.raises(ValueError, match="student tiny seed 0: loss became (nan|inf) by epoch"):
        retraining.retrain(run, made, tiny_architecture())
    assert not (run.student("tiny", 0) / "result.json").exists()


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
    made = run_config.default_config()
    made.retrain.update(changes)
    with pytest.raises(ValueError, match=message):
        run_config.check_config(made)
