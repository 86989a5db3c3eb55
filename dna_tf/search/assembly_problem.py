"""The search problem of assemblies: each block is a path of a cell, or the teacher's own block.

Every path reads and gives the teacher's maps, so no cost depends on the block before. For the
searches such a problem looks like any other: in its space all cells of a block have the teacher's
channels as their width, and the teacher's own block is one cell more with a single path.
"""

import dataclasses

import numpy as np

from dna_tf.common import checks, formatting
from dna_tf.search import exact, fronts, problems
from dna_tf.space import assemblies, cost_limits, part_costs, spaces, tasks


@dataclasses.dataclass(frozen=True)
class AssemblyProblem(problems.SearchProblem):
    """Ratings and costs of all paths that can stand in a teacher, and of its own blocks.

    Args:
        cell_space: the `spaces.SearchSpace` of the cells; `space` is what searches see.
        teacher: the `assemblies.TeacherFacts`.
        peaks: `peaks[block, cell]`, float64 `(paths,)`: the `peak_kb` of each path.
    """

    cell_space: spaces.SearchSpace
    teacher: assemblies.TeacherFacts
    peaks: dict

    def left_out(self):
        """How many paths are left out: a dict from `(block, cell)` to a number above 0."""
        left = super().left_out()
        return {(b, c): n for (b, c), n in left.items() if not self.is_own(b, c)}

    def is_own(self, block, cell):
        """Whether a cell of `space` stands for the teacher's own block."""
        return cell == len(self.cell_space.blocks[block].cells)

    def describe(self, choice):
        """The parts of a `problems.Choice` in one line, as `Assembly.describe` writes them."""
        pairs = enumerate(zip(choice.cells, choice.path_indices, strict=True))
        texts = [
            "own" if self.is_own(b, c) else spaces.text(self.cell_space, b, c, p)
            for b, (c, p) in pairs
        ]
        return " | ".join(texts)

    def architecture(self, choice, name, origin):
        """Turns a `problems.Choice` into an `assemblies.Assembly`; `origin` is JSON-able."""
        pairs = enumerate(zip(choice.cells, choice.path_indices, strict=True))
        parts = tuple(self._part(b, c, p) for b, (c, p) in pairs)
        return assemblies.Assembly(name, self.cell_space, self.teacher, parts, origin)

    def _part(self, block, cell, index):
        rating = float(self.measured[block, cell][index])
        if self.is_own(block, cell):
            return assemblies.Part(None, None, rating, self.teacher.blocks[block])
        path = spaces.path(self.cell_space, block, cell, index)
        costs = part_costs.path_costs(self.cell_space, block, cell, path, self.teacher.shapes)
        return assemblies.Part(cell, path, rating, costs)

    def filtered(self, limits):
        """Leaves out the paths that alone break a limit on `peak_kb`.

        The peak of a network is that of its largest part, so this limit is one on parts.

        Args:
            limits: a `cost_limits.Limits`.

        Returns:
            The problem without these paths, and the other limits.

        Raises:
            exact.Infeasible: a part that every network has, or each candidate of a block, needs
                more.
            ValueError: the limit is a lower one.
        """
        if "min_peak_kb" in limits:
            raise ValueError("A lower limit on peak_kb is of no use. Leave min_peak_kb out.")
        if "max_peak_kb" not in limits:
            return self, limits
        most, open_paths = limits["max_peak_kb"], {}
        needed = [self.teacher.head["peak_kb"]]
        for key, indices in self.open_paths.items():
            open_paths[key] = indices[self.peaks[key][indices] <= most]
        for b in range(len(self.space.blocks)):
            needed.append(min(self.peaks[b, c][self.open_paths[b, c]].min() for c in self.cells(b)))
        if max(needed) > most:
            place = int(np.argmax(needed))
            part = f"every candidate of block {place}" if place else "the teacher's head"
            raise exact.Infeasible(
                f"No network meets max_peak_kb={formatting.format_count(most)}: {part} needs at "
                f"least {max(needed):.1f} kB for its maps in int8. Raise the limit, or take a "
                "smaller image size."
            )
        rest = {key: value for key, value in limits.items() if key != "max_peak_kb"}
        return dataclasses.replace(self, open_paths=open_paths), cost_limits.Limits(rest)


