"""Networks drawn uniformly from a space, without a look at ratings: the test set of a rating.

The best-rated networks at each cost differ mostly in cost, and cost alone ranks them well. A
rating is tested on networks that are drawn at random; best among networks of nearly equal cost.
"""

import dataclasses
import math

import numpy as np

from dna_tf.common import checks, formatting
from dna_tf.search import finding, problems
from dna_tf.space import spaces

_CHUNK, _CHUNKS = 4096, 64  # draws at once, and at most


@dataclasses.dataclass(frozen=True)
class Band:
    """A narrow range of MACs: two networks in it differ by at most `width`.

    Args:
        macs: its middle, above 0.
        width: the largest difference of two networks as a share of the smaller one, such as 0.03.

    Raises:
        ValueError: a number is out of range.
    """

    macs: int
    width: float

    def __post_init__(self):
        checks.check_whole("macs", self.macs, 1)
        if not checks.is_number(self.width) or not 0 < self.width <= 1:
            raise ValueError(
                "The width of a band of MACs must be a share above 0 and at most 1, such as 0.03. "
                f"Received: {self.width!r}"
            )

    @property
    def ends(self):
        """The lowest and the highest MACs, floats."""
        root = math.sqrt(1 + self.width)
        return self.macs / root, self.macs * root

    def text(self):
        """For people, such as `"345M to 355M MACs"`."""
        low, high = map(formatting.format_count, self.ends)
        return f"{low} to {high} MACs"


def unrated_problem(space, task, fixed=None):
    """The networks of a space with their costs, and without ratings.

    Args:
        space: a `spaces.SearchSpace`.
        task: the `tasks.Task` of the networks.
        fixed: a dict from block number (from 1) to the name of the op that all of its layers
            have, such as `{6: "k3e6"}`; other paths of the block are left out.

    Returns:
        A `problems.SearchProblem`; its architectures have no rating.

    Raises:
        ValueError: the space has no such block or no such op.
    """
    blank = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
    problem = finding.search_problem(space, blank, task)
    for values in problem.measured.values():
        values[:] = np.nan
    return dataclasses.replace(problem, open_paths=_open_paths(problem, fixed or {}))


def _open_paths(problem, fixed):
    space, open_paths = problem.space, dict(problem.open_paths)
    names = [op.name for op in space.ops]
    for number, op in fixed.items():
        if number not in range(1, len(space.blocks) + 1) or op not in names:
            raise ValueError(
                f"A fixed block is one of 1 to {len(space.blocks)} with one of the ops {names} of "
                f"the space {space.name!r}. Received: block {number!r}, op {op!r}"
                f"{checks.near_names(op, names)}"
            )
        for c, cell in enumerate(space.blocks[number - 1].cells):
            path = (names.index(op),) * cell.layers
            open_paths[number - 1, c] = np.array([space.path_index(number - 1, c, path)])
    return open_paths


def check_possible(problem, limits):
    """Checks that each upper limit on a counted cost can be met, before a long rating.

    Args:
        problem: as `unrated_problem` returns it.
        limits: a `cost_limits.Limits`; costs that the problem does not have are not checked.

    Raises:
        ValueError: all networks cost more.
    """
    for cost, most in limits.sides()[1].items():
        if cost in problem.names and problem.lowest(cost) > most:
            raise ValueError(
                f"No network of the space {problem.space.name!r} has {limits.text()}: the "
                f"smallest has {formatting.format_count(problem.lowest(cost))} {cost}. Raise the "
                "limit."
            )


def draw(
    problem: problems.SearchProblem, count: int, seed: int, band: Band | None = None
) -> list[problems.Choice]:
    """Draws different networks, each as likely as any other, without a look at ratings.

    Args:
        problem: the networks and their costs, as `unrated_problem` returns them.
        count: how many, at least 1. The first ones are the same for every count.
        seed: an int of at least 0; one seed gives one draw.
        band: a `Band` in which the MACs of all of them lie; `None` for none.

    Returns:
        A list of `problems.Choice`.

    Raises:
        ValueError: there are fewer networks, or too few of them came out of many draws.

    Source: DNA Figure 4, whose 16 networks were "sampled"; how is not published.
    """
    checks.check_whole("The number of networks to draw", count, 1)
    checks.check_whole("seed", seed, 0)
    total = problem.num_architectures()
    if count > total:
        raise ValueError(
            f"The space {problem.space.name!r} has {total:,} networks to draw from. Received: "
            f"{count}. Draw fewer, or take a larger space."
        )
    draws, networks = np.random.default_rng([seed, 18]), {}
    pairs = [
        np.array([(c, p) for c in problem.cells(b) for p in problem.open_paths[b, c]], np.int64)
        for b in range(len(problem.space.blocks))
    ]
    low, high = band.ends if band else (0, math.inf)
    medians = []
    for _ in range(_CHUNKS):
        cells, paths = _draws(pairs, draws)
        macs = problem.evaluate_many(cells, paths)[1][problem.names.index("macs")]
        medians.append(float(np.median(macs)))
        for row in np.flatnonzero((low <= macs) & (macs <= high)).tolist():
            networks.setdefault((tuple(cells[row].tolist()), tuple(paths[row].tolist())))
            if len(networks) == count:
                return problem.choices(*map(np.array, zip(*networks, strict=True)))
    if band is None:  # a space with hardly more networks than are drawn
        raise ValueError(
            f"Only {len(networks)} of {total:,} networks came out of {_CHUNK * _CHUNKS:,} draws. "
            f"Received: {count} networks to draw. Draw fewer."
        )
    raise ValueError(
        f"{len(networks)} different networks with {band.text()} came out of "
        f"{_CHUNK * _CHUNKS:,} draws, and {count} are needed. The space {problem.space.name!r} has "
        f"{formatting.format_count(problem.lowest('macs'))} to "
        f"{formatting.format_count(problem.highest('macs'))} MACs, half of its networks less than "
        f"{formatting.format_count(float(np.median(medians)))}. Take MACs near that, or a wider "
        "band."
    )


def _draws(pairs, draws):
    """Cells and paths of `_CHUNK` networks, int64 `(networks, blocks)` each."""
    columns = [of_block[draws.integers(len(of_block), size=_CHUNK)] for of_block in pairs]
    return tuple(np.stack([column[:, end] for column in columns], axis=1) for end in (0, 1))


def parse_fixed(texts):
    """Reads fixed blocks: `"6:k3e6"` is block 6 with the op k3e6 in all layers.

    Args:
        texts: a list of texts.

    Returns:
        A dict from block number to the op's name, as `unrated_problem` takes it.

    Raises:
        ValueError: a text cannot be read, or a block is named twice.
    """
    fixed = {}
    for text in texts:
        number, colon, op = str(text).partition(":")
        if not number.strip().isdigit() or not colon:
            raise ValueError(
                "A fixed block is written as its number and an op, such as 6:k3e6. Received: "
                f"{text!r}"
            )
        if int(number) in fixed:
            raise ValueError(f"Block {int(number)} is fixed twice. Received: {list(texts)}")
        fixed[int(number)] = spaces.Op.parse(op.strip()).name
    return fixed
