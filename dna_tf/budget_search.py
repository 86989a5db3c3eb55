"""The search phase: from rating files to architecture files, one for each budget."""

from dna_tf import cost, limits, op_costs, progress, search_front, search_inputs, search_optima


def search_budgets(workdir, run_config, budgets=None, with_control=True, inputs=None):
    """Finds the best architecture for each budget, and a control for the chosen one.

    Args:
        workdir: a `workdir.Workdir` with ratings of all cells.
        run_config: its config.
        budgets: texts such as `"max_macs=350M"`; `None` takes those of the config.
        with_control: whether to draw `config.search.controls` random architectures of the
            cost of the config's chosen budget (or of the first of `budgets`), or with
            `config.search.controls_of` of each one.
        inputs: a `search_inputs.SearchInputs` to search instead of the workdir's own.

    Returns:
        The names of the architectures, controls last.

    Raises:
        ValueError: a budget cannot be met (the cheapest possible is named), or ratings
            are stale or incomplete.
        FileNotFoundError: cells are not rated.
    """
    section = run_config.search
    asked = tuple(section.budgets if budgets is None else budgets)
    parsed = {limits.budget_name(text): limits.parse_limits(text) for text in asked}
    inputs = inputs or search_inputs.SearchInputs(workdir, run_config)
    found = {name: search_optima.best(inputs.problem, one)[0] for name, one in parsed.items()}
    made = {}
    for name, one in parsed.items():
        made[name] = inputs.architecture(found[name], name, {"by": "search", "limits": one})
    if with_control:
        for chosen in _controlled(section, list(parsed), section.chosen if budgets is None else 0):
            origin = {"by": "control", "control_of": chosen}
            macs = made[chosen].costs()["macs"]
            drawn = inputs.draw_controls(found[chosen], macs, section.controls)
            for name, one in zip(_control_names(section, chosen), drawn, strict=True):
                made[name] = inputs.architecture(one, name, origin)
    front = inputs.front_content(search_front.front(inputs.problem, ("macs",)), ("macs",))
    search_inputs.save_all(made, workdir)
    search_inputs.save_if_changed(front, workdir.front)
    count, name = inputs.problem.num_architectures(), inputs.space.name
    progress.say(f"Searched all {count:,} architectures of {name!r}:")
    inputs.tell(made)
    return list(made)


def check_costs(run_config):
    """Checks that the config's files of costs can be read and its budgets limit known costs.

    It is for runs that come to the search hours later; `config.check_config` cannot do it, as a
    search may be given other files by `--cost_file`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file cannot be used, or a budget limits a cost that none of them has.
    """
    section = run_config.search
    known = [*cost.COSTS, *(op_costs.load(path).cost for path in section.cost_files)]
    for text in section.budgets:
        lower, upper = limits.sides(limits.parse_limits(text))
        limits.check_costs([*upper, *lower], known)


def chosen_name(run_config):
    """The name of the config's chosen student."""
    return _searched_names(run_config)[run_config.search.chosen]


def all_names(run_config):
    """The names of all that a search with the config finds, controls last."""
    names = _searched_names(run_config)
    controlled = _controlled(run_config.search, names, run_config.search.chosen)
    return names + [one for name in controlled for one in _control_names(run_config.search, name)]


def _searched_names(run_config):
    return [limits.budget_name(text) for text in run_config.search.budgets]


def _controlled(section, names, chosen):
    """Those of the searched that get controls."""
    if section.controls_of == "all":
        return names
    return [names[chosen]]


def _control_names(section, name):
    """`NAME_control`, `NAME_control2`, `NAME_control3` ..."""
    return [f"{name}_control{'' if n == 1 else n}" for n in range(1, section.controls + 1)]
