"""The report's section on the worth of the search: searched students against random controls."""

import dataclasses

import numpy as np

from dna_tf.common import formatting, rank_correlation, statistics
from dna_tf.report import markup, run_data
from dna_tf.report.markup import paragraph
from dna_tf.report.number_text import accuracy_cell, count_cell, percent, points, signed

# The order of fewer trained networks than these is left out: it would mean nothing.
LEAST_RANKED = 4


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A searched student against its controls.

    Args:
        searched: the name of the student.
        controls: the names of the random architectures of its cost.
        searched_accuracies: the accuracy of each seed.
        control_accuracies: with one control the accuracy of each seed; with several the mean
            of each control over its seeds.
        difference: mean of the searched minus mean of the controls.
    """

    searched: str
    controls: tuple
    searched_accuracies: tuple
    control_accuracies: tuple
    difference: statistics.Difference

    @property
    def against(self):
        """The controls in a word or two: a name, or `"3 random ones"`."""
        return self.controls[0] if len(self.controls) == 1 else f"{len(self.controls)} random ones"

    @property
    def beaten(self):
        """The number of controls with a lower mean than the searched student."""
        ours = np.mean(self.searched_accuracies)
        if len(self.controls) == 1:
            return int(ours > np.mean(self.control_accuracies))
        return sum(int(ours > theirs) for theirs in self.control_accuracies)


def comparisons(run):
    """A `Comparison` for each searched student that is trained and has trained controls."""
    compared = []
    for name in run_data.ordered_names(run):
        controls = tuple(
            control
            for control in run.controls()
            if run.architectures[control].origin.get("control_of") == name
            and run_data.accuracies(run, control)
        )
        ours = run_data.accuracies(run, name)
        if not controls or not ours:
            continue
        theirs = [run_data.accuracies(run, control) for control in controls]
        # Each of several controls counts once: the question is about architectures, not seeds.
        if len(theirs) == 1:
            theirs = theirs[0]
        else:
            theirs = tuple(float(np.mean(shares)) for shares in theirs)
        compared.append(Comparison(name, controls, ours, theirs, statistics.welch(ours, theirs)))
    return compared


def section(run):
    """The section, as HTML."""
    compared = comparisons(run)
    if not compared:
        part = "students" if run.controls() else "architectures"
        note = run_data.missing(part, "A searched student and its control are not trained yet.")
        return markup.note(note.text, note.command)
    parts = [
        paragraph(
            "A control is an architecture of about the same MACs, drawn at random and trained in "
            "the same way. Only the lead of a searched student over its controls speaks for the "
            "search."
        )
    ]
    parts.append(_table(run, compared))
    parts += [paragraph(verdict(comparison)) for comparison in compared]
    about_interval = (
        "The interval is Welch's: over seeds or, with several controls, over the controls. There "
        "are few of them, so the interval is wide, and it assumes normally distributed "
        "accuracies. It is valid for these test images only."
    )
    if any(len(comparison.controls) == 1 for comparison in compared):
        about_interval += " One control is one random draw: another one may do better or worse."
    parts.append(paragraph(about_interval, "soft"))
    ranked = _rankings(run)
    if ranked:
        parts += ["<h3>Does the rating order networks better than their cost does?</h3>", ranked]
    return "".join(parts)


def summary(run):
    """Summarises the result of a run without overstating it: a list of sentences."""
    name = run.chosen()
    if name is None:
        return ["Nothing was searched yet, so there is no result to summarise."]
    architecture = run.architectures[name]
    costs = architecture.costs()
    limits = run_data.limits_in_words(architecture.origin.get("limits"))
    cost_text = (
        f"{formatting.format_count(costs['params'])} parameters and "
        f"{formatting.format_count(costs['macs'])} MACs"
    )
    shares = run_data.accuracies(run, name)
    if not shares:
        return [
            f"The search chose {name} ({limits}), a student with {cost_text}. It is not trained "
            "yet, so its accuracy is unknown: its rating alone says little."
        ]
    mean, _ = statistics.mean_and_std(shares)
    seeds = f"mean of {len(shares)} seeds" if len(shares) > 1 else "one seed"
    first = f"The chosen student {name} ({limits}) reaches {percent(mean)} test "
    first += f"accuracy ({seeds}) with {cost_text}"
    teacher = run.teacher or {}
    if teacher.get("test_accuracy") is not None:
        gap = 100 * (mean - teacher["test_accuracy"])
        side = "above" if gap >= 0 else "below"
        of_teacher = percent(teacher["test_accuracy"])
        first += f": {abs(gap):.2f} points {side} its teacher ({of_teacher})"
        parts = [
            f"{100 * costs[key] / teacher[key]:.3g} % of its {word}"
            for key, word in (("params", "parameters"), ("macs", "MACs"))
            if teacher.get(key)
        ]
        first += f", at {' and '.join(parts)}" if parts else ""
    compared = [c for c in comparisons(run) if c.searched == name]
    if not compared:
        return [f"{first}.", "There is no trained control of the same cost to compare it with."]
    return [f"{first}.", *(f"{difference_text(c)} {verdict(c)}" for c in compared)]


def difference_text(comparison):
    """The difference of a comparison with its uncertainty, in one sentence."""
    difference = comparison.difference
    text = (
        f"Searched minus control ({comparison.searched} − {comparison.against}): "
        f"{points(difference.value)} percentage points"
    )
    if difference.low is None:
        return f"{text}, without an interval."
    several, total = len(comparison.controls) > 1, len(comparison.control_accuracies)
    text += (
        f", 95 % interval {points(difference.low)} to "
        f"{points(difference.high)} (Welch, {len(comparison.searched_accuracies)} "
    )
    if not several:
        return f"{text}against {total} seeds)."
    return f"{text}seeds against {total} architectures); above {comparison.beaten} of {total}."


def verdict(comparison):
    """The conclusion from a comparison, in one sentence."""
    difference, several = comparison.difference, len(comparison.controls) > 1
    if min(len(comparison.searched_accuracies), len(comparison.control_accuracies)) < 2:
        return "One seed on a side tells nothing about the noise: no conclusion."
    if difference.low is None:
        return "All seeds have the same accuracy, so the noise is unknown: no conclusion."
    if difference.low > 0:
        noise = "the spread of random ones" if several else "the noise of the seeds"
        return f"The searched student is better by more than {noise}."
    if difference.high < 0:
        if several:
            return "Random ones of the same cost are better by more than their spread."
        return "The control is better by more than the noise of the seeds."
    return (
        "That is within noise: these "
        + ("random ones" if several else "seeds")
        + " do not show that the searched student is better or worse than a random one of the "
        "same cost."
    )


def rank_agreement(run):
    """Measures how well rating and cost order the trained networks that have a rating.

    Returns:
        `None` for fewer than `LEAST_RANKED` networks, or `(count, taus)`: Kendall's tau, a
        `rank_correlation.Interval`, of the mean test accuracy with `"rating"` (negated, as low
        ratings are good), `"macs"` and `"params"`.
    """
    means, trained = [], []
    for name in run_data.ordered_names(run):
        architecture, shares = run.architectures.get(name), run_data.accuracies(run, name)
        if architecture is not None and architecture.rating is not None and shares:
            means.append(np.mean(shares))
            trained.append(architecture)
    if len(trained) < LEAST_RANKED:
        return None
    values = {"rating": [-architecture.rating for architecture in trained]}
    for cost in ("macs", "params"):
        values[cost] = [architecture.costs()[cost] for architecture in trained]
    taus = {name: rank_correlation.tau(numbers, means) for name, numbers in values.items()}
    return len(trained), taus


def _rankings(run):
    ranked = rank_agreement(run)
    if ranked is None:
        return ""
    count, taus = ranked
    heads = ["networks", "low rating", "many MACs", "many parameters"]
    note = (
        "Kendall's tau with the mean test accuracy: +1 is the same order, 0 is no relation. MACs "
        "and parameters are the baselines that a rating has to beat. Below each is its 95 % "
        "interval, a bootstrap over networks; it is wide where they are few."
    )
    row = [str(count)]
    for tau in taus.values():
        row.append((signed(tau.value), f"{signed(tau.low)} to {signed(tau.high)}", ""))
    return markup.table(heads, [row]) + paragraph(note, "soft")


def _table(run, compared):
    heads = ["searched − control", "MACs of control", "searched", "control"]
    heads += ["difference, points", "95 % Welch interval"]
    rows = []
    for comparison in compared:
        searched, difference = comparison.searched, comparison.difference
        macs = np.mean([run.architectures[name].costs()["macs"] for name in comparison.controls])
        row = [f"{searched} − {comparison.against}", _relative_cell(run, searched, int(macs))]
        unit = "control" if len(comparison.controls) > 1 else "seed"
        row.append(accuracy_cell(comparison.searched_accuracies))
        row.append(accuracy_cell(comparison.control_accuracies, unit))
        row.append(points(difference.value))
        if difference.low is None:
            row.append("–")
        else:
            interval = f"{points(difference.low)} to {points(difference.high)}"
            row.append((interval, f"{difference.degrees:.1f} degrees of freedom", ""))
        rows.append(row)
    return markup.table(heads, rows, "wide")


def _relative_cell(run, searched, macs):
    if searched not in run.architectures:
        return count_cell(macs)
    relative = macs / run.architectures[searched].costs()["macs"] - 1
    return (formatting.format_count(macs), f"{points(relative)} %", f"{macs:,}")
