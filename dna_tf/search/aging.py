"""Regularised evolution: the oldest of the population dies, not the worst."""

import collections

from dna_tf.common import checks
from dna_tf.search import decisions, trial_search


def age(problem, limits=None, budget=1000, seed=0, objective=None, population=50, sample=10):
    """Searches by regularised evolution.

    It starts from a random population within the limits. Then one network after another is drawn:
    `sample` of the population at random, with replacement; the best of these is the parent; its
    child differs in one decision, a cell or an op; the child joins the population and the oldest
    leaves it. A child that was seen before joins with its remembered value and counts no
    evaluation. A child beyond the limits is dropped.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many different architectures within the limits to evaluate. At most 100 times
            as many are tried (10,000 at least), and 1,000 repeats in a row end it.
        seed: an int of at least 0; one seed gives one result.
        objective: `f(cells, path_indices) -> float` to minimise; `None` is the problem's rating.
        population: the size of the population.
        sample: how many of them a parent is the best of.

    Returns:
        A `trial_search.Outcome`; `best` is `None` if no draw met the limits.

    Raises:
        ValueError: an argument is invalid, or the objective does not return a number.

    Source: Real et al., 2019.
    """
    checks.check_whole("population", population, 2)
    checks.check_whole("sample", sample, 1)
    trials = trial_search.Trials(problem, limits, budget, seed, objective)
    positions = decisions.Decisions(problem)
    uniform, sizes = trials.uniform, positions.sizes

    def draw(position, _):
        return int(uniform() * sizes[position])

    alive = collections.deque(maxlen=population)
    while not (trials.is_over or trials.is_stale):
        if len(alive) < population:
            walk = positions.walk(draw, trials.rng)
        else:
            drawn = [alive[int(uniform() * population)] for _ in range(sample)]
            walk = _child(positions, min(drawn, key=lambda pair: pair[0])[1], uniform, trials.rng)
        value, excess = trials.value_of(walk.cells, walk.path_indices)
        if not excess:
            alive.append((value, walk))
    return trials.outcome()


def _child(positions, parent, uniform, rng):
    """A walk that differs from its parent in one decision.

    Decisions that follow a changed cell and that the parent does not have are drawn. A decision
    that has only one option is not changed.
    """
    options = {position: option for position, _, option in parent.steps}
    sizes = positions.sizes
    free = [position for position in options if sizes[position] > 1]
    changed = free[int(uniform() * len(free))] if free else None

    def pick(position, _):
        size = sizes[position]
        if position == changed:
            return (options[position] + 1 + int(uniform() * (size - 1))) % size
        return options[position] if position in options else int(uniform() * size)

    return positions.walk(pick, rng)
