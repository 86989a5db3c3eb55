"""Runs one search for given limits, prints and saves its result."""

import dataclasses
import re

import numpy as np

from dna_tf.common import checks, formatting, progress
from dna_tf.phases import rating_noise, search_inputs, searching
from dna_tf.search import exact, finding, fronts, tightness
from dna_tf.space import cost_limits

_PRINTED = 10  # entries of a front


@dataclasses.dataclass(frozen=True)
class Question:
    """What to search for.

    Args:
        name: name of the first architecture.
        limits: a `cost_limits.Limits`.
        penalties: a dict from cost name to `(factor, target)`.
        top: how many architectures to find.
        max_shared: how many layers two of them may share; `None` does not limit it.
        front: costs to trade against the rating in a whole front; `()` makes none.
        rounding: of the front, as `fronts.front` takes it.

    Raises:
        ValueError: the name cannot name files, or the number is not from 1 to `exact.MOST`.
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
        checks.check_file_name("an architecture", self.name)
        if self.name == "front":
            raise ValueError("The name 'front' is that of the front's file. Give another one.")

    def names(self):
        """The names of the architectures: NAME, NAME_2, NAME_3, ..."""
        return [self.name, *(f"{self.name}_{number}" for number in range(2, self.top + 1))]


def name_of(limits, penalties=(), max_shared=None):
    """The name of a question's first architecture, made from the user's text.

    Args:
        limits: a `cost_limits.Limits`.
        penalties: penalties as texts.
        max_shared: as `Question` takes it.
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
    """Searches, writes architecture files and prints the result.

    Args:
        inputs: a `search_inputs.SearchInputs`.
        question: a `Question`.

    Returns:
        The names of the architectures.

    Raises:
        ValueError: an argument is invalid, no architecture meets the limits, or other files
            have the names; nothing is written then.
    """
    problem, limits = inputs.problem, question.limits
    penalties, max_shared = question.penalties, question.max_shared
    # The front first: a user who asks for it wants to know at once if it is too large.
    front = _front(problem, question) if question.front else None
    with searching.naming_cost_files():
        choices = finding.best_choices(problem, limits, question.top, penalties, max_shared)
    searched = {}
    for number, (name, choice) in enumerate(zip(question.names(), choices, strict=False), 1):
        origin = finding.search_origin(choice, number, limits, question.top, penalties, max_shared)
        searched[name] = inputs.architecture(choice, name, origin)
    search_inputs.save_all(searched, inputs.workdir)
    progress.say(
        f"Searched all {problem.num_architectures():,} architectures of {inputs.space.name!r} "
        f"with {limits.text()}:"
    )
    inputs.print_architectures(searched)
    if len(choices) < question.top:
        progress.say(f"  There are only {len(choices)} such architectures, not {question.top}.")
    rating_noise.print_gaps(inputs, list(searched), choices)
    if limits:
        _print_tightness(problem, question, choices[0])
    if front is not None:
        _write_front(inputs, question, front)
    return list(searched)


def _front(problem, question):
    with searching.naming_cost_files():
        try:
            return fronts.front(problem, question.front, question.limits, question.rounding)
        except fronts.FrontTooLarge as error:
            raise fronts.FrontTooLarge(
                f"{error} On the command line: --round={error.rounding:g}.", error.rounding
            ) from None


def _print_tightness(problem, question, best):
    progress.say("How tight the limits are, and what loosening one of them would bring:")
    for row in tightness.tightness(problem, question.limits, best, question.penalties):
        used, value = formatting.format_count(row.used), formatting.format_count(row.value)
        sign = "+" if row.limit.startswith("max_") else "-"
        steps = ", ".join(
            f"{sign}{step.share:.0%}: {f'rating {-step.gain:.4f}' if step.gain else 'nothing'}"
            for step in row.relaxed
        )
        price = f"{row.price * abs(row.value) / 100:.4f}"
        effect = f"shadow price {price} for 1 %" if float(price) else "no effect"
        progress.say(f"  {row.limit}={value}: {used} used, {row.room:.1%} left, {effect}; {steps}")


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
    count = min(_PRINTED, len(front))
    for i in np.unique(np.linspace(0, len(front) - 1, count).astype(int)):
        costs = ", ".join(
            f"{formatting.format_count(front[i].costs[name])} {name}" for name in names
        )
        progress.say(f"  rating {front[i].rating:.4f}, {costs}")
    progress.say(f"  {path}")
