"""Costs of a teacher's own blocks and head: they add up to what Keras counts of the whole."""

import keras
import pytest

from dna_tf.models import model_costs
from dna_tf.space import part_costs
from dna_tf.teachers import parts
from tests.helpers import small_assemblies, small_teachers


def test_the_parts_of_a_small_teacher():
    teacher, facts, _ = small_assemblies.all_of_it()
    assert facts.cuts == ("end1", "end2") and facts.shapes == tuple(teacher.shapes)
    assert facts.num_classes == small_assemblies.CLASSES
    assert facts.blocks[0] == {
        "params": 27 * 6 + 12,
        "macs": 4 * 27 * 6,
        "int8_kb": (27 * 6 + 28 * 6) / 1000,
        "peak_kb": (192 + 24) / 1000,
    }
    assert facts.blocks[1] == {
        "params": 30 + 5 + 10 + 45 + 5,
        "macs": 4 * 30 + 4 * 45,
        "int8_kb": (30 + 28 * 5 + 45 + 28 * 5) / 1000,
        "peak_kb": 3 * 20 / 1000,  # Add: both terms and their sum
    }
    head = {"params": 24, "macs": 20, "int8_kb": (20 + 12 * 4) / 1000, "peak_kb": 25 / 1000}
    assert facts.head == head
    for name, count in (
        ("params", model_costs.count_params(teacher.model)),
        ("macs", model_costs.count_macs(teacher.model)),
    ):
        assert facts.costs()[name] == count


def test_the_parts_of_efficientnet_b0_add_up():
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3), classes=7)
    from dna_tf.teachers import cutting

    facts = parts.facts(cutting.cut_model(model, small_teachers.B0_CUTS, (64, 64, 3)))
    assert facts.costs()["params"] == model_costs.count_params(model)
    assert facts.costs()["macs"] == model_costs.count_macs(model)
    assert len(facts.blocks) == 6
    assert all(set(costs) == set(part_costs.COSTS) for costs in (*facts.blocks, facts.head))


def test_layers_that_cannot_be_counted_have_no_macs():
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2DTranspose(4, 3, name="odd")(image)
    costs = parts.costs(keras.Model(image, x), (4, 4, 3))
    assert costs["macs"] is None
    assert costs["params"] == 27 * 4 + 4
    assert costs["int8_kb"] == pytest.approx((27 * 4 + 4) / 1000)
