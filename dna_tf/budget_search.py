"""The search phase: from rating files to architecture files, one for each budget.

No TensorFlow is imported here, so that a search starts and ends at once.
"""

import functools

from dna_tf import (
    architecture,
    config,
    control,
    cost,
    files,
    limits,
    progress,
    ratings,
    search,
    search_space,
)
from dna_tf import workdir as workdirs

FRONT_KIND = "dna_tf.front"


def search_budgets(workdir, run_config, budgets=None, with_control=True):
    """Finds the best architecture for each budget, and a control for the chosen one.

    Args:
        workdir: a `workdir.Workdir` with ratings of all cells.
        run_config: its config.
        budgets: texts such as `"max_macs=350M"`; `None` takes those of the config.
        with_control: whether to draw a control for the config's chosen budget (or for
            the first of `budgets`).

    Returns:
        The names of the architectures, controls last.

    Raises:
        ValueError: a budget cannot be met (the cheapest possible is named), or ratings
            are stale or incomplete.
    """
    section = run_config.search
    asked = tuple(section.budgets if budgets is None else budgets)
    parsed = {limits.budget_name(text): limits.parse_limits(text) for text in asked}
    problem = _Problem(workdir, run_config)
    found = {
        name: problem.search(max_costs, front_costs=())[0] for name, max_costs in parsed.items()
    }
    made = {}
    for name, max_costs in parsed.items():
        made[name] = problem.architecture(found[name], name, {"by": "search", "limits": max_costs})
    if with_control:
        chosen = list(parsed)[section.chosen if budgets is None else 0]
        drawn = problem.draw_control(found[chosen], made[chosen].costs()["macs"])
        origin = {"by": "control", "control_of": chosen}
        made[f"{chosen}_control"] = problem.architecture(drawn, f"{chosen}_control", origin)
    for name, found_architecture in made.items():
        _save_unless_there(found_architecture, workdir.architecture(name))
    if not workdir.front.exists():
        _write_front(workdir, problem)
    _report(made, workdir, problem)
    return list(made)


def chosen_names(run_config):
    """The names of the config's chosen student and of its control."""
    names = [limits.budget_name(text) for text in run_config.search.budgets]
    chosen = names[run_config.search.chosen]
    return chosen, f"{chosen}_control"


def all_names(run_config):
    """The names of all that a search with the config finds, the control last."""
    names = [limits.budget_name(text) for text in run_config.search.budgets]
    return [*names, chosen_names(run_config)[1]]


class _Problem:
    """Ratings, costs and space of a workdir, ready to search."""

    def __init__(self, workdir, run_config):
        teacher = workdir.teacher_result()
        self.space = search_space.space_of(run_config)
        made_from = functools.partial(workdir.ratings_made_from, run_config)
        self.ratings = ratings.load_all(workdir.ratings, self.space, made_from)
        names = [ratings.cell_name(b, c) for b, c, _ in self.space.cells()]
        self.made_from = files.fingerprint([made_from(name) for name in names])
        size, _, channels = teacher["image_shape"]
        self._network = (size, channels, teacher["num_classes"])
        self.table = cost.cost_table(self.space, *self._network)
        self._config = run_config

    def search(self, max_costs, front_costs):
        weights = tuple(self._config.search.weights) or None
        return search.search(self.ratings, self.table, self.space, max_costs, front_costs, weights)

    def draw_control(self, found, macs):
        cells, paths = control.random_within(
            self.table,
            self.space,
            macs,
            self._config.search.control_tolerance,
            self._config.seed,
            forbidden=[(found.cells, found.path_indices)],
        )
        return search.Found(cells, paths, rating=0.0, costs={})

    def architecture(self, found, name, origin):
        origin = {
            **origin,
            "space": self.space.name,
            "seed": self._config.seed,
            "weights": list(self._config.search.weights),
            "config": config.config_fingerprint(
                self._config, workdirs.sections_until("architectures")
            ),
            "ratings": self.made_from,
        }
        return search.to_architecture(found, self.ratings, self.space, name, *self._network, origin)


def _save_unless_there(found, path):
    """Writes an architecture file; an equal one is left, a different one is not overwritten."""
    if path.exists():
        if architecture.load(path) == found:
            return
        raise ValueError(
            f"The file {path} holds another architecture than this search found. Move it away "
            "and search again."
        )
    architecture.save(found, path)


def _write_front(workdir, problem):
    entries = []
    for found in problem.search({}, ("macs",)):
        made = problem.architecture(found, "front", {})
        entries.append({"rating": made.rating, "costs": made.costs(), "blocks": made.describe()})
    files.write_json(
        workdir.front,
        {
            "kind": FRONT_KIND,
            "space": problem.space.name,
            "num_architectures": problem.space.num_architectures(),
            "front_costs": ["macs"],
            "entries": entries,
        },
    )


def _report(made, workdir, problem):
    space = problem.space
    progress.say(f"Searched all {space.num_architectures():,} architectures of {space.name!r}:")
    for name, found in made.items():
        costs = found.costs()
        shown = ", ".join(f"{limits.format_count(costs[key])} {key}" for key in ("macs", "params"))
        progress.say(f"  {name}: rating {found.rating:.4f}, {shown}")
        progress.say(f"    {found.describe()}")
        progress.say(f"    {workdir.architecture(name)}")
