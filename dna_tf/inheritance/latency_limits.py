"""Tables of latencies for students that inherit, and limits that need one."""

from dna_tf.space import assembly_costs, op_costs

_HOW = (
    "Measure a table with tools.latency_table and its flag teacher_parts for the same model, cut "
    "and space, as the guide to latency says, and give its file: latency='latency.json'."
)


def tables_of(latency):
    """The tables that a caller names.

    Args:
        latency: a file of op costs, an `op_costs.OpCosts`, or a list or tuple of these.

    Returns:
        A list of `op_costs.OpCosts`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is broken.
    """
    several = latency if isinstance(latency, list | tuple) else [latency]
    return [each if isinstance(each, op_costs.OpCosts) else op_costs.load(each) for each in several]


def check(limits, tables):
    """Checks that each limited latency has a table.

    Args:
        limits: a mapping from the names of limits, such as `"max_latency_ms"`.
        tables: a list of `op_costs.OpCosts`.

    Raises:
        ValueError: one has none; or two tables have one cost.
    """
    missing = assembly_costs.check_names(limits, tables)
    if missing:
        raise ValueError(
            f"There is no cost {missing[0]!r} without a table of the latencies of the model's "
            f"parts and of the cells' layers; a share such as '50%' needs it too. {_HOW}"
        )


def costs(tables, space, teacher):
    """What a search under tables needs, as `assembly_costs.of_tables` gives it.

    Raises:
        ValueError: parts of the teacher or of the cells are in no table.
    """
    try:
        return assembly_costs.of_tables(tables, space, teacher)
    except op_costs.MissingParts as error:
        raise ValueError(f"{error} {_HOW}") from error
