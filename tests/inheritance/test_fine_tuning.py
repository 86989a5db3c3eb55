"""Fine-tuning of assembled students: from labels, answers and maps, each of them alone."""

import numpy as np
import pytest

from dna_tf.config import training_sections
from dna_tf.data import loading
from dna_tf.inheritance import answers, fine_tuning, realising
from dna_tf.models import logits
from dna_tf.training import kept_answers
from tests.helpers import small_assemblies

RECIPE = {"epochs": 3, "batch_size": 8, "learning_rate": 5e-3, "warmup_epochs": 0.0}
RECIPE["checkpoint_seconds"] = 1e6  # a checkpoint takes longer than a step of so small a model
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
    recipe = {**RECIPE, "maps": 0.5, "checkpoint_seconds": 0.0}
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


@pytest.mark.parametrize("accumulate", [1, 2])
def test_kept_answers_train_as_online_ones_and_the_teacher_answers_once(
    images, tmp_path, monkeypatch, accumulate
):
    teacher, facts, cells = small_assemblies.all_of_it()
    recipe = {**RECIPE, "epochs": 2, "accumulate": accumulate, "color_jitter": 0.2}

    def trained(seed, folder):
        assembly = small_assemblies.assembly(((0, (1, 3)), (1, (0, 2))), facts)
        model = realising.realise(assembly, teacher, cells, [small_assemblies.pixels()])
        result = fine_tuning.fine_tune(
            model, teacher, images, recipe, seed=seed, answers_folder=folder
        )
        losses.append([epoch["loss"] for epoch in result.history])
        return model

    losses = []
    trained(1, None)
    kept = trained(1, tmp_path)
    # In one graph with the student TensorFlow may round the teacher's answers in another way,
    # and where a gradient is nearly zero Adam makes much of its rounding.
    np.testing.assert_allclose(*losses, rtol=1e-3)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2  # epochs
    content = [path.read_bytes() for path in files]
    assert _bits(trained(1, tmp_path)) == _bits(kept)
    assert [path.read_bytes() for path in files] == content
    for path in files:  # what is kept is what is learned from
        with np.load(path) as arrays:
            np.savez(path, answers=-arrays["answers"])
    assert _bits(trained(1, tmp_path)) != _bits(kept)
    assert _bits(trained(2, tmp_path)) != _bits(kept)
    assert len(list(tmp_path.iterdir())) == 4


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
    with pytest.raises(ValueError, match="maps are not kept.*Set maps=0"):
        fine_tuning.fine_tune(
            student, teacher, images, {**RECIPE, "maps": 1.0}, answers_folder="folder"
        )


def test_a_file_of_other_answers_is_refused(images, student, tmp_path):
    teacher, _, _ = small_assemblies.all_of_it()
    kept = kept_answers.KeptAnswers(tmp_path, logits.with_logits(teacher.model))
    recipe = training_sections.complete_fine_tuning(RECIPE)
    first = kept.of_epoch(images, recipe, 0, 5)
    assert first.shape == (images.counts["train"] // 8, 8, 4)
    (path,) = tmp_path.iterdir()
    np.savez(path, answers=first[:-1])
    with pytest.raises(ValueError, match="does not hold the answers to .* batches of 8"):
        kept.of_epoch(images, recipe, 0, 5)
