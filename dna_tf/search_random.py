"""Random search: the baseline that any other search has to beat."""

from dna_tf import search_trials

_BATCH = 1000


def random_search(problem, limits=None, budget=1000, seed=0, objective=None):
    """Draws architectures that meet the limits, and keeps the best.

    All architectures are equally likely, and none is tried twice. With a budget of at least
    the number of architectures, all of a space of up to 200,000 are tried: the result is
    then exact.

    An objective need not be a sum over blocks. Say that a chain of blocks drifts more than
    each alone, which you measure with a function `drift` of your own:

        def objective(cells, path_indices):
            rating, costs = problem.evaluate(cells, path_indices)
            return rating + drift(cells, path_indices)

        random_search(problem, {"max_macs": 350e6}, budget=500, objective=objective)

    Args:
        problem: a `search_problem.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many architectures to evaluate: those that meet the limits. What does
            not is drawn again, at most 100 times the budget (10,000 at least).
        seed: an int of at least 0; one seed gives one result.
        objective: `f(cells, path_indices) -> float` to minimise, given two tuples with an
            int for each block; `None` is the problem's rating.

    Returns:
        A `search_trials.Outcome`; its `found` is `None` if no draw met the limits.

    Raises:
        ValueError: an argument cannot be, or the objective returns no number.

    Source: random search of Li and Talwalkar, 2019 ("Random Search and Reproducibility for
    Neural Architecture Search"); drawing without replacement is our choice.
    """
    trials = search_trials.Trials(problem, limits, budget, seed, objective)
    while not trials.is_over:
        rows = trials.draw(min(_BATCH, budget))
        if not len(rows):
            break
        trials.look(rows)
    return trials.outcome()
