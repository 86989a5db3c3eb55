"""Lazy Adam by rows: a drawn row moves as Adam moves it, another row does not move at all."""

import keras
import numpy as np
import tensorflow as tf

from dna_tf.supernet import row_adam

STEPS = 60
SHAPES = ((3, 11), (1, 4), (5, 7))
_RNG = np.random.RandomState(5)
START = [_RNG.normal(0, 1, shape).astype(np.float32) for shape in SHAPES]
# Which row of each variable is drawn at each step; row 4 of the last one never is.
DRAWN = [[_RNG.randint(3), 0, _RNG.randint(4)] for _ in range(STEPS)]
GRADIENTS = [
    [_RNG.normal(0, 10.0 ** _RNG.randint(-2, 3), shape[1]).astype(np.float32) for shape in SHAPES]
    for _ in range(STEPS)
]
RATES = [0.01 * 0.97**step for step in range(STEPS)]


def _optimizer(**options):
    packed = [tf.Variable(start) for start in START]
    return packed, row_adam.RowAdam(packed, **options)


def _state(packed, optimizer):
    """Weights, both moments and counts of every row, by variable and row."""
    groups = [packed, *np.array_split(np.arange(9), 3)]
    groups[1:] = [[optimizer.variables[i] for i in group] for group in groups[1:]]
    return [
        [[group[v].numpy()[row].copy() for group in groups] for row in range(shape[0])]
        for v, shape in enumerate(SHAPES)
    ]


def _run(packed, optimizer, steps=STEPS, compiled=True):
    def update(index, op, gradient, rate):
        optimizer.update(index, op, gradient, rate)

    updates = [update] * 3
    if compiled:
        updates = [tf.function(lambda op, g, rate, i=i: update(i, op, g, rate)) for i in range(3)]
        updates = [lambda i, *args, f=f: f(*args) for f in updates]
    for step in range(steps):
        for index, op in enumerate(DRAWN[step]):
            updates[index](
                index,
                tf.constant(op),
                tf.constant(GRADIENTS[step][index]),
                tf.constant(RATES[step]),
            )


def test_the_optimizer_has_two_moments_and_a_count_for_every_row():
    _, optimizer = _optimizer()
    shapes = [tuple(v.shape) for v in optimizer.variables]
    assert shapes == [*SHAPES, *SHAPES, (3,), (1,), (5,)]
    assert not any(np.any(v.numpy()) for v in optimizer.variables)


def test_a_row_moves_as_stock_adam_moves_a_variable_of_its_own():
    packed, optimizer = _optimizer()
    _run(packed, optimizer)
    for index, shape in enumerate(SHAPES):
        for row in range(shape[0]):
            alone = keras.Variable(START[index][row])
            stock = keras.optimizers.Adam(epsilon=1e-8)
            steps = [step for step in range(STEPS) if DRAWN[step][index] == row]
            for step in steps:
                stock.learning_rate = RATES[step]
                stock.apply([tf.constant(GRADIENTS[step][index])], [alone])
            np.testing.assert_allclose(packed[index][row], alone, rtol=2e-6, atol=2e-6)
            moved = np.abs(packed[index].numpy()[row] - START[index][row])
            assert (moved.min() > 1e-4) == bool(steps)


def test_rows_for_gpu_are_the_same_to_the_bit():
    runs = []
    for for_gpu in (False, True):
        packed, optimizer = _optimizer(for_gpu=for_gpu)
        _run(packed, optimizer, steps=20)
        runs.append([v.numpy().tobytes() for v in [*packed, *optimizer.variables]])
    assert runs[0] == runs[1]


def test_a_row_moves_as_the_formula_says():
    packed, optimizer = _optimizer()
    _run(packed, optimizer)
    state = _state(packed, optimizer)
    for index, shape in enumerate(SHAPES):
        for row in range(shape[0]):
            theta = START[index][row].astype(np.float64)
            m = v = np.zeros(shape[1])
            t = 0
            for step in range(STEPS):
                if DRAWN[step][index] == row:
                    g = GRADIENTS[step][index].astype(np.float64)
                    t, m, v = t + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
                    theta = theta - RATES[step] * (m / (1 - 0.9**t)) / (
                        np.sqrt(v / (1 - 0.999**t)) + 1e-8
                    )
            for got, expected in zip(state[index][row], (theta, m, v, t), strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)


def test_epsilon_stands_beside_the_corrected_root():
    # PyTorch's place of epsilon. Keras' would give 0.76 of this first step.
    packed = [tf.Variable([[0.0]])]
    gradient = 1e-7
    row_adam.RowAdam(packed).update(0, tf.constant(0), tf.constant([gradient]), tf.constant(0.5))
    expected = -0.5 * gradient / (gradient + 1e-8)
    np.testing.assert_allclose(packed[0].numpy(), [[expected]], rtol=1e-4)


def test_rows_that_were_not_drawn_keep_every_bit():
    for compiled in (True, False):
        packed, optimizer = _optimizer()
        _run(packed, optimizer, steps=5, compiled=compiled)  # all have some momentum now
        before = _state(packed, optimizer)
        for row in (0, 2):
            gradient = tf.constant(GRADIENTS[9][2])
            optimizer.update(2, tf.constant(row), gradient, tf.constant(0.1))
        after = _state(packed, optimizer)
        for index, shape in enumerate(SHAPES):
            for row in range(shape[0]):
                drawn = index == 2 and row in (0, 2)
                for kind, (old, new) in enumerate(
                    zip(before[index][row], after[index][row], strict=True)
                ):
                    same = old.tobytes() == new.tobytes()
                    assert same != drawn, (index, row, kind)
        never = _state(packed, optimizer)[2][4]
        assert never[0].tobytes() == START[2][4].tobytes()
        assert not any(np.any(value) for value in never[1:])


def test_entries_without_gradient_do_not_move():
    # An op smaller than the row has zeros at its end.
    packed, optimizer = _optimizer()
    for step in range(3):
        gradient = GRADIENTS[step][0] * (np.arange(11) < 6)
        optimizer.update(0, tf.constant(1), tf.constant(gradient), tf.constant(0.1))
    moved = packed[0].numpy()[1] != START[0][1]
    np.testing.assert_array_equal(moved, np.arange(11) < 6)


def test_a_step_that_does_not_count_keeps_every_bit_whatever_the_gradient():
    for steps in (0, 5):  # before the first step there is nothing to divide by
        packed, optimizer = _optimizer()
        _run(packed, optimizer, steps=steps)
        before = _state(packed, optimizer)
        for gradient in (
            GRADIENTS[9][2],
            np.full(7, np.nan),
            np.array([np.inf, -np.inf] + [0] * 5),
        ):
            gradient = tf.constant(gradient, tf.float32)
            optimizer.update(2, tf.constant(1), gradient, tf.constant(0.1), tf.constant(False))
        for old, new in zip(before, _state(packed, optimizer), strict=True):
            for old_row, new_row in zip(old, new, strict=True):
                assert [v.tobytes() for v in old_row] == [v.tobytes() for v in new_row]
