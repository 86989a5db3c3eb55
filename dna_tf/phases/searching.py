"""The search phase: from rating files to architecture files, one for each budget."""

import contextlib

from dna_tf.common import progress
from dna_tf.phases import search_inputs
from dna_tf.search import finding, fronts
from dna_tf.space import cost_limits, cost_tables, op_costs


def search_budgets(workdir, config, budgets=None, with_control=True, inputs=None):
    """Finds the best architecture for each budget, and a control for the chosen one.

    Args:
        workdir: a `workdirs.Workdir` with ratings of all cells.
        config: the run's config.
        budgets: texts such as `"max_macs=350M"`; `None` takes those of the config.
        with_control: whether to draw `config.search.controls` random architectures of the
            cost of the config's chosen budget (or of the first of `budgets`); with
            `config.search.controls_of="all"`, of the cost of each one.
        inputs: a `search_inputs.SearchInputs` to search instead of the workdir's own.

    Returns:
        The names of the architectures, controls last.

    Raises:
        ValueError: a budget cannot be met (the cheapest possible is named), or ratings
            are stale or incomplete.
        FileNotFoundError: cells are not rated.
    """
    section = config.search
    texts = section.budgets if budgets is None else budgets
    parsed = {limits.name(): limits for limits in map(cost_limits.Limits, texts)}
    inputs = inputs or search_inputs.SearchInputs(workdir, config)
    choices, searched = {}, {}
    with naming_cost_files():
        for name, limits in parsed.items():
            (choices[name],) = finding.best_choices(inputs.problem, limits)
            origin = finding.search_origin(choices[name], 1, limits)
            searched[name] = inputs.architecture(choices[name], name, origin)
    if with_control:
        for name in _controlled(section, list(parsed), section.chosen if budgets is None else 0):
            origin = {"by": "control", "control_of": name}
            macs = searched[name].costs()["macs"]
            drawn = inputs.draw_controls(choices[name], macs, section.controls)
            for control_name, choice in zip(_control_names(section, name), drawn, strict=True):
                searched[control_name] = inputs.architecture(choice, control_name, origin)
    front = inputs.front_content(fronts.front(inputs.problem, ("macs",)), ("macs",))
    search_inputs.save_all(searched, workdir)
    search_inputs.save_if_changed(front, workdir.front)
    count, space = inputs.problem.num_architectures(), inputs.space.name
    progress.say(f"Searched all {count:,} architectures of {space!r}:")
    inputs.print_architectures(searched)
    return list(searched)


@contextlib.contextmanager
def naming_cost_files():
    """Adds to the error about an unknown cost how a run is given files of op costs."""
    try:
        yield
    except cost_limits.UnknownCost as error:
        raise cost_limits.UnknownCost(
            f"{error} Name a file in config.search.cost_files or with --cost_file."
        ) from None


def check_costs(config):
    """Checks that the config's files of costs can be read and its budgets limit known costs.

    A long run calls it first, and so fails at its start instead of hours later, at the search.
    `run_config.check_config` cannot do it, as `tools.search` takes further files.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file cannot be used, or a budget limits a cost that no file has.
    """
    section = config.search
    cost_names = [*cost_tables.COSTS, *(op_costs.load(path).cost for path in section.cost_files)]
    with naming_cost_files():
        for limits in map(cost_limits.Limits, section.budgets):
            lower, upper = limits.sides()
            cost_limits.check_costs([*upper, *lower], cost_names)


def chosen_name(config):
    """The name of the config's chosen student."""
    return _searched_names(config)[config.search.chosen]


def all_names(config):
    """The names of all architectures that a search with the config finds, controls last."""
    names = _searched_names(config)
    controlled = _controlled(config.search, names, config.search.chosen)
    return names + [
        control_name for name in controlled for control_name in _control_names(config.search, name)
    ]


def _searched_names(config):
    return [cost_limits.Limits(text).name() for text in config.search.budgets]


def _controlled(section, names, chosen):
    """Names of the searched architectures for which controls are drawn."""
    return names if section.controls_of == "all" else [names[chosen]]


def _control_names(section, name):
    """`NAME_control`, `NAME_control2`, `NAME_control3` ..."""
    return [f"{name}_control{'' if n == 1 else n}" for n in range(1, section.controls + 1)]
