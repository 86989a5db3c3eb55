"""What a summary of ratings says: against counting by hand."""

import itertools

import numpy as np
import pytest

from dna_tf.common import checks, statistics
from dna_tf.space import ratings
from dna_tf.space.spaces import Block, Cell, Op, SearchSpace

SPACE = SearchSpace("two", (Op(3, 2), Op(5, 1), Op(3, 1)), (Block(1, (Cell(2, 4),)),))


def test_effects_are_means_over_the_paths_with_the_op():
    means = np.random.default_rng(0).random(9)
    made = ratings.summarize(means, means / 10, 4, 3, {"macs": np.arange(9)})
    paths = list(itertools.product(range(3), repeat=2))
    for layer, op in itertools.product(range(2), range(3)):
        of_op = [mean for mean, path in zip(means, paths, strict=True) if path[layer] == op]
        assert made.effects[layer, op] == pytest.approx(np.mean(of_op) - means.mean())
    assert (made.best, made.worst) == (int(np.argmin(means)), int(np.argmax(means)))
    assert made.noise == pytest.approx(np.median(means) / 10 / 2)
    assert np.isnan(ratings.summarize(means, means, 0, 3, {}).noise)


def test_an_additive_rating_has_its_parts_as_effects():
    parts = np.array([[0.3, -0.1, -0.2], [0.05, 0.0, -0.05]])
    means = (2.0 + parts[0][:, None] + parts[1][None, :]).ravel()
    np.testing.assert_allclose(ratings.summarize(means, means, 2, 3, {}).effects, parts, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_kendalls_tau_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 6, 20), rng.integers(0, 6, 20)
    signs = [
        (np.sign(int(one[i]) - int(one[j])), np.sign(int(other[i]) - int(other[j])))
        for i, j in itertools.combinations(range(20), 2)
    ]
    both = sum(a * b for a, b in signs)
    ties = [sum(pair[k] != 0 for pair in signs) for k in (0, 1)]
    assert statistics.kendall_tau(one, other) == pytest.approx(both / np.sqrt(ties[0] * ties[1]))
    assert statistics.kendall_tau(one, one) == pytest.approx(1.0)
    assert statistics.kendall_tau(one, -one) == pytest.approx(-1.0)
    assert np.isnan(statistics.kendall_tau(one, np.ones(20)))


def test_lines_name_paths_and_ops():
    means = np.arange(9.0)
    made = ratings.summarize(means, means, 2, 3, {"macs": -means})
    text = "\n".join(ratings.lines("block1_cell1", made, SPACE, 0, 0))
    assert "block1_cell1: 9 paths, mean 4.0000" in text
    assert "macs -1.00" in text
    assert "best:  k3e2 k3e2" in text and "worst: k3e1 k3e1" in text
    assert "layer 1, effect of each op: k3e2 -3.0000  k5e1 +0.0000  k3e1 +3.0000" in text


def test_shares_are_read():
    assert checks.parse_share("--share", "2/3") == (1, 3)
    assert checks.parse_share("--share", "1/1") == (0, 1)
    for bad in ("0/3", "4/3", "2", "a/b", "1/2/3", "", "-1/2"):
        with pytest.raises(ValueError, match=r"--share is written as NUMBER/COUNT"):
            checks.parse_share("--share", bad)
