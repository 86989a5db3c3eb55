"""What a run's networks are and reached, for the report, tables and evaluations; no HTML."""

from dna_tf import limits

_COST_WORDS = {"macs": "MACs", "params": "parameters", "authors_flops": "authors' FLOPs"}


def percent(share):
    """A share for people: `0.97222` becomes `"97.22 %"`, and `None` a dash."""
    return "–" if share is None else f"{100 * share:.2f} %"


def limits_text(asked):
    """Limits for people: `{"max_macs": 700000}` becomes `"MACs ≤ 700k"`."""
    signs = {"max": "≤", "min": "≥"}
    parts = [
        f"{_COST_WORDS.get(key[4:], key[4:])} {signs[key[:3]]} {limits.format_count(value)}"
        for key, value in asked.items()
    ]
    return ", ".join(parts) if parts else "no limit"


def role(run, name):
    """What a network is in this run, in a few words."""
    if name not in run.architectures:
        return "no architecture file"
    origin = run.architectures[name].origin
    if origin.get("by") == "search":
        return f"searched, {limits_text(origin.get('limits') or {})}"
    if origin.get("by") == "control":
        return f"random control of {origin.get('control_of')}"
    return str(origin.get("by", "given"))


def ordered_names(run):
    """All networks: the searched ones by cost, each with its controls, then the others."""
    controls = run.controls()
    names = []
    for name in run.searched():
        own = [c for c in controls if run.architectures[c].origin.get("control_of") == name]
        names += [name, *own]
    return list(dict.fromkeys([*names, *controls, *run.architectures, *run.students]))


def accuracies(run, name):
    """Test accuracies of a student, in order of seeds."""
    return tuple(result["test_accuracy"] for result in run.students.get(name, ()))
