"""Reads what a search needs from a run, and writes architecture files and fronts into it."""

import contextlib
import functools
import operator

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, formatting, progress
from dna_tf.config import run_config
from dna_tf.phases import latency_commands
from dna_tf.search import control, finding
from dna_tf.space import architectures, op_costs, presets, ratings, spaces, tasks


class SearchInputs:
    """Ratings, costs and space of a run, ready to search.

    Args:
        workdir: a `workdirs.Workdir` with ratings.
        config: the run's config.
        weights: a factor on each block's ratings; `None` takes the config's.
        cost_files: files of op costs in addition to those of the config.
        skip_missing: whether to leave out paths without ratings and to search the rest.

    Attributes:
        workdir: the `Workdir`.
        space: the `spaces.SearchSpace`.
        seed: of the run, and so of its supernet.
        metric: the metric of its ratings.
        made_from: a fingerprint of what the ratings were made from.
        problem: the `problems.SearchProblem`.

    Raises:
        FileNotFoundError: cells are not rated, or a file of op costs does not exist.
        ValueError: ratings are stale, incomplete or broken, or costs do not fit.
    """

    def __init__(self, workdir, config, weights=None, cost_files=(), skip_missing=False):
        teacher = workdir.teacher_result()
        self.workdir, self._config, self.seed = workdir, config, config.seed
        self.space, self.metric = presets.get_space(config.space), config.search.metric
        task = tasks.Task.from_image_shape(teacher["image_shape"], teacher["num_classes"])
        tables = [op_costs.load(path) for path in (*config.search.cost_files, *cost_files)]
        self._cost_files = {table.cost: op_costs.identity(table) for table in tables}
        measured, self.made_from = self._ratings(skip_missing)
        try:
            self.problem = finding.search_problem(
                self.space,
                measured,
                task,
                weights=tuple(config.search.weights) if weights is None else weights,
                op_costs=tables,
                skip_missing=skip_missing,
            )
        except op_costs.MissingParts as error:
            # The workdir stands for the run's own size, channels and classes.
            raise latency_commands.missing_error(error, [f"--workdir={workdir}"]) from error

    def _ratings(self, skip_missing):
        """The ratings by `(block, cell)`, and a fingerprint of what they were made from."""
        measured, fingerprints, absent, short = {}, [], [], []
        for b, c, _ in self.space.cells():
            name = spaces.cell_name(b, c)
            path = self.workdir.ratings / f"{name}.json"
            if not path.exists():
                absent.append(f"{name} (no file {path})")
                continue
            values, made_from = self._fresh(path, b, c)
            fingerprints.append(made_from)
            count = self.space.num_paths(b, c)
            if len(values) < count:
                short.append(f"{name} has {len(values)} of {count} paths rated")
            measured[b, c] = values
        if not skip_missing:
            hint = (
                f"Rate the rest: {workdirs.command('ratings', self.workdir)}; or search without "
                "it: --skip_missing."
            )
            if absent:
                raise FileNotFoundError(f"Not rated: {', '.join([*absent, *short])}. {hint}")
            if short:
                raise ValueError(f"{', '.join(short)}: rating was interrupted. {hint}")
        return measured, files.fingerprint(fingerprints)

    def _fresh(self, path, block, cell):
        """The ratings of a cell in the config's metric, and the fingerprint in their file."""
        place, metric = (path, self.space, block, cell), self.metric
        name = spaces.cell_name(block, cell)
        first, *others = self.workdir.ratings_fingerprints(self._config, name)
        for made_from in others:
            with contextlib.suppress(ratings.StaleRatings):
                return ratings.load(*place, made_from, metric), made_from
        return ratings.load(*place, first, metric), first

    def architecture(self, choice, name, origin):
        """An `architectures.Architecture` of a `problems.Choice`.

        Args:
            choice: the choice.
            name: the architecture's name.
            origin: how it was chosen, JSON-able. What the run adds: space, seed, weights, and
                fingerprints of config, ratings and files of op costs.
        """
        problem = self.problem
        sections = workdirs.sections_until("architectures")
        origin = {
            **origin,
            "space": self.space.name,
            "seed": self._config.seed,
            "weights": list(problem.weights),
            "config": run_config.config_fingerprint(self._config, sections),
            "ratings": self.made_from,
        }
        if self._cost_files:
            origin["costs"] = problem.uncounted_costs(choice)
            origin["cost_files"] = self._cost_files
        left_out = problem.left_out()
        if left_out:
            origin["left_out"] = {spaces.cell_name(*key): n for key, n in left_out.items()}
        return problem.architecture(choice, name, origin)

    def draw_controls(self, choice, macs, count):
        """Draws architectures of about the same MACs at random, all different.

        Args:
            choice: the searched `problems.Choice`, which is not drawn.
            macs: the MACs to come near.
            count: how many to draw.

        Returns:
            A list of `problems.Choice`.

        Raises:
            control.NoControl: no draw comes near enough.
        """
        section, drawn = self._config.search, [(choice.cells, choice.path_indices)]
        for number in range(count):
            seed = self._config.seed + number
            try:
                pair = control.random_within(
                    self.problem, macs, section.control_tolerance, seed, forbidden=drawn
                )
            except control.NoControl as error:
                raise control.NoControl(
                    f"{error} The tolerance is config.search.control_tolerance."
                ) from None
            drawn.append(pair)
        return [self.problem.choices(np.array([c]), np.array([p]))[0] for c, p in drawn[1:]]

    def front_content(self, choices, names, about=None):
        """The content of a front's file.

        Args:
            choices: the front, a list of `problems.Choice`.
            names: the costs that the front trades against the rating.
            about: further entries, JSON-able: limits and rounding.
        """
        entries = []
        for choice in choices:
            entry = {"rating": self._measured_rating(choice), "costs": choice.costs}
            if set(self.problem.weights) != {1.0}:
                entry["weighted_rating"] = choice.rating
            entries.append({**entry, "blocks": self.problem.describe(choice)})
        return {
            "kind": workdirs.FRONT_KIND,
            "space": self.space.name,
            "num_architectures": self.problem.num_architectures(),
            "front_costs": list(names),
            "weights": list(self.problem.weights),
            "ratings": self.made_from,
            **(about or {}),
            "entries": entries,
        }

    def _measured_rating(self, choice):
        """The sum of the blocks' ratings without weights."""
        pairs = enumerate(zip(choice.cells, choice.path_indices, strict=True))
        # Added left to right, as architectures add theirs: sum() rounds otherwise.
        return functools.reduce(
            operator.add, [float(self.problem.measured[b, c][p]) for b, (c, p) in pairs]
        )

    def print_architectures(self, searched):
        """Prints ratings, costs, blocks and files: of a dict from name to `Architecture`."""
        for name, architecture in searched.items():
            costs = {**architecture.costs(), **architecture.origin.get("costs", {})}
            texts = ", ".join(
                f"{formatting.format_count(value)} {cost}"
                for cost, value in costs.items()
                if cost != "authors_flops"
            )
            rating = architecture.rating
            text = "not rated" if rating is None else f"rating {rating:.4f}"
            progress.say(f"  {name}: {text}, {texts}")
            progress.say(f"    {architecture.describe()}")
            progress.say(f"    {self.workdir.architecture(name)}")


def save_all(searched, workdir):
    """Writes architecture files into a workdir; equal ones are left as they are.

    Args:
        searched: a dict from name to `architectures.Architecture`.
        workdir: a `workdirs.Workdir`.

    Raises:
        ValueError: a file holds something else; nothing is written then.
    """
    hint = "Move it away and search again, or give the new architecture another name with --name."
    absent = [
        name
        for name, architecture in searched.items()
        if not architectures.is_saved(architecture, workdir.architecture(name), hint)
    ]
    for name in absent:
        architectures.save(searched[name], workdir.architecture(name))


def save_if_changed(content, path):
    """Writes the JSON file of a front unless it has the same content already."""
    if path.exists():
        try:
            if files.read_json(path, workdirs.FRONT_KIND, "") == content:
                return
        except ValueError:
            pass  # broken: written anew
    files.write_json(path, content)
