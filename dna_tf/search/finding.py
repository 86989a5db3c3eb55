"""The search as three functions of values: a problem, its best architectures, its front."""

import typing

import numpy as np

from dna_tf.common import checks
from dna_tf.search import diverse, exact, fronts, problem_building, problems
from dna_tf.space import architectures, cost_limits, cost_tables, spaces, tasks
from dna_tf.space.ratings import METRICS, RatedCell


def search_problem(
    space: spaces.SearchSpace,
    ratings: dict,
    images_or_task: typing.Any,
    *,
    weights: tuple[float, ...] = (),
    metric: str = METRICS[0],
    op_costs: tuple = (),
    skip_missing: bool = False,
) -> problems.SearchProblem:
    """Puts the ratings and the costs of all paths together for a search.

    Example:

        import numpy as np
        import dna_tf

        space, rng = dna_tf.get_space("digits"), np.random.default_rng(0)
        ratings = {(b, c): rng.random(space.num_paths(b, c)) for b, c, _ in space.cells()}
        problem = dna_tf.search_problem(space, ratings, dna_tf.Task(32, 3, 10))
        print(problem.num_architectures())

    Args:
        space: the search space.
        ratings: a dict from `(block, cell)`, both counted from 0, to a `RatedCell`, or to an
            array with one rating per path, lower is better.
        images_or_task: the images that the networks are for, or their `Task`. Sizes and
            classes decide the costs.
        weights: a factor on each block's ratings (lambda of DNA eq. 5); `()` is 1 for all.
        metric: the ratings to use of each `RatedCell`: relative_l1, mse or noise_to_signal.
        op_costs: further costs, such as latencies: files of op costs, or `OpCosts`.
        skip_missing: whether to leave out paths without ratings and to search the rest.

    Returns:
        The problem, for `find_best` and `find_front`.

    Raises:
        ValueError: ratings are missing, not finite or belong to another space; there is not
            one weight per block; a file of costs does not cover the space.
        FileNotFoundError: a file of costs does not exist.

    Source: DNA eq. 5.
    """
    task = images_or_task
    if not isinstance(task, tasks.Task):
        task = tasks.Task.from_image_shape(task.image_shape, task.num_classes)
    values = {key: _values_in(metric, cell, key) for key, cell in ratings.items()}
    return problem_building.build_problem(
        space,
        values,
        cost_tables.cost_table(space, task),
        [problem_building.path_costs(costs, space, task) for costs in op_costs],
        tuple(weights) or None,
        skip_missing,
    )


def find_best(
    problem: problems.SearchProblem,
    *,
    count: int = 1,
    limits: "cost_limits.Limits | dict | str | None" = None,
    penalties: dict | None = None,
    max_shared: int | None = None,
    name: str = "",
    **more_limits: typing.Any,
) -> list[architectures.Architecture]:
    """Finds the best architectures under limits, exactly.

    Example:

        import numpy as np
        import dna_tf

        space, rng = dna_tf.get_space("digits"), np.random.default_rng(0)
        ratings = {(b, c): rng.random(space.num_paths(b, c)) for b, c, _ in space.cells()}
        problem = dna_tf.search_problem(space, ratings, dna_tf.Task(32, 3, 10))
        for architecture in dna_tf.find_best(problem, count=3, max_macs="1.5M"):
            print(architecture.rating, architecture.costs()["macs"], architecture.describe())

    Args:
        problem: from `search_problem`.
        count: how many architectures to find.
        limits: `Limits`, or what makes one: text such as `"max_macs=350M"` or a dict.
        penalties: a dict from cost name to a factor, or to `(factor, target)`: minimised is
            the rating plus `factor * max(0, cost - target)`.
        max_shared: how many layers two of the architectures may share at most; `None` does
            not limit it.
        name: name of the first architecture; `""` makes it from the limits. The others are
            called NAME_2, NAME_3, ...
        more_limits: further limits by name, such as `max_macs="350M"` or `min_params=4e6`.

    Returns:
        A list of `Architecture`, best first; fewer than `count` if no more meet the limits.

    Raises:
        ValueError: limits, penalties or a count cannot be used.
        exact.Infeasible: no architecture meets the limits; the message has the possible range
            of each cost and the nearest miss. It is a `ValueError`.
    """
    limits = cost_limits.Limits(limits, **more_limits)
    penalties = problem.check_penalties(penalties)
    choices = best_choices(problem, limits, count, penalties, max_shared)
    name = name or limits.name() or "best"
    best = []
    for number, choice in enumerate(choices, 1):
        origin = search_origin(choice, number, limits, count, penalties, max_shared)
        own_name = name if number == 1 else f"{name}_{number}"
        best.append(_architecture(problem, choice, own_name, origin))
    return best