def build_problem(space, teacher, ratings, extra=()):
    """Puts the ratings and the costs of all candidates together.

    Args:
        space: a `spaces.SearchSpace`.
        teacher: an `assemblies.TeacherFacts`.
        ratings: `ratings[block, cell]` has one rating per path, in the order of
            `SearchSpace.paths`; lower is better, 0 is as good as the teacher's own block. NaN
            leaves a path out, and so does a missing cell.
        extra: further costs that add up, such as latencies: dicts with `name`, `paths` (by
            `(block, cell)`), `blocks` (of the teacher's own ones) and `head`.

    Returns:
        An `AssemblyProblem`. A cost that is not known of the teacher is not in it.

    Raises:
        ValueError: ratings belong to another space, or are below 0.
    """
    measured, costs, peaks, open_paths = {}, {}, {}, {}
    summed = [n for n in part_costs.SUMMED if teacher.costs()[n] is not None]
    names = (*summed, *(cost["name"] for cost in extra))
    width = teacher.shapes[0][-1]
    for b, block in enumerate(space.blocks):
        for c in range(len(block.cells)):
            measured[b, c] = _checked(ratings.get((b, c)), space, b, c)
            of_paths = part_costs.all_path_costs(space, b, c, teacher.shapes)
            rows = [of_paths[n] for n in summed] + [cost["paths"][b, c] for cost in extra]
            costs[b, c, width] = np.array(rows, np.float64)
            peaks[b, c] = of_paths["peak_kb"]
        own, count = len(block.cells), len(space.ops)
        rows = [teacher.blocks[b][n] for n in summed] + [cost["blocks"][b] for cost in extra]
        costs[b, own, width] = np.repeat(np.array(rows, np.float64)[:, None], count, axis=1)
        peaks[b, own] = np.full(count, teacher.blocks[b]["peak_kb"])
        measured[b, own] = np.array([0.0] + [np.nan] * (count - 1))
        width = teacher.shapes[b + 1][-1]
    for key, values in measured.items():
        open_paths[key] = np.flatnonzero(~np.isnan(values))
    head = [teacher.head[n] for n in summed] + [cost["head"] for cost in extra]
    size, _, channels = teacher.shapes[0]
    return AssemblyProblem(
        space=_seen_space(space, teacher),
        task=tasks.Task(size, channels, teacher.num_classes),
        names=names,
        counted=frozenset(part_costs.COUNTED),
        measured=measured,
        ratings=dict(measured),
        costs=costs,
        stem=np.zeros(len(names)),
        heads={width: np.array(head, np.float64)},
        open_paths=open_paths,
        weights=(1.0,) * len(space.blocks),
        cell_space=space,
        teacher=teacher,
        peaks=peaks,
    )


def check_reachable(space, teacher, limits, extra=()):
    """Checks before any work that some network of a space keeps within limits.

    Args:
        space: a `spaces.SearchSpace`.
        teacher: an `assemblies.TeacherFacts`.
        limits: a `cost_limits.Limits`.
        extra: further costs, as `build_problem` takes them.

    Raises:
        ValueError: no network does (the message has the cheapest), a limited cost is unknown,
            or the teacher itself does: there is nothing to do.
    """
    ratings = {(b, c): np.ones(space.num_paths(b, c)) for b, c, _ in space.cells()}
    problem, rest = build_problem(space, teacher, ratings, extra).filtered(limits)
    (best,) = exact.best(problem, rest)
    check_saves(problem, best, limits)


