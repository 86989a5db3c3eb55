"""Parts of a batch, averages, precision, distillation, replicas and best epochs in training."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.models import keras_files, students
from dna_tf.training import classifier, kept_weights, student_training
from tests.helpers.noise_training import (
    BATCH,
    IMAGES,
    ROOT,
    SIZE,
    architecture_of_two_blocks,
    data_of_noise,
    plain_model,
    recipe,
)

layers = keras.layers
STEPS = IMAGES // BATCH


def train(model, folder, data=None, evaluated=None, teacher=None, seed=4, **changes):
    """Trains a model and returns the trainer and the history."""
    changes = {"warmup_epochs": 0.0, "label_smoothing": 0.0, **changes}
    trainer = classifier.ClassifierTrainer(
        model,
        data or data_of_noise(),
        recipe(**changes),
        evaluated,
        student_training.of_recipe(recipe(**changes), teacher),
    )
    return trainer, trainer.train(seed, folder, "toy")


def values(model):
    return {w.path: w.numpy() for w in model.weights}


def furthest(one, other):
    return max(np.abs(a - b).max() for a, b in zip(one.values(), other.values(), strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_parts_of_a_batch_are_one_batch_without_batch_norm(tmp_path, optimizer):
    trained = {}
    for parts in (1, 2, 4):
        model = plain_model()
        first = values(model)
        _, history = train(model, tmp_path / str(parts), accumulate=parts, optimizer=optimizer)
        trained[parts] = values(model), history
        assert furthest(values(model), first) > 0.01
    for parts in (2, 4):
        assert furthest(trained[parts][0], trained[1][0]) < 1e-5
        for one, other in zip(trained[parts][1], trained[1][1], strict=True):
            assert one == pytest.approx(other, rel=1e-5)


def test_with_batch_norm_parts_are_their_own_batches(tmp_path):
    # One update at a rate of nearly zero: the statistics are those of the parts.
    data = data_of_noise()
    batch = next(data.epoch(BATCH, 0, 0, True, 0, (0, 1), None))[0].numpy()
    data.epoch = lambda size, *_, **more: iter(
        [(tf.constant(part), tf.zeros(size, tf.int32)) for part in np.split(batch, BATCH // size)]
    )
    data.steps_per_epoch = lambda batch_size: 1
    means, model = {}, plain_model(norm=True)
    pixels = batch / 255
    maps = keras.ops.conv(pixels, model.get_layer("conv").kernel, padding="valid").numpy()
    for parts in (1, 4):
        model = plain_model(norm=True)
        train(
            model,
            tmp_path / str(parts),
            data,
            accumulate=parts,
            epochs=1,
            learning_rate=1e-8,
            optimizer="sgd",
            weight_decay=0.0,
        )
        norm = model.get_layer("norm")
        means[parts] = norm.moving_mean.numpy()
        assert norm.momentum == 0.9
        # The moving mean went from 0 to a tenth of the batch's; the variance likewise.
        if parts == 1:
            np.testing.assert_allclose(means[1], 0.1 * maps.mean((0, 1, 2)), rtol=1e-3)
            variance = 0.9 + 0.1 * maps.var((0, 1, 2))
            np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=1e-3)
            continue
        weights = [0.9 ** (3 / 4), 0.9 ** (2 / 4), 0.9 ** (1 / 4), 1.0]
        share = 1 - 0.9 ** (1 / 4)
        kept = [w * share for w in weights]
        assert sum(kept) == pytest.approx(0.1)  # as far as in one step
        split = np.split(maps, 4)
        expected = sum(w * part.mean((0, 1, 2)) for w, part in zip(kept, split, strict=True))
        np.testing.assert_allclose(means[4], expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(means[4], means[1], rtol=0.05, atol=1e-3)


def test_averaged_weights_are_evaluated_and_come_back_from_checkpoints(tmp_path):
    data = data_of_noise()

    def trainer(seed):
        model, other = student_of(seed), student_of(seed + 1)
        return classifier.ClassifierTrainer(
            model, data, recipe(ema_decay=0.5, checkpoint_seconds=0.0), other
        )

    whole = trainer(3)
    twins = [w.numpy() for w in whole.model.weights]
    update, counted = whole.update, []

    def followed(parts, number):
        figures = update(parts, number)
        counted.append(number)
        share = min(0.5, (1 + len(counted)) / (10 + len(counted)))
        for i, weight in enumerate(whole.model.weights):
            twins[i] = share * twins[i] + (1 - share) * weight.numpy()
        return figures

    whole.update = followed
    history = whole.train(4, tmp_path / "whole", "toy")
    assert len(counted) == 2 * STEPS
    for weight, expected in zip(whole.evaluated.weights, twins, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-4, atol=1e-6)
    assert furthest(values(whole.evaluated), values(whole.model)) > 1e-4
    data.cut_at = (1, 1)
    with pytest.raises(OSError, match="cut off"):
        trainer(3).train(4, tmp_path / "cut", "toy")
    data.cut_at = None
    again = trainer(8)
    assert again.train(4, tmp_path / "cut", "toy") == history
    expected = [w.numpy().tobytes() for w in whole.evaluated.weights]
    assert [w.numpy().tobytes() for w in again.evaluated.weights] == expected


def student_of(seed, precision="float32", rates=(0.3, 0.4)):
    student = students.build_student(architecture_of_two_blocks(), *rates, seed)
    return classifier.copy_in(student, precision)


def test_a_second_model_is_required():
    with pytest.raises(ValueError, match="need a second model to evaluate"):
        classifier.ClassifierTrainer(
            student_of(0), data_of_noise(), recipe(precision="mixed_bfloat16")
        )


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_is_evaluated_in_float32(tmp_path, precision):
    def run(name, precision):
        # Without dropout: each precision draws other ones.
        model, other = student_of(0, precision, (0, 0)), student_of(1, rates=(0, 0))
        trainer, history = train(
            model, tmp_path / name, evaluated=other, precision=precision, epochs=6
        )
        return trainer.model, other, history

    model, other, mixed = run("mixed", precision)
    conv = next(layer for layer in model.layers if isinstance(layer, layers.Conv2D))
    assert conv.compute_dtype == precision.removeprefix("mixed_")
    assert keras.config.dtype_policy().name == "float32"
    assert furthest(values(model), values(other)) == 0
    assert {layer.compute_dtype for layer in other.layers} == {"float32"}
    _, _, single = run("single", "float32")
    assert mixed[-1]["loss"] == pytest.approx(single[-1]["loss"], rel=0.1)
    assert mixed != single
    assert single[-1]["loss"] < 0.9 * single[0]["loss"]
    _, again, history = run("again", precision)
    assert history == mixed and furthest(values(again), values(other)) == 0


def test_the_best_epoch_is_kept_the_first_of_equals(tmp_path):
    model = plain_model()
    kept = kept_weights.BestWeights(tmp_path, model)
    assert kept.load() is None
    for epoch, accuracy in ((1, 0.5), (2, 0.75), (3, 0.75), (4, 0.25)):
        model.weights[0].assign(tf.fill(model.weights[0].shape, float(epoch)))
        kept.offer(epoch, accuracy)
    assert kept_weights.BestWeights(tmp_path, model).load() == (2, 0.75)
    assert np.all(model.weights[0].numpy() == 2)
    path = tmp_path / "checkpoints" / "best.npz"
    whole = bytearray(path.read_bytes())
    whole[whole.rindex(model.weights[-1].numpy().tobytes())] ^= 1  # in a member, not the archive
    for content in (b"half", bytes(whole)):
        path.write_bytes(content)
        for call in (kept.load, lambda: kept.offer(5, 0.1)):
            with pytest.raises(ValueError, match="best.npz is truncated or damaged.*Delete its fo"):
                call()


@pytest.mark.parametrize("take", ["last", "best"])
def test_rating_images_say_which_epoch_was_best(tmp_path, monkeypatch, take):
    seen, other = {}, plain_model(9)
    trainer = classifier.ClassifierTrainer(
        plain_model(),
        data_of_noise(),
        recipe(rating_every=2, take=take, epochs=5, learning_rate=0.3, optimizer="sgd"),
        other,
    )
    offer = kept_weights.BestWeights.offer

    def followed(best, epoch, accuracy):
        seen[epoch] = values(other)
        offer(best, epoch, accuracy)

    monkeypatch.setattr(kept_weights.BestWeights, "offer", followed)
    history = trainer.train(4, tmp_path, "toy")
    rated = {n: e["rating_accuracy"] for n, e in enumerate(history, 1) if "rating_accuracy" in e}
    assert list(rated) == [2, 4, 5]  # every two, and the last one
    for number, accuracy in rated.items():
        data = data_of_noise()
        answers = [np.argmax(numpy_logits(seen[number], p + 20.0)) for p in data.pictures]
        assert accuracy == pytest.approx(np.mean(answers == data.labels))
    best = max(rated, key=rated.get)
    assert furthest(values(other), seen[best if take == "best" else 5]) == 0


def numpy_logits(weights, image):
    kernel, bias, dense, dense_bias = (w.astype(np.float64) for w in weights.values())
    x, total = image / 255, 0.0
    for row in range(SIZE - 2):
        for column in range(SIZE - 2):
            patch = x[row : row + 3, column : column + 3]
            total = total + np.tanh(np.tensordot(patch, kernel, 3) + bias)
    return total / (SIZE - 2) ** 2 @ dense + dense_bias


@pytest.mark.parametrize(("weight", "temperature"), [(0.25, 1.0), (1.0, 3.0)])
def test_distillation_is_that_of_numpy(tmp_path, weight, temperature):
    model, teacher = plain_model(0), plain_model(1)
    teacher_first = values(teacher)
    first = values(model)
    _, history = train(
        model,
        tmp_path,
        teacher=teacher,
        distill_weight=weight,
        distill_temperature=temperature,
        learning_rate=1e-8,
        weight_decay=0.0,
        epochs=1,
    )
    losses, distances = [], []
    for images, labels in data_of_noise().epoch(BATCH, 0, order_seed(4), True, 0, (0, 1), None):
        for image, label in zip(images.numpy(), labels.numpy(), strict=True):
            own, taught = numpy_logits(first, image), numpy_logits(teacher_first, image)
            logs = own - np.log(np.exp(own).sum())
            soft = np.exp(taught / temperature) / np.exp(taught / temperature).sum()
            soft_logs = own / temperature - np.log(np.exp(own / temperature).sum())
            distances.append((soft * (np.log(soft) - soft_logs)).sum())
            losses.append((1 - weight) * -logs[label] + weight * temperature**2 * distances[-1])
    assert history[0]["distillation"] == pytest.approx(np.mean(distances), rel=1e-4)
    assert history[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert furthest(values(teacher), teacher_first) == 0


def order_seed(seed):
    from dna_tf.common import seeding

    return seeding.derive_seed("classifier", seed)


def test_a_student_learns_from_its_teacher_alone(tmp_path):
    model, teacher = plain_model(0), plain_model(1)
    _, history = train(
        model,
        tmp_path,
        teacher=teacher,
        distill_weight=1.0,
        epochs=12,
        learning_rate=0.05,
        distill_temperature=0.2,
        weight_decay=0.0,
    )
    assert history[-1]["distillation"] < 0.5 * history[0]["distillation"]


@pytest.mark.slow
def test_replicas_agree_and_are_parts_of_the_batch(tmp_path):
    arrays = {}
    for name in ("cpu", "mirrored"):
        words = [
            sys.executable,
            "-m",
            "tests.helpers.replica_classifier",
            name,
            str(tmp_path / name),
        ]
        run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        arrays[name] = np.load(tmp_path / name / "found.npz")
    assert arrays["mirrored"]["replicas"] == 2
    histories = [
        json.loads((tmp_path / name / "history.json").read_text())["epochs"] for name in arrays
    ]
    for one, both in zip(*histories, strict=True):
        for name in ("loss", "accuracy", "learning_rate"):
            assert both[name] == pytest.approx(one[name], rel=1e-4)
    for name in arrays["mirrored"].files:
        both = arrays["mirrored"][name]
        if name.startswith("replica"):
            continue
        np.testing.assert_array_equal(both[0], both[1], err_msg=name)  # to the bit
        if "moving" not in name:  # two parts in one update, on two replicas or in turn
            np.testing.assert_allclose(both[0], arrays["cpu"][name][0], atol=2e-5, err_msg=name)


def test_a_batch_of_recipes_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="mixup and cutmix mix pairs"):
        classifier.ClassifierTrainer(
            plain_model(), data_of_noise(), recipe(batch_size=6, accumulate=2, mixup=0.2)
        )


def test_saved_models_hold_what_was_evaluated(tmp_path):
    trainer, _ = train(
        student_of(0), tmp_path, evaluated=student_of(2), ema_decay=0.9, rating_every=1
    )
    keras_files.save_model(trainer.evaluated, tmp_path / "model.keras")
    loaded = keras_files.load_model(tmp_path / "model.keras")
    pictures = data_of_noise().pictures
    expected = trainer.evaluated.predict_on_batch(pictures)
    np.testing.assert_array_equal(loaded.predict_on_batch(pictures), expected)
    assert np.abs(trainer.model.predict_on_batch(pictures) - expected).max() > 1e-4
