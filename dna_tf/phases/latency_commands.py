"""Builds the command that measures what a latency table is missing.

A table is valid for one set of conditions (precision, threads, cores, device) and has a cost name
of its own. A command without one of them would be refused, or would make another table.
"""

from dna_tf.common import commands
from dna_tf.latency import tables
from dna_tf.space import presets

_MOST = 10  # networks in one command


def missing_error(error, flags):
    """Adds to an error the command that measures the missing parts.

    Args:
        error: an `op_costs.MissingParts`.
        flags: a list of flags that name the network or space: `space_flags(...)`,
            `["--workdir=W"]` or `["--arch=NAME"]`.

    Returns:
        A `ValueError`.
    """
    return ValueError(f"{error} {advice(error.table, flags)}")


def advice(table, flags):
    """How to measure what a table is missing.

    Args:
        table: an `op_costs.OpCosts`.
        flags: as `missing_error` takes them.
    """
    if not tables.is_measured(table):
        return "tools.latency_table did not make it: add the entries where it comes from."
    flags = [*flags, *table_flags(table), "--output=FILE"]
    command = commands.line("latency_table", *flags)
    students = tables.fitted_to(table)
    where = (
        "to a new FILE, or to this one with --fit=0 (its sums are fitted to "
        f"{tables.students_text(students)}, and stay so)"
        if students
        else "to this FILE"
    )
    return f"Measure them on {table.device} too, {where}: {command}"


def table_flags(table):
    """The flags of `tools.latency_table` that a table was made with, as a list of texts.

    Space, image size and output are not among them; a phone is the one that is plugged in.
    """
    about, flags = table.about, [f"--cost={table.cost}"]
    if "precision" in about:
        flags.append(f"--precision={about['precision']}")
    if table.runtime.startswith("benchmark_model"):
        flags.append("--device=adb")
    flags.append(f"--threads={about['threads']}")
    if isinstance(about["cores"], list):
        flags.append(f"--cores={','.join(map(str, about['cores']))}")
    return flags


def space_flags(space, task):
    """A list of flags that name a space and a task: by the space's name, or else by a run."""
    try:
        ready_made = presets.get_space(space.name) == space
    except ValueError:
        ready_made = False
    if ready_made and task.channels == 3:
        sizes = [f"--image_size={task.image_size}", f"--num_classes={task.num_classes}"]
        return [f"--space={space.name}", *sizes]
    return ["--workdir=FOLDER_OF_A_RUN_WITH_IT"]


def network_flags(table, path, names):
    """The flags of `tools.latency_table` that measure networks of a run beside their prediction.

    Args:
        table: the `op_costs.OpCosts` that they were searched with.
        path: its file.
        names: names of the networks; the first ten are measured.

    Returns:
        A list of texts, without `--workdir`; `[]` if that tool did not make the table.
    """
    if not tables.is_measured(table):
        return []
    return [f"--output={path}", f"--arch={','.join(names[:_MOST])}", *table_flags(table)]
