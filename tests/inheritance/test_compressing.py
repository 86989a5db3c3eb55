"""A model and images in, a student within the budget out: all steps as one function."""

import keras
import numpy as np
import pytest

import dna_tf
from dna_tf.inheritance import compressing
from dna_tf.models import model_costs
from dna_tf.search import assembly_problem, exact
from dna_tf.space import assemblies, assembly_costs, op_costs
from tests.helpers import part_tables, small_images

QUICK = {
    "supernet": {"epochs": 2, "batch_size": 32},
    "rating": {"batch_size": 20, "batches": 2, "calibration_images": 32},
    "recipe": {"epochs": 2, "batch_size": 32},
    "measured_paths": 6,
    "realised": 2,
}
SPACE = dna_tf.SearchSpace.from_dict(
    {
        "name": "two_blocks",
        "ops": ["k3e1", "k3e2"],
        "blocks": [{"stride": 2, "cells": [[1, 4]]}, {"stride": 2, "cells": [[1, 8], [2, 8]]}],
        "frame": {"stem_stride": 1, "stem_width": 4, "stem_output_width": 4},
    }
)


@pytest.fixture(scope="module")
def images():
    stripes = small_images.Stripes(320)
    return dna_tf.images_from_arrays(
        (stripes.pixels.astype(np.uint8), stripes.labels), rating_per_class=12
    )


