"""From a workdir to a search problem, and from what is found to architecture files.

No TensorFlow is imported here, so that a search starts and ends at once.
"""

import functools
import operator

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, formatting, progress
from dna_tf.config import run_config
from dna_tf.phases import latency_commands
from dna_tf.search import control, problem_building
from dna_tf.space import architectures, cost_tables, op_costs, presets, ratings, spaces, tasks

FRONT_KIND = "dna_tf.front"


class SearchInputs:
    """Ratings, costs and space of a workdir, ready to search.

    Args:
        workdir: a `workdirs.Workdir` with ratings.
        run_config: its config.
        weights: a factor for each block's ratings; `None` takes the config's.
        cost_files: more files of op costs, beside those of the config.
        skip_missing: whether to search over what is rated where ratings are missing.

    Raises:
        FileNotFoundError: cells are not rated, or there is no such cost file.
        ValueError: ratings are stale, interrupted or broken, or costs do not fit.
    """

    def __init__(self, workdir, run_config, weights=None, cost_files=(), skip_missing=False):
        teacher = workdir.teacher_result()
        self.workdir, self.config = workdir, run_config
        self.space = presets.get_space(run_config.space)
        self.task = tasks.Task.from_image_shape(teacher["image_shape"], teacher["num_classes"])
        self.table = cost_tables.cost_table(self.space, self.task)
        op_tables = [op_costs.load(p) for p in (*run_config.search.cost_files, *cost_files)]
        self._cost_files = {table.cost: op_costs.identity(table) for table in op_tables}
        try:
            extra = [table.path_costs(self.space, self.task) for table in op_tables]
        except op_costs.MissingParts as error:
            # The workdir stands for the run's own size, channels and classes.
            raise latency_commands.missing_error(error, f"--workdir={workdir}") from error
        if weights is None:
            weights = tuple(run_config.search.weights) or None
        self.ratings, self.made_from = self._ratings(skip_missing)
        self.problem = problem_building.build_problem(
            self.space, self.ratings, self.table, extra, weights, skip_missing
        )

    def _ratings(self, skip_missing):
        """The ratings by `(block, cell)`, and a fingerprint of what they were made from."""
        found, fresh, absent, short = {}, [], [], []
        made_from = functools.partial(self.workdir.ratings_made_from, self.config)
        for b, c, _ in self.space.cells():
            name = spaces.cell_name(b, c)
            path = self.workdir.ratings / f"{name}.json"
            if not path.exists():
                absent.append(f"{name} (no file {path})")
                continue
            fresh.append(made_from(name))
            metric = self.config.search.metric
            values = ratings.load(path, self.space, b, c, fresh[-1], metric)
            count = self.space.num_paths(b, c)
            if len(values) < count:
                short.append(f"{name} has {len(values)} of {count} paths rated")
            found[b, c] = values
        if skip_missing:
            return found, files.fingerprint(fresh)
        hint = (
            "Rate the rest: python -m tools.rate --workdir="
            f"{self.workdir}; or search over what there is with --skip_missing."
        )
        if absent:
            raise FileNotFoundError(f"Not rated: {', '.join([*absent, *short])}. {hint}")
        if short:
            raise ValueError(f"{', '.join(short)}: rating was interrupted. {hint}")
        return found, files.fingerprint(fresh)

    def architecture(self, found, name, origin):
        """An `architectures.Architecture` of what was found, with all that it came from."""
        problem = self.problem
        origin = {
            **origin,
            "space": self.space.name,
            "seed": self.config.seed,
            "weights": list(problem.weights),
            "config": run_config.config_fingerprint(
                self.config, workdirs.sections_until("architectures")
            ),
            "ratings": self.made_from,
        }
        if len(problem.names) > len(problem.counted):
            # Counted costs are in the file already; these are not known from shapes.
            _, costs = problem.evaluate(found.cells, found.path_indices)
            origin["costs"] = {n: v for n, v in costs.items() if n not in problem.counted}
            origin["cost_files"] = self._cost_files
        left_out = problem.left_out()
        if left_out:
            origin["left_out"] = {spaces.cell_name(*key): n for key, n in left_out.items()}
        return problem.architecture(found, name, origin)

    def draw_controls(self, found, macs, count):
        """A list of `problems.Choice` of about the same MACs, drawn at random, all other."""
        drawn = [(found.cells, found.path_indices)]
        for number in range(count):
            one = control.random_within(
                self.problem,
                macs,
                self.config.search.control_tolerance,
                self.config.seed + number,
                forbidden=drawn,
            )
            drawn.append(one)
        return [self.problem.choices(np.array([c]), np.array([p]))[0] for c, p in drawn[1:]]

    def front_content(self, entries, names, about=None):
        """The content of a front's file.

        Args:
            entries: a list of `problems.Choice`.
            names: the costs that the front trades against the rating.
            about: more to write, JSON-able: limits and rounding.
        """
        listed = []
        for one in entries:
            pairs = enumerate(zip(one.cells, one.path_indices, strict=True))
            # Added left to right, as architectures add theirs.
            ratings_of = [float(self.ratings[b, c][p]) for b, (c, p) in pairs]
            rating = functools.reduce(operator.add, ratings_of)
            entry = {"rating": rating, "costs": one.costs}
            if set(self.problem.weights) != {1.0}:
                entry["weighted_rating"] = one.rating
            listed.append({**entry, "blocks": self.problem.describe(one)})
        return {
            "kind": FRONT_KIND,
            "space": self.space.name,
            "num_architectures": self.problem.num_architectures(),
            "front_costs": list(names),
            "weights": list(self.problem.weights),
            "ratings": self.made_from,
            **(about or {}),
            "entries": listed,
        }

    def tell(self, made):
        """Says what was found: a dict from name to `architectures.Architecture`."""
        for name, found in made.items():
            costs = {**found.costs(), **found.origin.get("costs", {})}
            shown = [k for k in costs if k != "authors_flops"]
            texts = ", ".join(f"{formatting.format_count(costs[key])} {key}" for key in shown)
            rating = "not rated" if found.rating is None else f"rating {found.rating:.4f}"
            progress.say(f"  {name}: {rating}, {texts}")
            progress.say(f"    {found.describe()}")
            progress.say(f"    {self.workdir.architecture(name)}")


def save_all(made, workdir):
    """Writes architecture files into a workdir; equal ones are left.

    Args:
        made: a dict from name to `architectures.Architecture`.
        workdir: a `workdirs.Workdir`.

    Raises:
        ValueError: a file holds something else; none is written then.
    """
    hint = "Move it away and search again, or give what is found another name with --name."
    absent = [
        name
        for name, one in made.items()
        if not architectures.is_saved(one, workdir.architecture(name), hint)
    ]
    for name in absent:
        architectures.save(made[name], workdir.architecture(name))


def save_if_changed(content, path):
    """Writes a JSON file unless it holds the same already."""
    if path.exists():
        try:
            if files.read_json(path, FRONT_KIND, "") == content:
                return
        except ValueError:
            pass  # broken: written anew
    files.write_json(path, content)
