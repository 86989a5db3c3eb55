"""The paper's teacher and supernet at their real size. Slow: minutes, and 3 GiB."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.features import feature_batches
from dna_tf.models import model_costs
from dna_tf.space import presets
from dna_tf.supernet import cell_models, cell_trainer
from dna_tf.teachers import applications, cutting

IMAGE = (224, 224, 3)
# spec: DNA Table 1 for B7; the same cut of B0.
MAPS = {
    "efficientnet_b7": [(56, 48), (28, 80), (14, 160), (14, 224), (7, 384), (7, 640)],
    "efficientnet_b0": [(56, 24), (28, 40), (14, 80), (14, 112), (7, 192), (7, 320)],
}
TRAINABLE_PARAMS = {"efficientnet_b7": 66_347_960, "efficientnet_b0": 5_288_548}
MACS = {"efficientnet_b7": 5_169_865_152, "efficientnet_b0": 385_814_752}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_b7", "efficientnet_b0"])
def test_teacher_is_cut_as_in_the_paper_and_its_blocks_chain_to_the_whole(name):
    model = applications.build(name, IMAGE, num_classes=1000)
    cut = cutting.cut_model(model, applications.paper_cuts(name, model), IMAGE)
    assert [(shape[0], shape[2]) for shape in cut.shapes[1:]] == MAPS[name]
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == TRAINABLE_PARAMS[name]
    assert model_costs.count_macs(model) == MACS[name]
    x = tf.constant(np.random.RandomState(0).uniform(0, 255, (2, *IMAGE)), tf.float32)
    together = feature_batches.feature_function(cut)(x)
    head = keras.Model(model.get_layer(cut.cuts[-1]).output, model.output)
    for block, expected in zip(cut.blocks, together, strict=True):
        x = tf.function(block)(x, training=False)
        np.testing.assert_array_equal(x, expected)
    whole = tf.function(model)(
        tf.constant(np.random.RandomState(0).uniform(0, 255, (2, *IMAGE)), tf.float32),
        training=False,
    )
    np.testing.assert_array_equal(tf.function(head)(x, training=False), whole)


@pytest.mark.slow
def test_all_sixteen_cells_take_a_training_step():
    space = presets.get_space("dna")
    shapes = [IMAGE, *((side, side, channels) for side, channels in MAPS["efficientnet_b7"])]
    cells = cell_models.build_cells(space, shapes, seed=0)
    assert len(cells) == 16
    rng = np.random.RandomState(0)
    maps = [tf.constant(rng.uniform(0, 255, (2, *IMAGE)), tf.float32)]
    maps += [tf.constant(rng.standard_normal((2, *shape)), tf.float32) for shape in shapes[1:]]
    for cell in cells:
        trainer = cell_trainer.CellTrainer(cell, seed=0)
        before = [rows.value.numpy() for rows in cell.rows]
        loss = trainer.step(maps[cell.block], maps[cell.block + 1], 0, 0.005)
        assert np.isfinite(loss)
        for rows, old in zip(cell.rows, before, strict=True):
            moved = np.any(rows.value.numpy() != old, axis=1)
            assert np.sum(moved) == 1  # the drawn op of each layer, and no other
