"""The search phase: from rating files to architecture files, one for each budget."""
# MERGED: 'One question to the search, as a user puts it, and the answer: files and a story.'

import contextlib
import dataclasses
import re

import numpy as np

from dna_tf.common import formatting, progress
from dna_tf.phases import search_inputs
from dna_tf.search import diverse, exact, fronts, tightness
from dna_tf.space import cost_limits, cost_tables, op_costs


def search_budgets(workdir, run_config, budgets=None, with_control=True, inputs=None):
    """Finds the best architecture for each budget, and a control for the chosen one.

    Args:
        workdir: a `workdirs.Workdir` with ratings of all cells.
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
    texts = section.budgets if budgets is None else budgets
    parsed = {limits.name(): limits for limits in map(cost_limits.Limits, texts)}
    inputs = inputs or search_inputs.SearchInputs(workdir, run_config)
    with _naming_cost_files():
        found = {name: exact.best(inputs.problem, limits)[0] for name, limits in parsed.items()}
    made = {}
    for name, limits in parsed.items():
        origin = {"by": "search", "limits": dict(limits)}
        made[name] = inputs.architecture(found[name], name, origin)
    if with_control:
        for chosen in _controlled(section, list(parsed), section.chosen if budgets is None else 0):
            origin = {"by": "control", "control_of": chosen}
            macs = made[chosen].costs()["macs"]
            drawn = inputs.draw_controls(found[chosen], macs, section.controls)
            for name, one in zip(_control_names(section, chosen), drawn, strict=True):
                made[name] = inputs.architecture(one, name, origin)
    front = inputs.front_content(fronts.front(inputs.problem, ("macs",)), ("macs",))
    search_inputs.save_all(made, workdir)
    search_inputs.save_if_changed(front, workdir.front)
    count, name = inputs.problem.num_architectures(), inputs.space.name
    progress.say(f"Searched all {count:,} architectures of {name!r}:")
    inputs.tell(made)
    return list(made)


@contextlib.contextmanager
def _naming_cost_files():
    """Adds to the error about an unknown cost how a run is given files of op costs."""
    try:
        yield
    except cost_limits.UnknownCost as error:
        raise cost_limits.UnknownCost(
            f"{error} Name a file in config.search.cost_files or with --cost_file."
        ) from None


def check_costs(run_config):
    """Checks that the config's files of costs can be read and its budgets limit known costs.

    It is for runs that come to the search hours later; `run_config.check_config` cannot do it, as a
    search may be given other files by `--cost_file`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file cannot be used, or a budget limits a cost that none of them has.
    """
    section = run_config.search
    known = [*cost_tables.COSTS, *(op_costs.load(path).cost for path in section.cost_files)]
    with _naming_cost_files():
        for limits in map(cost_limits.Limits, section.budgets):
            lower, upper = limits.sides()
            cost_limits.check_costs([*upper, *lower], known)


def chosen_name(run_config):
    """The name of the config's chosen student."""
    return _searched_names(run_config)[run_config.search.chosen]


def all_names(run_config):
    """The names of all that a search with the config finds, controls last."""
    names = _searched_names(run_config)
    controlled = _controlled(run_config.search, names, run_config.search.chosen)
    return names + [one for name in controlled for one in _control_names(run_config.search, name)]


def _searched_names(run_config):
    return [cost_limits.Limits(text).name() for text in run_config.search.budgets]


def _controlled(section, names, chosen):
    """Those of the searched that get controls."""
    if section.controls_of == "all":
        return names
    return [names[chosen]]


def _control_names(section, name):
    """`NAME_control`, `NAME_control2`, `NAME_control3` ..."""
    return [f"{name}_control{'' if n == 1 else n}" for n in range(1, section.controls + 1)]


_SHOWN = 10  # entries of a front that are printed


@dataclasses.dataclass(frozen=True)
class Question:
    """What to find.

    Args:
        name: of the first architecture.
        limits: a `cost_limits.Limits`.
        penalties: a dict from cost name to `(factor, target)`.
        top: how many architectures.
        max_shared: how many layers two of them may share; `None` is any number.
        front: costs to trade against the rating in a whole front; `()` makes none.
        rounding: of the front, as `fronts.front` has it.
    """

    name: str
    limits: cost_limits.Limits
    penalties: dict = dataclasses.field(default_factory=dict)
    top: int = 1
    max_shared: int | None = None
    front: tuple = ()
    rounding: float = 0.0

    def __post_init__(self):
        exact.check_k(self.top)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise ValueError(
                "A name has letters, digits, dots, _ and - only, because it names files. "
                f"Received: {self.name!r}"
            )
        if self.name == "front":
            raise ValueError("The name 'front' is that of the front's file. Give another one.")

    def names(self):
        """The names of the architectures: NAME, NAME_2, NAME_3, ..."""
        return [self.name, *(f"{self.name}_{number}" for number in range(2, self.top + 1))]


