"""Evolution against random search."""

import numpy as np
import pytest

from dna_tf.search import evolution, exact, trial_search
from tests.helpers import search_cases

SEEDED = {"random": trial_search.random_search, "evolution": evolution.evolve}


@pytest.mark.parametrize(
    "share, budget", [(0.25, 600), pytest.param(0.02, 200, marks=pytest.mark.slow)]
)
def test_evolution_beats_random_search_and_finds_into_tight_limits(share, budget):
    problem = search_cases.digits_problem()
    cheapest, dearest = problem.lowest("macs"), problem.highest("macs")
    limits = {"max_macs": cheapest + share * (dearest - cheapest)}
    gaps = {name: [] for name in SEEDED}
    optimum = exact.best(problem, limits)[0].rating
    for seed in range(3):
        for name, search in SEEDED.items():
            gaps[name].append(search(problem, limits, budget, seed=seed).value - optimum)
    assert np.isfinite(gaps["evolution"]).all()
    assert np.median(gaps["evolution"]) < 0.5 * np.median(gaps["random"])
