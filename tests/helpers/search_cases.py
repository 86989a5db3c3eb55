"""Random search problems small enough to list all of their architectures."""

import dataclasses
import itertools

import numpy as np

from dna_tf.search import problem_building
from dna_tf.space import cost_tables, presets, tasks
from dna_tf.space.spaces import Block, Cell, Frame, Op, SearchSpace

OPS = (Op(3, 1), Op(3, 2), Op(5, 1), Op(5, 2))
MOST = 400  # most architectures of a problem
NAMES = (*cost_tables.COSTS, "latency_ms")


def space(rng):
    """A random space of at most `MOST` architectures, with various widths, depths and strides."""
    while True:
        ops = tuple(OPS[i] for i in rng.permutation(len(OPS))[: rng.integers(1, 4)])
        blocks = tuple(
            Block(
                int(rng.integers(1, 3)),
                tuple(
                    Cell(int(rng.integers(1, 3)), int(rng.integers(2, 5)))
                    for _ in range(rng.integers(1, 4))
                ),
            )
            for _ in range(rng.integers(1, 4))
        )
        drawn_space = SearchSpace("random", ops, blocks, Frame(4, 2, 3, 5))
        if drawn_space.num_architectures() <= MOST:
            return drawn_space


def problem(rng, ties):
    """A problem with counted costs and a latency that depends on the cell before.

    Args:
        rng: a NumPy generator.
        ties: whether ratings and latencies are small whole numbers, which tie often and
            whose sums are exact in any order.
    """
    searched, kind = space(rng), rng.integers(0, 3)
    table = cost_tables.cost_table(searched, tasks.Task(9, 3, 4))

    def draw(count):
        return rng.integers(0, 4, count).astype(float) if ties else rng.random(count)

    ratings = {(b, c): draw(searched.num_paths(b, c)) for b, c, _ in searched.cells()}
    if kind == 1:  # like real ratings: the more expensive, the better
        ratings = {
            (b, c): values
            + np.round(3e3 / table.paths[b, c, searched.input_widths(b)[0]]["macs"], 1)
            for (b, c), values in ratings.items()
        }
    latency = {
        key: draw(len(costs["macs"])) * (1 if ties else rng.uniform(0.5, 2))
        for key, costs in table.paths.items()
    }
    heads = {width: float(draw(1)[0]) for width in table.heads}
    extra = cost_tables.PathCosts("latency_ms", latency, float(draw(1)[0]), heads)
    weights = rng.choice([0, 0.5, 1, 1, 2], len(searched.blocks)) if ties else None
    return problem_building.build_problem(searched, ratings, table, [extra], weights)


@dataclasses.dataclass(frozen=True)
class Listed:
    """One architecture of the brute force."""

    rating: float
    costs: dict
    cells: tuple
    paths: tuple


def all_architectures(problem):
    """Lists all architectures of a problem, first choices first, one by one."""
    blocks = problem.space.blocks
    choices = [
        [(c, int(p)) for c in problem.cells(b) for p in problem.open_paths[b, c]]
        for b in range(len(blocks))
    ]
    listed = []
    for chosen in itertools.product(*choices):
        rating, width = 0.0, problem.space.frame.stem_output_width
        costs = problem.stem.tolist()
        for b, (c, p) in enumerate(chosen):
            rating = rating + float(problem.ratings[b, c][p])
            path_costs = problem.costs[b, c, width][:, p].tolist()
            costs = [total + value for total, value in zip(costs, path_costs, strict=True)]
            width = blocks[b].cells[c].width
        costs = [total + value for total, value in zip(costs, problem.heads[width], strict=True)]
        cells, paths = (tuple(part) for part in zip(*chosen, strict=True))
        listed.append(Listed(rating, dict(zip(problem.names, costs, strict=True)), cells, paths))
    return listed


def limits(rng, listed, upper, lower=()):
    """Random limits that many, few or no architectures meet: values that occur, or just beside."""
    chosen = {}
    for side, names in (("max", upper), ("min", lower)):
        for name in names:
            values = sorted({one.costs[name] for one in listed})
            chosen[f"{side}_{name}"] = float(values[int(rng.integers(len(values)))])
            if rng.random() < 0.1:
                chosen[f"{side}_{name}"] = values[0] - 1 if side == "max" else values[-1] + 1
    return chosen


def contradicts(limits):
    """Whether a lower limit lies above the upper one of the same cost."""
    return any(
        key.startswith("min_") and value > limits.get(f"max_{key[4:]}", np.inf)
        for key, value in limits.items()
    )


def allowed(listed, limits):
    """The architectures of a list that meet limits."""
    kept = []
    for one in listed:
        upper = all(one.costs[k[4:]] <= v for k, v in limits.items() if k.startswith("max_"))
        lower = all(one.costs[k[4:]] >= v for k, v in limits.items() if k.startswith("min_"))
        if upper and lower:
            kept.append(one)
    return kept


def value(one, penalties=None):
    """The rating of an architecture plus its penalties, added in the order of the search."""
    extra = 0.0
    for name, (factor, target) in (penalties or {}).items():
        extra = extra + factor * max(one.costs[name] - target, 0.0)
    return one.rating + extra


def in_order(listed, penalties=None):
    """A list in the order of the search: by value, costs, then choices."""

    def key(one):
        choices = [pair for pair in zip(one.cells, one.paths, strict=True)]
        return value(one, penalties), tuple(one.costs.values()), choices

    return sorted(listed, key=key)


def drawn(seed, ties, upper, lower=()):
    """A random case: `(generator, problem, all its architectures, limits for them)`.

    Args:
        seed: int.
        ties: as for `problem`.
        upper, lower: names of costs, as for `limits`, in any order.
    """
    rng = np.random.default_rng(seed)
    case = problem(rng, ties)
    listed = all_architectures(case)
    return rng, case, listed, limits(rng, listed, sorted(upper), sorted(lower))


def digits_problem():
    """The space of the digits with ratings that fall with the MACs, and noise."""
    space = presets.get_space("digits")
    table, rng = cost_tables.cost_table(space, tasks.Task(32, 3, 10)), np.random.default_rng(0)
    rated = {}
    for b, c, _ in space.cells():
        macs = table.paths[b, c, space.input_widths(b)[0]]["macs"]
        rated[b, c] = 1 - 0.1 * np.log(macs / 1e4) + 0.03 * rng.standard_normal(len(macs))
    return problem_building.build_problem(space, rated, table)