def find_front(
    problem: problems.SearchProblem,
    costs: tuple[str, ...] = ("macs",),
    *,
    limits: "cost_limits.Limits | dict | str | None" = None,
    rounding: float = 0.0,
    **more_limits: typing.Any,
) -> list[architectures.Architecture]:
    """Finds all architectures that no other beats in rating and costs: the Pareto front.

    Example:

        import numpy as np
        import dna_tf

        space, rng = dna_tf.get_space("digits"), np.random.default_rng(0)
        ratings = {(b, c): rng.random(space.num_paths(b, c)) for b, c, _ in space.cells()}
        problem = dna_tf.search_problem(space, ratings, dna_tf.Task(32, 3, 10))
        front = dna_tf.find_front(problem, ("macs",), max_params="80k")
        print(len(front), front[0].costs(), front[-1].costs())

    Args:
        problem: from `search_problem`.
        costs: the costs to trade against the rating.
        limits: `Limits`, or what makes one: text such as `"max_macs=350M"` or a dict.
        rounding: share of the cheapest network's cost by which entries may miss the front;
            0 is exact.
        more_limits: further limits by name, such as `max_macs="350M"`.

    Returns:
        A list of `Architecture`, best rating first, called front_1, front_2, ...

    Raises:
        ValueError: a cost is unknown, limits or rounding cannot be used, or no architecture
            meets the limits.
        fronts.FrontTooLarge: the front has too many states. It is a `ValueError`.
    """
    limits = cost_limits.Limits(limits, **more_limits)
    left, rest = problem.filtered(limits)
    choices = fronts.front(left, costs, rest, rounding)
    if not choices:
        raise exact.infeasible(left, rest)
    origin = {"by": "front", "front_costs": list(costs), "limits": dict(limits)}
    return [
        _architecture(problem, choice, f"front_{number}", origin)
        for number, choice in enumerate(choices, 1)
    ]


def best_choices(problem, limits, count=1, penalties=None, max_shared=None):
    """Finds the best choices under limits, as `find_best` does.

    Returns:
        A list of `problems.Choice`, best first.
    """
    problem, limits = problem.filtered(limits)
    if max_shared is None:
        return exact.best(problem, limits, count, penalties)
    return diverse.best_differing(problem, max_shared, count, limits, penalties)


def search_origin(choice, number, limits, count=1, penalties=None, max_shared=None):
    """What an architecture file says of the search that it comes from, JSON-able.

    Args:
        choice: the `problems.Choice`.
        number: its place among the best, from 1.
        limits, count, penalties, max_shared: what was searched for, as `find_best` takes it.
    """
    origin = {"by": "search", "limits": dict(limits)}
    if penalties:
        origin["penalties"] = {cost: list(pair) for cost, pair in penalties.items()}
        origin["penalty"] = choice.penalty
    if count > 1:
        origin["rank"] = number
    if max_shared is not None:
        origin["max_shared"] = max_shared
    return origin


def _values_in(metric, cell, key):
    """The ratings of one cell, `(paths,)`, in one metric."""
    if not isinstance(cell, RatedCell):
        return np.asarray(cell, np.float64)
    hint = f"The cell is {spaces.cell_name(*key)}."
    return cell.metrics[checks.choose(metric, cell.metrics, "metric", hint)][0]


def _architecture(problem, choice, name, origin):
    origin = {**origin, "space": problem.space.name, "weights": list(problem.weights)}
    if len(problem.names) > len(problem.counted):
        origin["costs"] = problem.uncounted_costs(choice)
    return problem.architecture(choice, name, origin)
