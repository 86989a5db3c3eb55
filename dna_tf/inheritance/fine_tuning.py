"""Fine-tunes an assembled student: labels, the teacher's answers and its maps mend the seams."""

import tempfile

import keras

from dna_tf.common import checks, files
from dna_tf.config import training_sections
from dna_tf.inheritance import realising
from dna_tf.models import logits
from dna_tf.training import (
    determinism,
    distillation,
    kept_answers,
    student_checks,
    student_training,
)


def fine_tune(
    student,
    teacher,
    images,
    recipe=None,
    *,
    seed=0,
    folder=None,
    answers_folder=None,
    strategy=None,
):
    """Trains an assembled student in place and tests it.

    Args:
        student: a `keras.Model` from `realising.realise`.
        teacher: its `cutting.Teacher`.
        images: a `labelled_images.Images`.
        recipe: fields of the config's section `fine_tune`, such as `{"epochs": 5}`: a training
            recipe, and the weights of what is learned from: `labels`, `answers` (with their
            `temperature`) and `maps`. Any of them alone works.
        seed: decides the order and the augmentation of the training images.
        folder: keeps checkpoints and the history, so that a killed training resumes. `None`
            keeps nothing.
        answers_folder: keeps the teacher's answers to the training images, so that it answers
            once for all students that are trained with one seed and recipe. `None` asks it in
            each step. Not together with `maps`.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Returns:
        A `student_training.StudentResult`.

    Raises:
        ValueError: the recipe is wrong, or student, teacher and images do not fit together.
    """
    recipe = training_sections.complete_fine_tuning(recipe)
    checks.check_whole("seed", seed, 0)
    student_checks.check_model(student, images)
    determinism.enable(seed)
    trainer = student_training.StudentTrainer(
        student, images, recipe, _distillation(recipe, student, teacher, answers_folder), strategy
    )
    if folder is not None:
        return trainer.train(seed, files.as_path(folder), label=f"fine-tuning {student.name}")
    with tempfile.TemporaryDirectory() as temporary:
        return trainer.train(seed, temporary, label=f"fine-tuning {student.name}")


def _distillation(recipe, student, teacher, answers_folder):
    """What a recipe learns from; the teacher runs only if it is needed."""
    if not recipe.answers and not recipe.maps:
        return None
    with_logits, layers = logits.with_logits(teacher.model), ()
    model, kept = with_logits, None
    if answers_folder is not None:
        if recipe.maps:
            raise ValueError(
                "The teacher's maps are not kept, only its answers. Set maps=0, or leave "
                f"answers_folder out. Received: maps={recipe.maps}"
            )
        kept = kept_answers.KeptAnswers(answers_folder, with_logits)
    if recipe.maps:
        layers = tuple(realising.map_name(b) for b in range(len(teacher.cuts)))
        there = {layer.name for layer in student.layers}
        if not there.issuperset(layers):
            raise ValueError(
                f"The student {student.name!r} has no layers {list(layers)}, whose maps are to "
                "be compared with the teacher's: it was not assembled for this teacher. Set "
                "maps=0, or assemble it again."
            )
        maps = [with_logits.get_layer(cut).output for cut in teacher.cuts]
        model = keras.Model(with_logits.input, [with_logits.output, *maps])
    return distillation.Distillation(
        model, recipe.labels, recipe.answers, recipe.temperature, recipe.maps, layers, kept
    )