def costs_of_front(problem, cost, limits):
    """One cost of all networks of the front of rating and this cost, rising.

    Args:
        problem: an `AssemblyProblem`.
        cost: the cost's name.
        limits: a `cost_limits.Limits` that they all keep.

    Returns:
        A list of numbers, without the cost of the teacher itself.
    """
    left, rest = problem.filtered(limits)
    choices = fronts.front(left, (cost,), rest)
    costs = {
        choice.costs[cost]
        for choice in choices
        if not all(problem.is_own(b, c) for b, c in enumerate(choice.cells))
    }
    return sorted(map(int, costs) if cost in problem.counted else map(float, costs))


def check_saves(problem, choice, limits):
    """Checks that a `problems.Choice` is not the teacher itself.

    Raises:
        ValueError: it is, so that there is nothing to do.
    """
    if all(problem.is_own(b, c) for b, c in enumerate(choice.cells)):
        costs = problem.teacher.costs()
        texts = [f"{costs[n]:,} {n}" for n in ("macs", "params") if costs[n] is not None]
        further = [name for name in problem.names if name not in part_costs.COSTS]
        texts = ", ".join([*texts, *(f"{choice.costs[name]:.4g} {name}" for name in further)])
        raise ValueError(
            f"The teacher itself is within {limits.text()}: it has {texts}. There is nothing to "
            "compress. Give a tighter limit, such as max_macs=50%."
        )


def _checked(values, space, block, cell):
    """The ratings of a cell as float64 `(paths,)`, NaN where there is none."""
    count = space.num_paths(block, cell)
    if values is None:
        return np.full(count, np.nan)
    values = np.asarray(values, np.float64)
    if values.shape != (count,):
        raise ValueError(
            f"{spaces.cell_name(block, cell)} has {count} paths in the space {space.name!r}. "
            f"Received: ratings of the shape {values.shape}"
        )
    if (values < 0).any():
        raise ValueError(
            f"{spaces.cell_name(block, cell)} has a rating of {np.nanmin(values):g}. A rating is "
            "the loss beside the teacher's own block, which has 0: at least 0."
        )
    return values


def _seen_space(space, teacher):
    """The space as searches see it; see the head of this file."""
    blocks = tuple(
        spaces.Block(
            block.stride,
            (*(spaces.Cell(cell.layers, shape[-1]) for cell in block.cells),)
            + (spaces.Cell(1, shape[-1]),),
        )
        for block, shape in zip(space.blocks, teacher.shapes[1:], strict=True)
    )
    frame = dataclasses.replace(space.frame, stem_output_width=teacher.shapes[0][-1])
    return dataclasses.replace(space, blocks=blocks, frame=frame)


def limits_of(limits, teacher, further=None):
    """Limits as numbers, where `"50%"` is half of the teacher's cost.

    Args:
        limits: what makes a `cost_limits.Limits`, with values such as `"50%"` besides.
        teacher: the `assemblies.TeacherFacts`.
        further: costs of the teacher that are measured: a dict from name to number.

    Returns:
        A `cost_limits.Limits`.

    Raises:
        ValueError: a share cannot be read or has no teacher's cost to be a share of; or as
            `cost_limits.Limits`.
    """
    costs, numbers = {**teacher.costs(), **(further or {})}, {}
    for key, value in limits.items():
        if isinstance(value, str) and value.strip().endswith("%"):
            numbers[key] = _share_of(key, value.strip(), costs)
        else:
            numbers[key] = value
    return cost_limits.Limits(numbers)


def _share_of(key, text, costs):
    name = key[4:]
    if costs.get(name) is None:
        names = [n for n, value in costs.items() if value is not None]
        raise ValueError(
            f"{key}={text} is a share of the teacher's {name}, which is not known."
            f"{checks.near_names(name, names)} Shares are possible of {names}; give a number for "
            "others."
        )
    share = formatting.parse_number(text[:-1], f"The limit {key}") / 100
    if not 0 < share:
        raise ValueError(f"The limit {key} must be a share above 0 %. Received: {text}")
    value = share * costs[name]
    return int(value) if name in part_costs.COUNTED else value