@pytest.fixture(scope="module")
def teacher(images):
    """A model that plain Keras trained, ending in a softmax."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(image)
    for width in (8, 16):
        x = layers.Conv2D(width, 3, 2, "same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
        x = layers.ReLU()(layers.Conv2D(width, 3, padding="same")(x))
    x = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x, name="plain")
    model.compile(
        keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(*images.arrays("train"), 16, epochs=10, verbose=0)
    return model


@pytest.fixture(scope="module")
def compressed(teacher, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compressed")
    result = dna_tf.compress(teacher, images, max_macs="60%", space=SPACE, folder=folder, **QUICK)
    return folder, result


def test_the_student_is_within_the_budget_and_what_the_table_says(teacher, images, compressed):
    _, result = compressed
    whole, assembled, tuned = result.table
    assert [row.name for row in result.table] == ["teacher", "assembled", "fine-tuned"]
    macs = model_costs.count_macs(teacher)
    assert whole.costs["macs"] == macs and tuned.costs["macs"] <= 0.6 * macs
    assert model_costs.count_macs(result.student) == tuned.costs["macs"]
    assert model_costs.count_params(result.student) == tuned.costs["params"]
    assert result.assembly.name == "max_macs_60pct" or result.assembly.name.endswith("_2")
    assert (whole.answers.agreement, whole.answers.kl) == (1.0, 0.0)
    pixels, labels = images.arrays("test")
    correct = (result.student.predict(pixels, verbose=0).argmax(-1) == labels).sum()
    assert tuned.answers.correct == correct
    assert tuned.answers.kl < assembled.answers.kl
    lines = result.text().splitlines()
    assert len(lines) == 4 and lines[3].startswith("fine-tuned")
    assert "int8 kB" in lines[0]


def test_called_again_it_goes_on_where_it_was(teacher, images, compressed, monkeypatch):
    folder, first = compressed
    from dna_tf.supernet import stage_training

    monkeypatch.setattr(
        stage_training.StageTraining, "train", lambda *_: pytest.fail("trained again")
    )
    again = dna_tf.compress(teacher, images, max_macs="60%", space=SPACE, folder=folder, **QUICK)
    assert again.assembly == first.assembly
    for one, other in zip(again.student.weights, first.student.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_smallest_student_within_a_drop(teacher, images, compressed, capsys):
    """A drop that every student keeps gives the cheapest, to within the closeness of trials."""
    folder, _ = compressed
    quick = {**QUICK, "realised": 1, "recipe": {**QUICK["recipe"], "epochs": 1}}
    result = dna_tf.compress(teacher, images, max_drop=99.0, space=SPACE, folder=folder, **quick)
    facts = result.assembly.teacher
    ratings = {(b, c): np.zeros(SPACE.num_paths(b, c)) for b, c, _ in SPACE.cells()}
    problem = assembly_problem.build_problem(SPACE, facts, ratings)
    text = capsys.readouterr().out
    (cheapest,) = exact.best(problem, {}, penalties={"macs": 1.0})
    assert result.table[-1].costs["macs"] <= cheapest.costs["macs"] / 0.95
    assert "points below the teacher on the rating images; 99 are allowed" in text


def test_a_table_of_latencies_limits_them(teacher, images, compressed, tmp_path):
    folder, first = compressed
    facts = first.assembly.teacher
    table = part_tables.table(SPACE, facts)
    whole = assembly_costs.teacher_cost(table, facts)
    op_costs.save(table, tmp_path / "latency.json")
    limits = {"max_latency_ms": "80%", "latency": str(tmp_path / "latency.json")}
    result = dna_tf.compress(teacher, images, space=SPACE, folder=folder, **limits, **QUICK)
    rows = [row.costs["latency_ms"] for row in result.table]
    latency = assembly_costs.network_cost(table, result.assembly)
    assert rows == [whole, latency, latency] and latency <= 0.8 * whole
    assert "latency ms" in result.text().splitlines()[0]
    names = [layer.name for layer in teacher.layers if isinstance(layer, keras.layers.Conv2D)]
    others = {"space": SPACE, "cuts": (names[0], names[3]), "latency": table}
    with pytest.raises(ValueError, match="is missing .* the teacher's part from the image"):
        dna_tf.compress(teacher, images, max_macs="50%", **others)


def test_the_assembly_is_a_file_and_the_student_exports(images, compressed, tmp_path):
    _, result = compressed
    assemblies.save(result.assembly, tmp_path / "assembly.json")
    assert assemblies.load(tmp_path / "assembly.json") == result.assembly
    (file,) = dna_tf.export_tflite(result.student, images, tmp_path / "phone", ["float32"])
    assert file.agreement == 1.0


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "Give a limit for the student, such as max_macs='50%'"),
        ({"max_macs": "300%"}, "The teacher itself is within macs <= .*nothing to compress"),
        ({"max_macs": "1%"}, "No architecture of the space 'two_blocks' meets macs <="),
        ({"max_mac": "50%"}, "a share of the teacher's mac, .*Did you mean 'macs'"),
        ({"macs": 100}, "Limits are named max_ or min_"),
        ({"max_latency_ms": 3}, "no cost 'latency_ms' without a table .* flag teacher_parts"),
        ({"max_latency_ms": "50%"}, "no cost 'latency_ms' .* a share .* give its file: latency="),
        ({"max_peak_kb": 0.01}, "max_peak_kb=0.01: "),
        ({"max_macs": "50"}, "No architecture"),
    ],
)
def test_budgets_are_checked_before_any_training(teacher, images, monkeypatch, limits, message):
    monkeypatch.setattr(
        compressing.cell_training, "train_cells", lambda *_, **__: pytest.fail("trained")
    )
    with pytest.raises(ValueError, match=message):
        dna_tf.compress(teacher, images, space=SPACE, **limits)


def test_a_teacher_without_a_distribution_is_refused_at_once(images):
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.ReLU()(layers.Conv2D(8, 3, 4, "same")(image))
    tags = layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D()(x))
    with pytest.raises(ValueError, match="no distribution over classes"):
        dna_tf.compress(keras.Model(image, tags), images, max_macs="50%")


@pytest.mark.slow
def test_images_without_labels(teacher, images):
    """The teacher's answers are all that is learned, and the table has no accuracies."""
    pixels = np.concatenate([images.arrays(split)[0] for split in ("train", "rating")])
    result = dna_tf.compress(teacher, pixels.astype(np.uint8), max_macs="60%", space=SPACE, **QUICK)
    assert "accuracy" not in result.text() and "agrees" in result.text()
    for row in result.table:  # labels are the teacher's answers
        assert row.answers.correct == row.answers.agreed
    assert result.table[2].costs["macs"] <= 0.6 * model_costs.count_macs(teacher)
    with pytest.raises(ValueError, match="Expected labels=0 in the recipe"):
        dna_tf.compress(teacher, pixels, max_macs="60%", recipe={"labels": 0.5})


def test_names_say_the_limits():
    assert compressing.name_of({"max_macs": "50%"}) == "max_macs_50pct"
    assert compressing.name_of({"max_int8_kb": 500, "max_macs": "3.5M"}) == (
        "max_int8_kb_500_max_macs_3.5M"
    )
