"""Paths drawn for steps: uniform, or each op once in a group of steps."""

import numpy as np
import tensorflow as tf

from dna_tf.supernet import sampling


def test_drawing_depends_on_seed_step_and_cell_alone():
    def draw(*key):
        return tuple(sampling.draw("uniform", *key, 40, 6).numpy())

    base = (1, 10, 0, 0)
    assert draw(*base) == draw(*base)
    others = [(2, 10, 0, 0), (1, 11, 0, 0), (1, 10, 1, 0), (1, 10, 0, 1), (1, 10, 0, 2)]
    assert len({draw(*key) for key in [base, *others]}) == 6
    inside = tf.function(lambda step: sampling.draw("uniform", 1, step, 0, 0, 40, 6))
    for dtype in (tf.int32, tf.int64):  # a step counter may be either
        assert tuple(inside(tf.constant(10, dtype)).numpy()) == draw(*base)
        for seed in (3000, 2**31 + 5):  # too large for int32 after the multiplication
            assert draw(seed, tf.constant(10, dtype), 0, 0) == draw(seed, 10, 0, 0)


def test_a_seed_draws_the_same_paths_in_every_version():
    """Golden: other draws would be as good, and a run that was killed would go on with others."""
    drawn = sampling.draw("uniform", 3, 5, 1, 2, 8, 6).numpy().tolist()
    assert drawn == [1, 0, 2, 2, 4, 4, 2, 5]
    fair = [sampling.draw("fair", 3, step, 1, 2, 4, 3).numpy().tolist() for step in range(4)]
    assert fair == [[1, 2, 1, 2], [2, 1, 0, 0], [0, 0, 2, 1], [0, 0, 1, 0]]


def test_paths_are_drawn_on_the_host():
    """The choice of an op needs the path there; with a GPU each step would wait for its copy."""
    for kind in ("uniform", "fair"):
        with tf.Graph().as_default() as graph, tf.device("GPU:0"):
            sampling.draw(kind, 1, tf.constant(3), 0, 0, 4, 6)
        drawing = [op for op in graph.get_operations() if op.type != "Const"]
        assert len(drawing) > 2
        assert {op.device for op in drawing} == {"/device:CPU:0"}


def test_drawing_is_uniform():
    steps, layers, ops = 2000, 4, 6

    @tf.function
    def draw_all():
        return tf.map_fn(
            lambda step: sampling.draw("uniform", 7, step, 2, 1, layers, ops), tf.range(steps)
        )

    paths = draw_all().numpy()
    assert paths.dtype == np.int32 and paths.shape == (steps, layers)
    assert paths.min() == 0 and paths.max() == ops - 1
    for layer in range(layers):
        counts = np.bincount(paths[:, layer], minlength=ops)
        assert ((counts - steps / ops) ** 2 / (steps / ops)).sum() < 25.7  # 5 degrees, 1e-4
    # Two layers together, and one layer in two steps that follow each other.
    for one, other in ((paths[:, 0], paths[:, 1]), (paths[:-1, 0], paths[1:, 0])):
        counts = np.bincount(one * ops + other, minlength=ops * ops)
        expected = len(one) / ops**2
        assert ((counts - expected) ** 2 / expected).sum() < 75.0  # 35 degrees, 1e-4


def test_fair_sampling_trains_every_op_once_in_each_group_of_steps():
    layers, ops = 3, 6
    paths = np.array([sampling.draw("fair", 5, s, 1, 0, layers, ops) for s in range(10 * ops)])
    for group in paths.reshape(10, ops, layers):
        for layer in range(layers):
            assert sorted(group[:, layer]) == list(range(ops))
    # Layers and groups have orders of their own.
    assert len({tuple(group) for group in paths.reshape(10, ops * layers)}) == 10
    assert any(tuple(paths[:ops, 0]) != tuple(paths[:ops, n]) for n in (1, 2))


def test_an_order_of_fair_sampling_depends_on_seed_group_and_cell_alone():
    def order(seed, first, block, cell):
        return [tuple(sampling.draw("fair", seed, first + s, block, cell, 4, 6)) for s in range(6)]

    base = (1, 12, 0, 0)
    assert order(*base) == order(*base)
    others = [(2, 12, 0, 0), (1, 18, 0, 0), (1, 12, 1, 0), (1, 12, 0, 1)]
    assert len({str(order(*key)) for key in [base, *others]}) == 5


def test_the_paths_of_a_fair_step_are_those_of_a_fair_group():
    for step in (0, 3):
        paths = sampling.fair_paths(3, step, 1, 2, 4, 3).numpy()
        one_by_one = [sampling.draw("fair", 3, 3 * step + k, 1, 2, 4, 3).numpy() for k in range(3)]
        np.testing.assert_array_equal(paths, one_by_one)
        np.testing.assert_array_equal(np.sort(paths, axis=0), np.arange(3)[:, None] * [[1] * 4])
