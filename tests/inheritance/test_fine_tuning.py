"""Fine-tuning of assembled students: from labels, answers and maps, each of them alone."""

import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.inheritance import answers, fine_tuning, realising
from dna_tf.models import logits
from tests.helpers import small_assemblies

RECIPE = {"epochs": 3, "batch_size": 8, "learning_rate": 5e-3, "warmup_epochs": 0.0}
RECIPE["checkpoint_seconds"] = 0.0
ALONE = {
    "labels": {"labels": 1.0, "answers": 0.0},
    "answers": {"labels": 0.0, "answers": 1.0},
    "maps": {"labels": 0.0, "answers": 0.0, "maps": 1.0},
}


@pytest.fixture(scope="module")
def images():
    """Images whose labels are the teacher's answers."""
    teacher, _, _ = small_assemblies.all_of_it()
    pixels = small_assemblies.pixels(160, seed=9).numpy().astype(np.uint8)
    labels = np.argmax(teacher.model.predict(pixels.astype(np.float32), verbose=0), -1)
    return loading.images_from_arrays((pixels, labels), rating_fraction=0.2, test_fraction=0.2)


@pytest.fixture
def student():
    teacher, facts, cells = small_assemblies.all_of_it()
    assembly = small_assemblies.assembly(((0, (1, 3)), (1, (0, 2))), facts)
    return realising.realise(assembly, teacher, cells, [small_assemblies.pixels()])


def _bits(model):
    return [weight.numpy().tobytes() for weight in model.weights]


@pytest.mark.parametrize("source", ALONE)
def test_each_source_alone_brings_the_student_nearer(images, student, source):
    teacher, _, _ = small_assemblies.all_of_it()
    whole = logits.with_logits(teacher.model)
    before = answers.compare(student, whole, images, "train")
    frozen = _bits(teacher.model)
    result = fine_tuning.fine_tune(student, teacher, images, {**RECIPE, **ALONE[source]}, seed=1)
    after = answers.compare(student, whole, images, "train")
    assert after.kl < 0.9 * before.kl
    assert _bits(teacher.model) == frozen
    kinds = {"labels": set(), "answers": {"distillation"}, "maps": {"distillation", "maps"}}
    for epoch in result.history:
        assert kinds[source] == {"distillation", "maps"} & set(epoch)
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_without_labels_they_have_no_influence(images, student):
    """Wrong labels and right ones give the same bits if their weight is 0."""
    teacher, facts, cells = small_assemblies.all_of_it()
    pixels, labels = images.arrays("train")
    wrong = [
        loading.images_from_arrays(
            (pixels.astype(np.uint8), (labels + moved) % 4), rating_fraction=0.2
        )
        for moved in (0, 1)
    ]
    trained = []
    for data in wrong:
        assembly = small_assemblies.assembly(((0, (1, 3)), None), facts)
        model = realising.realise(assembly, teacher, cells, [small_assemblies.pixels()])
        recipe = {**RECIPE, **ALONE["answers"], "epochs": 1, "take": "last"}
        fine_tuning.fine_tune(model, teacher, data, recipe)
        trained.append(_bits(model))
    assert trained[0] == trained[1]


def test_a_killed_fine_tuning_resumes_to_the_same_bits(images, student, tmp_path, monkeypatch):
    from dna_tf.training import checkpoints

    teacher, facts, cells = small_assemblies.all_of_it()
    recipe = {**RECIPE, "maps": 0.5}
    fine_tuning.fine_tune(student, teacher, images, recipe, folder=tmp_path / "whole")
    save, saved = checkpoints.Checkpoint.save, []

    def dies(*arguments, **named):
        result = save(*arguments, **named)
        saved.append(result)
        if len(saved) == 5:
            raise KeyboardInterrupt
        return result

    def fresh():
        assembly = small_assemblies.assembly(((0, (1, 3)), (1, (0, 2))), facts)
        return realising.realise(assembly, teacher, cells, [small_assemblies.pixels()])

    monkeypatch.setattr(checkpoints.Checkpoint, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        fine_tuning.fine_tune(fresh(), teacher, images, recipe, folder=tmp_path / "killed")
    monkeypatch.setattr(checkpoints.Checkpoint, "save", save)
    again = fresh()
    fine_tuning.fine_tune(again, teacher, images, recipe, folder=tmp_path / "killed")
    assert _bits(again) == _bits(student)


def test_recipes_and_students_that_do_not_fit(images, student):
    teacher, _, _ = small_assemblies.all_of_it()
    with pytest.raises(ValueError, match="labels, recipe.answers and recipe.maps are all 0"):
        fine_tuning.fine_tune(student, teacher, images, {"labels": 0.0, "answers": 0.0})
    with pytest.raises(ValueError, match="answer.*Did you mean 'answers'"):
        fine_tuning.fine_tune(student, teacher, images, {"answer": 0.5})
    with pytest.raises(ValueError, match="recipe.temperature must be in"):
        fine_tuning.fine_tune(student, teacher, images, {"temperature": 0.0})
    stranger = logits.with_logits(small_assemblies.teacher(seed=3).model)
    with pytest.raises(ValueError, match="'small' has no layers .*'block1_map'.*Set maps=0"):
        fine_tuning.fine_tune(stranger, teacher, images, {**RECIPE, "maps": 1.0})
