"""Evolutionary search: children of the best so far, by mutation and by crossover."""

import functools

import numpy as np

from dna_tf.common import checks
from dna_tf.search import trial_search

CROSSINGS = ("blocks", "layers")
_TRIES = 10  # for a child that is new


def evolve(
    problem,
    limits=None,
    budget=1000,
    seed=0,
    objective=None,
    population=50,
    parents=10,
    mutation=0.1,
    crossing="blocks",
    fill=False,
):
    """Searches by evolution.

    It starts from a random population. In each generation half of the children have one
    parent each, whose cells and ops are drawn again with the probability `mutation`; the other
    half have two, and take each block from one of them. The best of all that were tried are the
    next population, and its first ones are the parents. Architectures within the limits come
    first, then the others by their distance from the limits, so a population outside tight
    limits moves towards them. No architecture is tried twice. If no child is new, architectures
    are drawn at random, so in a space of up to 200,000 architectures a budget of that size is
    exact.

    An objective need not be a sum over blocks: see `trial_search.random_search`. For a sum,
    `exact.best` is exact and faster.

        def objective(cells, path_indices):
            rating, costs = problem.evaluate(cells, path_indices)
            return rating * (costs["macs"] / 350e6) ** 0.07  # MnasNet's soft product

        evolve(problem, {"max_params": 6e6}, budget=2000, objective=objective)

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many architectures within the limits to evaluate. At most 100 times as
            many are tried (10,000 at least).
        seed: an int of at least 0; one seed gives one result.
        objective: `f(cells, path_indices) -> float` to minimise, given two tuples with an
            int for each block; `None` is the problem's rating.
        population: the size of the population, and the children of a generation.
        parents: how many of the best have children.
        mutation: probability that an op, or the cell of a block, is drawn again.
        crossing: what a child takes from one of two parents as a whole: `"blocks"`, or
            `"layers"` in blocks of the same cell.
        fill: whether a generation with fewer new children than the population is filled up with
            architectures drawn at random.

    Returns:
        A `trial_search.Outcome`; `best` is `None` if no tried architecture meets the limits.

    Raises:
        ValueError: an argument is invalid, or the objective does not return a number.

    Source: Guo et al., 2020 (SPOS), also for the defaults; limits come first as in Deb, 2000.
    """
    checks.choose(crossing, CROSSINGS, "crossing")
    checks.check_whole("population", population, 2)
    checks.check_whole("parents", parents, 2)
    if isinstance(mutation, bool) or not isinstance(mutation, int | float) or not 0 < mutation <= 1:
        raise ValueError(f"mutation is a probability above 0, up to 1. Received: {mutation!r}")
    trials = trial_search.Trials(problem, limits, budget, seed, objective)
    breeder = _Breeder(problem, trials, mutation, crossing)
    pool = _best(trials.look(trials.draw(population)), population)
    while not trials.is_over:
        alive = trials.choices(pool[0][:parents])
        children = breeder.children(*alive, population)
        if not len(children):
            children = trials.draw(population)
        elif fill and len(children) < population:
            children = np.concatenate([children, trials.draw(population - len(children))])
        if not len(children):
            break
        tried = trials.look(children)
        pool = _best([np.concatenate(pair) for pair in zip(pool, tried, strict=True)], population)
    return trials.outcome()


# The settings of Guo et al. in all: population 50, ten parents, 25 children by crossover and 25 by
# mutation with the probability 0.1, crossover by layers, and random networks to fill up.
spos = functools.partial(evolve, crossing="layers", fill=True)


def _best(tried, count):
    rows, values, excess = tried
    order = np.lexsort([values, excess])[:count]  # stable: of equals the first tried
    return rows[order], values[order], excess[order]


class _Breeder:
    """Makes the rows of children from those of parents."""

    def __init__(self, problem, trials, mutation, crossing):
        self._trials, self._mutation, self._crossing = trials, mutation, crossing
        self._rng, self._num_ops = trials.rng, len(problem.space.ops)
        blocks = problem.space.blocks
        self._cells = [problem.cells(b) for b in range(len(blocks))]
        self._layers = [np.array([cell.layers for cell in block.cells]) for block in blocks]
        self._most = max(int(layers.max()) for layers in self._layers)

    def children(self, cells, paths, count):
        """Up to `count` new rows from the choices of parents, as from `trials.choices`."""
        ops, half = self._ops(cells, paths), count // 2
        rows = np.zeros((0, cells.shape[1]), np.int64)
        for _ in range(_TRIES):
            crossed, mutated = self._crossed(cells, ops, half), self._mutated(cells, ops, half)
            pairs = [np.concatenate(pair) for pair in zip(crossed, mutated, strict=True)]
            rows = np.concatenate([rows, self._trials.rows(pairs[0], self._paths(*pairs))])
            rows = np.unique(rows, axis=0)
            if len(rows) >= half:
                break
        return rows[self._rng.permutation(len(rows))[:count]]

    def _crossed(self, cells, ops, count):
        """Children of two parents: each block from one of them."""
        pairs = self._rng.integers(0, len(cells), (count, 2, 1))
        picked = self._rng.integers(0, 2, (count, 1, cells.shape[1]))
        parents = np.take_along_axis(np.broadcast_to(pairs, (count, 2, cells.shape[1])), picked, 1)
        blocks = np.arange(cells.shape[1])
        child_cells, child_ops = cells[parents[:, 0], blocks], ops[parents[:, 0], blocks]
        if self._crossing == "layers":
            both = [(cells[pairs[:, i, 0]], ops[pairs[:, i, 0]]) for i in (0, 1)]
            same = (both[0][0] == both[1][0])[..., None]
            mixed = np.where(self._rng.random(child_ops.shape) < 0.5, both[0][1], both[1][1])
            child_ops = np.where(same, mixed, child_ops)
        return child_cells, child_ops

    def _mutated(self, cells, ops, count):
        """Children of one parent: some cells and ops are drawn again.

        A cell that is drawn again keeps the ops of the layers it shares with the old one.
        """
        parents = self._rng.integers(0, len(cells), count)
        cells, ops = cells[parents].copy(), ops[parents]
        for b in range(cells.shape[1]):
            again = self._rng.random(count) < self._mutation
            if len(self._cells[b]) == 1:
                continue
            drawn = self._rng.choice(self._cells[b], count)
            cells[:, b] = np.where(again, drawn, cells[:, b])
        again = (self._rng.random(ops.shape) < self._mutation) | (ops < 0)
        return cells, np.where(again, self._rng.integers(0, self._num_ops, ops.shape), ops)

    def _ops(self, cells, paths):
        """Ops of paths, `(architectures, blocks, layers)`; -1 behind the last layer of a cell."""
        ops = np.full((*cells.shape, self._most), -1)
        for b, layers in enumerate(self._layers):
            left, depth = paths[:, b].copy(), layers[cells[:, b]]
            for layer in reversed(range(self._most)):
                exists = depth > layer
                ops[exists, b, layer] = left[exists] % self._num_ops
                left[exists] //= self._num_ops
        return ops

    def _paths(self, cells, ops):
        """Path indices of ops; ops behind the last layer of a cell are ignored."""
        paths = np.zeros(cells.shape, np.int64)
        for b, layers in enumerate(self._layers):
            depth = layers[cells[:, b]]
            for layer in range(self._most):
                index = paths[:, b] * self._num_ops + ops[:, b, layer]
                paths[:, b] = np.where(depth > layer, index, paths[:, b])
        return paths
