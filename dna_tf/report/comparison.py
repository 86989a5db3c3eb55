"""What the search is worth: searched students against random ones of the same cost."""

import dataclasses

import numpy as np

from dna_tf.common import formatting, statistics
from dna_tf.report import html, results, run_data
from dna_tf.report.html import paragraph

# Fewer trained networks than these say nothing about an order.
LEAST_RANKED = 4


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A searched student against its controls.

    Args:
        searched: its name.
        controls: the names of the random architectures of its cost.
        searched_accuracies: for each seed.
        control_accuracies: for each seed of the only control; means over seeds, one for each
            control, of several.
        difference: of the two means.
    """

    searched: str
    controls: tuple
    searched_accuracies: tuple
    control_accuracies: tuple
    difference: statistics.Difference

    @property
    def against(self):
        """The controls in a word or two."""
        return self.controls[0] if len(self.controls) == 1 else f"{len(self.controls)} random ones"

    @property
    def beaten(self):
        """How many of the controls have a lower mean than the searched student."""
        ours = np.mean(self.searched_accuracies)
        if len(self.controls) == 1:
            return int(ours > np.mean(self.control_accuracies))
        return sum(int(ours > theirs) for theirs in self.control_accuracies)


def comparisons(run):
    """A `Comparison` for each searched student that is trained, as its controls are."""
    found = []
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
        # Of several controls each one counts once: what differs is the architecture.
        theirs = theirs[0] if len(theirs) == 1 else tuple(float(np.mean(one)) for one in theirs)
        found.append(Comparison(name, controls, ours, theirs, statistics.welch(ours, theirs)))
    return found


def section(run):
    """The section of the report, as HTML."""
    found = comparisons(run)
    if not found:
        tool = "students" if run.controls() else "architectures"
        note = run_data.missing(tool, "A searched student and its control are not trained yet.")
        return html.note(note.text, note.command)
    parts = [
        paragraph(
            "A control is an architecture of about the same MACs, drawn at random and trained in "
            "the same way. Only what the searched student has above it speaks for the search."
        )
    ]
    parts.append(_table(run, found))
    parts += [paragraph(verdict(one)) for one in found]
    single = any(len(one.controls) == 1 for one in found)
    parts.append(
        paragraph(
            "The interval is Welch's: over seeds, or of several controls over the controls. They "
            "are few, so it is wide and leans on accuracies being normally spread; it holds for "
            "these test images only."
            + (
                " One control is one random draw: another one may do better or worse."
                if single
                else ""
            ),
            "soft",
        )
    )
    ranked = _rankings(run)
    if ranked:
        parts += ["<h3>Does the rating order networks better than their cost does?</h3>", ranked]
    return "".join(parts)


def summary(run):
    """The result in a few sentences of plain text, no better than the numbers are."""
    name = run.chosen()
    if name is None:
        return ["Nothing is searched yet, so there is no result to sum up."]
    architecture = run.architectures[name]
    costs = architecture.costs()
    found = run_data.limits_text(architecture.origin.get("limits"))
    cost_text = (
        f"{formatting.format_count(costs['params'])} parameters and "
        f"{formatting.format_count(costs['macs'])} MACs"
    )
    shares = run_data.accuracies(run, name)
    if not shares:
        return [
            f"The search chose {name} ({found}), a student of {cost_text}. It is not trained yet, "
            "so its accuracy is not known: its rating alone says little."
        ]
    mean, _ = statistics.mean_and_std(shares)
    seeds = f"mean of {len(shares)} seeds" if len(shares) > 1 else "one seed"
    first = f"The chosen student {name} ({found}) reaches {run_data.percent(mean)} test "
    first += f"accuracy ({seeds}) with {cost_text}"
    teacher = run.teacher or {}
    if teacher.get("test_accuracy") is not None:
        gap = 100 * (mean - teacher["test_accuracy"])
        side = "above" if gap >= 0 else "below"
        theirs = run_data.percent(teacher["test_accuracy"])
        first += f": {abs(gap):.2f} points {side} its teacher ({theirs})"
        parts = [
            f"{100 * costs[key] / teacher[key]:.3g} % of its {word}"
            for key, word in (("params", "parameters"), ("macs", "MACs"))
            if teacher.get(key)
        ]
        first += f", at {' and '.join(parts)}" if parts else ""
    own = [c for c in comparisons(run) if c.searched == name]
    if not own:
        return [f"{first}.", "No trained control of the same cost is there to compare it with."]
    return [f"{first}.", *(f"{difference_text(c)} {verdict(c)}" for c in own)]


def difference_text(comparison):
    """The difference of a comparison with its uncertainty, in one sentence."""
    difference = comparison.difference
    text = (
        f"Searched minus control ({comparison.searched} − {comparison.against}): "
        f"{results.points(difference.value)} percentage points"
    )
    if difference.low is None:
        return f"{text}, without an interval."
    several, total = len(comparison.controls) > 1, len(comparison.control_accuracies)
    text += (
        f", 95 % interval {results.points(difference.low)} to "
        f"{results.points(difference.high)} (Welch, {len(comparison.searched_accuracies)} "
    )
    if not several:
        return f"{text}against {total} seeds)."
    return f"{text}seeds against {total} architectures); above {comparison.beaten} of {total}."


def verdict(comparison):
    """What a comparison shows, in one sentence."""
    difference, several = comparison.difference, len(comparison.controls) > 1
    if min(len(comparison.searched_accuracies), len(comparison.control_accuracies)) < 2:
        return "One seed on a side says nothing about the noise: no conclusion."
    if difference.low is None:
        return "The seeds show no spread at all, so the noise is unknown: no conclusion."
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
    """How well rating and cost order the trained networks that have a rating.

    Returns:
        `None` for fewer than `LEAST_RANKED` networks, or `(count, taus)`: Kendall's tau of the
        mean test accuracy with `"rating"` (turned, as low ratings are good), `"macs"` and
        `"params"`.
    """
    known = [
        (run_data.accuracies(run, name), run.architectures[name])
        for name in run_data.ordered_names(run)
        if name in run.architectures and run.architectures[name].rating is not None
    ]
    known = [(np.mean(shares), found) for shares, found in known if shares]
    if len(known) < LEAST_RANKED:
        return None
    means = [mean for mean, _ in known]
    values = {"rating": [-found.rating for _, found in known]}
    for name in ("macs", "params"):
        values[name] = [found.costs()[name] for _, found in known]
    taus = {name: statistics.kendall_tau(means, of) for name, of in values.items()}
    return len(known), taus


def _rankings(run):
    ranked = rank_agreement(run)
    if ranked is None:
        return ""
    count, taus = ranked
    shown = ["–" if np.isnan(tau) else f"{tau:+.2f}".replace("-", "−") for tau in taus.values()]
    heads = ["networks", "low rating", "many MACs", "many parameters"]
    note = (
        "Kendall's tau with the mean test accuracy: +1 is the same order, 0 none. MACs and "
        "parameters are the baselines that a rating has to beat."
    )
    return html.table(heads, [[str(count), *shown]]) + paragraph(note, "soft")


def _table(run, found):
    heads = ["searched − control", "MACs of control", "searched", "control"]
    heads += ["difference, points", "95 % Welch interval"]
    rows = []
    for one in found:
        difference = one.difference
        macs = np.mean([run.architectures[name].costs()["macs"] for name in one.controls])
        row = [f"{one.searched} − {one.against}", _relative_cell(run, one.searched, int(macs))]
        over = "control" if len(one.controls) > 1 else "seed"
        row.append(results.accuracy_cell(one.searched_accuracies))
        row.append(results.accuracy_cell(one.control_accuracies, over))
        row.append(results.points(difference.value))
        if difference.low is None:
            row.append("–")
        else:
            low, high = (results.points(v) for v in (difference.low, difference.high))
            interval = f"{low} to {high}"
            row.append((interval, f"{difference.degrees:.1f} degrees of freedom", ""))
        rows.append(row)
    return html.table(heads, rows, "wide")


def _relative_cell(run, searched, macs):
    if searched not in run.architectures:
        return results.count(macs)
    relative = macs / run.architectures[searched].costs()["macs"] - 1
    return (
        formatting.format_count(macs),
        f"{100 * relative:+.2f} %".replace("-", "−"),
        f"{macs:,}",
    )
