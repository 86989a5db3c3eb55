"""The draws of searches by trial."""

import numpy as np

from dna_tf.search import trial_search
from tests.helpers import search_cases


def test_draws_are_spread_evenly_over_all_architectures():
    drawn = (search_cases.problem(np.random.default_rng(seed), False) for seed in range(99))
    problem = next(p for p in drawn if p.num_architectures() > 100 and len(p.cells(0)) > 1)
    total = problem.num_architectures()
    trials = trial_search.Trials(problem, {}, 10**6, seed=0)
    small = {row.tobytes() for row in trials.draw(total)}
    assert len(small) == total
    parts = trial_search.Trials(problem, {}, 10**6, seed=0)
    assert [len(parts.draw(n)) for n in (2, 3, total)] == [2, 3, total - 5]
    rows = trial_search.Trials(problem, {}, 10**6, seed=1).draw(total)
    assert np.array_equal(parts.rows(*parts.choices(rows)), rows)
    # As in a large space: drawn with replacement.
    trials = trial_search.Trials(problem, {}, 10**6, seed=0, small=0)
    rows, counts = trials.draw(200 * total), np.zeros(total)
    blocks = range(len(problem.space.blocks))
    sizes = [sum(len(problem.open_paths[b, c]) for c in problem.cells(b)) for b in blocks]
    np.add.at(counts, np.ravel_multi_index(rows.T, sizes), 1)
    assert abs(counts / 200 - 1).max() < 0.4  # five deviations and more
    assert trials.choices(rows)[0].max(axis=0).tolist() == [
        max(problem.cells(b)) for b in range(len(problem.space.blocks))
    ]