def name_of(limits, penalties=(), max_shared=None):
    """The name of what a question finds, made of what the user wrote.

    Args:
        limits: a `cost_limits.Limits`; its name may be `""`.
        penalties: penalties as texts.
        max_shared: as a `Question` has it.
    """
    parts = [limits.name()] if limits else []
    parts += [f"penalty_{text}" for text in penalties]
    parts += [] if max_shared is None else [f"share_{max_shared}"]
    return re.sub(r"[^A-Za-z0-9.]+", "_", "_".join(parts) or "best").strip("_")


def parse_penalty(text):
    """Reads a penalty: `"macs=1e-9"`, or above a target only, `"macs=1e-8@350M"`.

    Returns:
        `(name, (factor, target))`; the factor is in ratings per unit of the cost.

    Raises:
        ValueError: it cannot be read.
    """
    name, equals, rest = (part.strip() for part in str(text).partition("="))
    factor, _, target = (part.strip() for part in rest.partition("@"))
    try:
        return name, (float(factor), formatting.parse_amount(target) if target else 0.0)
    except ValueError:
        raise ValueError(
            "A penalty is written as a cost and what one unit of it adds to the rating, such as "
            f"macs=1e-9, or macs=1e-8@350M for units above a target. Received: {text!r}"
        ) from None


def answer(inputs, question):
    """Searches, writes the files and says what was found.

    Args:
        inputs: a `search_inputs.SearchInputs`.
        question: a `Question`.

    Returns:
        The names of the architectures.

    Raises:
        ValueError: the question cannot be, has no answer, or files are in the way; nothing
            is written then.
    """
    problem, workdir = inputs.problem, inputs.workdir
    asked = (question.limits, question.penalties)
    front = None
    with _naming_cost_files():
        # The front first: a user who asks for it wants to know at once if it is too large.
        if question.front:
            front = fronts.front(problem, question.front, question.limits, question.rounding)
        if question.max_shared is None:
            found = exact.best(problem, question.limits, question.top, question.penalties)
        else:
            found = diverse.best_differing(problem, question.max_shared, question.top, *asked)
    names = question.names()[: len(found)]
    made = {
        name: inputs.architecture(one, name, _origin(question, one, number))
        for number, (name, one) in enumerate(zip(names, found, strict=True), 1)
    }
    search_inputs.save_all(made, workdir)
    progress.say(
        f"Searched all {problem.num_architectures():,} architectures of {inputs.space.name!r} "
        f"with {question.limits.text()}:"
    )
    inputs.tell(made)
    if len(found) < question.top:
        progress.say(
            f"  There are only {len(found)} such architectures; {question.top} were asked."
        )
    _tell_tightness(problem, question, found[0])
    if front is not None:
        _write_front(inputs, question, front)
    return names


def _origin(question, found, number):
    origin = {"by": "search", "limits": dict(question.limits)}
    if question.penalties:
        origin["penalties"] = {key: list(pair) for key, pair in question.penalties.items()}
        origin["penalty"] = found.penalty
    if question.top > 1:
        origin["rank"] = number
    if question.max_shared is not None:
        origin["max_shared"] = question.max_shared
    return origin


def _tell_tightness(problem, question, best):
    if not question.limits:
        return
    progress.say("How tight the limits are, and what loosening one of them would bring:")
    for row in tightness.tightness(problem, question.limits, best, question.penalties):
        used, value = formatting.format_count(row.used), formatting.format_count(row.value)
        sign = "+" if row.limit.startswith("max_") else "-"
        steps = ", ".join(
            f"{sign}{one.share:.0%}: {f'rating {-one.gain:.4f}' if one.gain else 'nothing'}"
            for one in row.relaxed
        )
        price = f"{row.price * abs(row.value) / 100:.4f}"
        felt = f"shadow price {price} for 1 %" if float(price) else "not felt"
        progress.say(f"  {row.limit}={value}: {used} used, {row.room:.1%} left, {felt}; {steps}")


def _write_front(inputs, question, front):
    names = tuple(dict.fromkeys(question.front))
    about = {"limits": dict(question.limits), "rounding": question.rounding}
    path = inputs.workdir.fronts / f"{'_'.join(names)}.json"
    search_inputs.save_if_changed(inputs.front_content(front, names, about), path)
    loss = (
        f"rounded: every architecture has an entry with at most its rating, dearer by less than "
        f"{question.rounding:.3%} in each cost"
        if question.rounding
        else "exact"
    )
    progress.say(f"Front of rating against {', '.join(names)} ({len(front):,} entries, {loss}):")
    picked = np.unique(np.linspace(0, len(front) - 1, min(_SHOWN, len(front))).astype(int))
    for i in picked:
        costs = ", ".join(
            f"{formatting.format_count(front[i].costs[name])} {name}" for name in names
        )
        progress.say(f"  rating {front[i].rating:.4f}, {costs}")
    progress.say(f"  {path}")
