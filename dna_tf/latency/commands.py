"""Commands that measure more for a latency table, written from what the table says of itself.

A table holds for one set of conditions (precision, threads, cores, device) and has a cost of
its own; a command that leaves one of them out would be refused, or make another table.
"""

from dna_tf.space import presets

_MOST = 10  # networks in one command
_FITTED_TO = ("space", "image_size", "channels", "num_classes", "students", "seed")


def is_measured(table):
    """Whether `tools.latency_table` made an `op_costs.OpCosts`."""
    return isinstance(table.about, dict) and {"overhead", "threads", "cores"} <= set(table.about)


def table_words(table):
    """The flags of `tools.latency_table` that a table was made with: a list of texts.

    Space, image size and output are not among them; a phone is the one that is plugged in.
    """
    about, words = table.about, [f"--cost={table.cost}"]
    if "precision" in about:
        words.append(f"--precision={about['precision']}")
    if table.runtime.startswith("benchmark_model"):
        words.append("--device=adb")
    words.append(f"--threads={about['threads']}")
    if isinstance(about["cores"], list):
        words.append(f"--cores={','.join(map(str, about['cores']))}")
    return words


def space_words(space, task):
    """The flags that name a space with its network: by name, or where that cannot be by a run."""
    try:
        ready_made = presets.get_space(space.name) == space
    except ValueError:
        ready_made = False
    if ready_made and task.channels == 3:
        return (
            f"--space={space.name} --image_size={task.image_size} --num_classes={task.num_classes}"
        )
    return "--workdir=FOLDER_OF_A_RUN_WITH_IT"


def fitted_to(table):
    """What the sums of a table are fitted to, as `tables.make` has it; `{}` if nothing."""
    held = table.about.get("fitted_to") if isinstance(table.about, dict) else None
    return held if isinstance(held, dict) and set(_FITTED_TO) <= set(held) else {}


def fit_text(fitted_to):
    """Of which students a fit is, as text; takes what `fitted_to` returns."""
    return (
        f"students of the space {fitted_to['space']!r} at {fitted_to['image_size']} px with "
        f"{fitted_to['channels']} channels and {fitted_to['num_classes']} classes"
    )


def advice(table, words):
    """How to measure what a table lacks.

    Args:
        table: an `op_costs.OpCosts`.
        words: flags that name what lacks: `space_words(...)`, `"--workdir=W"`, `"--arch=NAME"`.
    """
    if not is_measured(table):
        return "tools.latency_table did not make it: add the entries where it comes from."
    command = " ".join([f"python -m tools.latency_table {words}", *table_words(table)])
    held = fitted_to(table)
    where = (
        f"to a new FILE, or to this one with --fit=0 (its sums are fitted to {fit_text(held)}, "
        "and stay so)"
        if held
        else "to this FILE"
    )
    return f"Measure them on {table.device} too, {where}: {command} --output=FILE"


def network_words(table, path, names):
    """The flags of `tools.latency_table` that measure networks of a run beside their prediction.

    Args:
        table: the `op_costs.OpCosts` that they were searched by.
        path: its file.
        names: of the networks; the first ten are measured.

    Returns:
        A list of texts, without `--workdir`; `[]` if that tool did not make the table.
    """
    if not is_measured(table):
        return []
    words = [f"--output={path}", f"--arch={','.join(names[:_MOST])}", *table_words(table)]
    return [*words, f"   # on {table.device}"]
