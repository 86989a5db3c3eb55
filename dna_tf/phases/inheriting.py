"""The inherited student of a run: beside the chosen one from scratch, within the same budget."""

from dna_tf.common import formatting, progress, statistics
from dna_tf.models import logits
from dna_tf.phases import compressing, retraining, runs, searching
from dna_tf.search import assembly_problem
from dna_tf.space import cost_limits, part_costs, presets, zoo
from dna_tf.teachers import parts


def limits_of(config):
    """The limits of the chosen budget as a dict, such as `{"max_macs": "1.5M"}`."""
    return cost_limits.Limits(config.search.budgets[config.search.chosen]).as_written()


def why_not(workdir, config):
    """Why a run can have no inherited student within its chosen budget; `""` if it can.

    Args:
        workdir: a `workdirs.Workdir` with a teacher.
        config: its config.
    """
    limits = limits_of(config)
    others = [name for name in limits if name[4:] not in part_costs.COSTS]
    if others:
        return f"The budget limits {others[0]}, which is not measured for the teacher's own blocks."
    teacher = runs.open_run(workdir, config).teacher
    try:
        logits.with_logits(teacher.model)
        facts = parts.facts(teacher)
        checked = assembly_problem.limits_of(limits, facts)
        assembly_problem.check_reachable(presets.get_space(config.space), facts, checked)
    except ValueError as error:
        return str(error)
    return ""


def inherit(workdir, config):
    """Assembles, fine-tunes and exports the inherited student, if there can be one.

    Args:
        workdir: a `workdirs.Workdir` with trained and rated cells.
        config: its config.

    Returns:
        The content of its `result.json`, or `None` if there can be none; why is printed.
    """
    reason = why_not(workdir, config)
    if reason:
        progress.say(f"No inherited student within the chosen budget. {reason}")
        return None
    return compressing.compress(workdir, config, limits_of(config))[1]


def print_comparison(workdir, config, inherited):
    """Prints the chosen student, its controls and the inherited student, each with its costs.

    Args:
        workdir: a `workdirs.Workdir` with trained students.
        config: its config.
        inherited: what `inherit` returned.
    """
    chosen = searching.chosen_name(config)
    texts = [["", "MACs", "params", "accuracy", "95 % interval", "epochs"]]
    for name in searching.all_names(config):
        if name != chosen and not name.startswith(f"{chosen}_control"):
            continue
        architecture = zoo.find(name, workdir.architectures)
        costs = architecture.costs()
        for seed in retraining.seeds_of(config, architecture):
            result = workdir.student_result(name, seed)
            what = f"{name}, from scratch, seed {seed}"
            right = result["test_correct"], result["test_images"]
            texts.append(_line(what, costs, *right, config.retrain.epochs))
    if inherited is not None:
        row = inherited["table"][-1]
        what = f"{chosen}, inherited, seed {config.seed}"
        right = row["correct"], row["images"]
        texts.append(_line(what, row["costs"], *right, config.fine_tune.epochs))
    for line in formatting.aligned(texts, right=range(1, len(texts[0]))):
        progress.say(f"  {line}")


def _line(what, costs, correct, images, epochs):
    low, high = statistics.wilson(correct, images)
    counts = [formatting.format_count(costs[name]) for name in ("macs", "params")]
    interval = f"{100 * low:.1f}-{100 * high:.1f}"
    return [what, *counts, f"{correct / images:.1%}", interval, str(epochs)]
