"""Steps of a whole network against twins: eager autodiff, and SGD with momentum in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.supernet import cost_bins, whole_network, whole_trainer
from tests.helpers.small_whole import SPACE, TASK, batch

RATE, SMOOTHING = 0.05, 0.1
LAYERS, OPS = 3, 3


def _trainer(seed=7, bins=None, **options):
    network = whole_network.WholeNetwork(SPACE, TASK, 1)
    return whole_trainer.WholeTrainer(network, seed, whole_trainer.WholeOptions(**options), bins)


def _rows(trainer):
    return [rows.numpy() for rows in trainer.network.rows]


def _twin(rows, path, images, labels, smoothing=0.0, groups=1):
    """Loss and gradients of a path with weights, eager and group by group.

    Returns:
        The mean loss, and for each packed variable a gradient of its shape.
    """
    network = whole_network.WholeNetwork(SPACE, TASK, 1)
    for variable, array in zip(network.rows, rows, strict=True):
        variable.assign(array)
    losses, totals = [], [np.zeros(array.shape) for array in rows]
    for x, own in zip(np.split(images, groups), np.split(labels, groups), strict=True):
        with tf.GradientTape() as tape:
            logits = network(x, tf.constant(path))
            targets = np.eye(TASK.num_classes, dtype=np.float32)[own]
            targets = targets * (1 - smoothing) + smoothing / TASK.num_classes
            logs = logits - tf.reduce_logsumexp(logits, axis=1, keepdims=True)
            loss = -tf.reduce_mean(tf.reduce_sum(targets * logs, axis=1))
        losses.append(float(loss))
        gradients = tape.gradient(loss, [rows.value for rows in network.rows])
        for total, gradient in zip(totals, gradients, strict=True):
            total += tf.convert_to_tensor(gradient).numpy() / groups
    return np.mean(losses), totals


def _close(array, expected):
    assert np.abs(array - expected).max() <= 1e-4 * max(np.abs(expected).max(), 1e-3)


def test_sgd_moves_drawn_rows_with_momentum_and_decay_and_no_others():
    decay = 0.01
    trainer = _trainer(weight_decay=decay, label_smoothing=SMOOTHING)
    rows = [array.astype(np.float64) for array in _rows(trainer)]
    velocity = [np.zeros(array.shape) for array in rows]
    counts, seen = np.zeros((LAYERS, OPS)), set()
    for number in range(8):
        (path,) = trainer.draw(number).numpy().tolist()
        images, labels = batch(number)
        before = _rows(trainer)
        loss, gradients = _twin(before, path, images, labels, SMOOTHING)
        figures = trainer.step(images, labels, number, RATE)
        assert float(figures["loss"]) == pytest.approx(loss, rel=1e-5)
        ops = [0] * trainer.network.fixed_units + path + [0, 0]
        units = [*trainer.network.units, [trainer.network.classifier]]
        for index, op in enumerate(ops):
            # Kernels decay: nothing else does.
            start, spec = 0, units[index][op]
            gradient = gradients[index][op].copy()
            for name, shape in spec.weights().items():
                stop = start + int(np.prod(shape))
                if name.endswith("kernel"):
                    gradient[start:stop] += decay * before[index][op, start:stop]
                start = stop
            velocity[index][op] = 0.9 * velocity[index][op] + gradient
            rows[index][op] = before[index][op] - RATE * velocity[index][op]
            others = np.arange(len(rows[index])) != op
            after = _rows(trainer)[index]
            np.testing.assert_array_equal(after[others], before[index][others])
            moved = (before[index] - after)[op] / RATE
            _close(moved, velocity[index][op])
        counts[np.arange(LAYERS), path] += 1
        seen.add(tuple(path))
    np.testing.assert_array_equal(trainer.op_counts(), counts)
    assert len(seen) > 3


def test_a_fair_step_is_the_mean_of_its_paths_and_trains_every_op_once():
    trainer = _trainer(sampling="fair_step")
    images, labels = batch()
    paths = trainer.draw(4).numpy()
    assert paths.shape == (OPS, LAYERS)
    np.testing.assert_array_equal(np.sort(paths, axis=0), np.arange(OPS)[:, None] * [[1] * LAYERS])
    before = _rows(trainer)
    twins = [_twin(before, path.tolist(), images, labels) for path in paths]
    figures = trainer.step(images, labels, 4, RATE)
    assert float(figures["loss"]) == pytest.approx(np.mean([loss for loss, _ in twins]), rel=1e-5)
    for index, (old, new) in enumerate(zip(before, _rows(trainer), strict=True)):
        expected = np.mean([gradients[index] for _, gradients in twins], axis=0)
        for op in range(len(old)):
            _close((old[op] - new[op]) / RATE, expected[op])
    trainer.step(images, labels, 5, RATE)
    np.testing.assert_array_equal(trainer.op_counts(), np.full((LAYERS, OPS), 2))


def test_adam_moves_by_the_rate_at_first_and_the_norm_can_be_clipped():
    images, labels = batch()
    trainer = _trainer(optimizer="adam")
    before = _rows(trainer)
    trainer.step(images, labels, 0, RATE)
    moved = [np.abs(old - new) for old, new in zip(before, _rows(trainer), strict=True)]
    assert max(array.max() for array in moved) == pytest.approx(RATE, rel=1e-3)
    plain = _trainer()
    before = _rows(plain)
    plain.step(images, labels, 0, RATE)
    gradients = [(old - new) / RATE for old, new in zip(before, _rows(plain), strict=True)]
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients))
    clipped = _trainer(clip_norm=float(norm / 4))
    clipped.step(images, labels, 0, RATE)
    for old, new, gradient in zip(before, _rows(clipped), gradients, strict=True):
        _close((old - new) / RATE, gradient / 4)


def test_groups_have_statistics_of_their_own_as_replicas_have():
    images, labels = batch()
    trainer = _trainer(norm_images=3)
    before, (path,) = _rows(trainer), trainer.draw(2).numpy().tolist()
    loss, gradients = _twin(before, path, images, labels, groups=2)
    assert float(trainer.step(images, labels, 2, RATE)["loss"]) == pytest.approx(loss, rel=1e-5)
    for old, new, gradient in zip(before, _rows(trainer), gradients, strict=True):
        _close((old - new) / RATE, gradient)
    with pytest.raises(ValueError, match="norm_images=4 does not divide the 6 images"):
        _trainer(norm_images=4).step(images, labels, 0, RATE)


def test_one_seed_gives_the_same_bits_and_bfloat16_nearly_the_same_loss():
    def train(seed, **options):
        trainer = _trainer(seed, **options)
        losses = [float(trainer.step(*batch(n), n, RATE)["loss"]) for n in range(3)]
        return losses, [variable.numpy().tobytes() for variable in trainer.variables]

    assert train(3) == train(3)
    assert train(3)[1] != train(4)[1]
    low, full = train(3, precision="mixed_bfloat16")[0], train(3)[0]
    assert low == pytest.approx(full, rel=0.05) and low != full


def test_paths_of_bins_lie_in_them_and_bins_are_equally_likely():
    costs, low, high, width = [[0, 3, 5], [1, 2, 9], [4, 4, 8]], 110, 120, 2
    bins = cost_bins.CostBins(costs, 100, low, high, width)
    assert bins.range == (105, 122) and len(bins.ends) == 5
    draws = [bins.draw(1, step) for step in range(1000)]
    numbers = [bins.bin_of(path) for path in draws]
    assert None not in numbers
    counts = np.bincount(numbers, minlength=5)
    assert np.abs(counts - 200).max() < 3.5 * np.sqrt(1000 * 0.2 * 0.8)
    # Within a bin all paths are equally likely: count those of one bin by brute force.
    every = [p for p in np.ndindex(3, 3, 3) if bins.bin_of(p) == 0]
    assert len(every) > 2
    seen = [tuple(map(int, path)) for path, n in zip(draws, numbers, strict=True) if n == 0]
    shares = np.array([seen.count(path) for path in every]) / len(seen)
    assert set(seen) == set(every) and np.abs(shares - 1 / len(every)).max() < 0.12
    np.testing.assert_array_equal(bins.draw(1, 5), draws[5])
    trainer = _trainer(sampling="cost_bins", bins=bins)
    np.testing.assert_array_equal(trainer.draw(9), [bins.draw(7, 9)])


def test_a_bin_without_a_path_is_an_error_with_the_range():
    costs = [[0, 100], [0, 10]]
    with pytest.raises(ValueError, match=r"from 1,020 to 1,040, the bin 2 of 5.*1,000.*to 1,110"):
        cost_bins.CostBins(costs, 1000, 1000, 1100, 20)
    with pytest.raises(ValueError, match="No network has macs from 5 to 10"):
        cost_bins.CostBins(costs, 1000, 5, 10, 5)
    with pytest.raises(ValueError, match="must be below the highest"):
        cost_bins.CostBins(costs, 0, 10, 10, 1)
