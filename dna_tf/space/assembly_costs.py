"""Costs of assemblies from a table of measured parts, such as latencies.

An assembly is made of the layers of its paths, of the teacher's own blocks and of the teacher's
head. Every path reads and gives the teacher's maps, so the cost of a part does not depend on the
other parts, and the cost of a network is a sum of entries of the table.
"""

import numpy as np

from dna_tf.common import checks
from dna_tf.space import (
    cost_tables,
    network_layers,
    part_costs,
    part_keys,
    teacher_parts,
)


def keys(space, teacher):
    """The keys of all parts that assemblies have: what a table must contain.

    Args:
        space: the `spaces.SearchSpace` of the cells.
        teacher: an `assemblies.TeacherFacts`.

    Returns:
        A list of keys, those of the teacher's own parts first, each once.
    """
    layers = [
        layer
        for b, c, _ in space.cells()
        for candidates in network_layers.imitating_layers(space, b, c, teacher.shapes)
        for layer in candidates
    ]
    own = [*teacher_parts.block_keys(teacher), teacher_parts.head_key(teacher)]
    return [*own, *dict.fromkeys(map(part_keys.layer_key, layers))]


def network_keys(assembly):
    """The keys of the parts of an `assemblies.Assembly` in order, with the head.

    Returns:
        A list of keys; equal ones are in it as often as they occur.
    """
    space, teacher = assembly.space, assembly.teacher
    own, needed = teacher_parts.block_keys(teacher), []
    for b, part in enumerate(assembly.parts):
        if part.is_own:
            needed.append(own[b])
            continue
        positions = network_layers.imitating_layers(space, b, part.cell, teacher.shapes)
        ops = [0] * (len(positions) - len(part.path)) + list(part.path)
        needed += [
            part_keys.layer_key(candidates[op])
            for candidates, op in zip(positions, ops, strict=True)
        ]
    return [*needed, teacher_parts.head_key(teacher)]


def network_cost(table, assembly):
    """The cost of an `assemblies.Assembly` by a table.

    Args:
        table: an `op_costs.OpCosts`.
        assembly: the assembly.

    Raises:
        op_costs.MissingParts: parts of it are not in the table.
    """
    needed = network_keys(assembly)
    _check_contains(table, needed, assembly.teacher)
    return table.sum_of(needed)


def teacher_cost(table, teacher):
    """The cost of a whole teacher: as it was measured, or the sum of its own parts.

    Args:
        table: an `op_costs.OpCosts`.
        teacher: an `assemblies.TeacherFacts`.

    Raises:
        op_costs.MissingParts: it was not measured, and parts of it are not in the table.
    """
    measured = table.about.get("teachers", {}).get(teacher_parts.whole_name(teacher))
    return sum_of_own(table, teacher) if measured is None else measured


def sum_of_own(table, teacher):
    """The sum of the costs of a teacher's own blocks and head, and of what every network has.

    The arguments and errors are those of `teacher_cost`.
    """
    own = [*teacher_parts.block_keys(teacher), teacher_parts.head_key(teacher)]
    _check_contains(table, own, teacher)
    return table.sum_of(own)


def extra(table, space, teacher):
    """The costs of all candidates by a table, for `assembly_problem.build_problem`.

    Args:
        table: an `op_costs.OpCosts`.
        space: the `spaces.SearchSpace` of the cells.
        teacher: an `assemblies.TeacherFacts`.

    Returns:
        A dict with `name`, `paths` (an array for each `(block, cell)`), `blocks` (of the
        teacher's own ones) and `head`. What every network costs besides its parts is in `head`.

    Raises:
        op_costs.MissingParts: parts are not in the table.
    """
    _check_contains(table, keys(space, teacher), teacher)
    paths = {}
    for b, c, _ in space.cells():
        positions = network_layers.imitating_layers(space, b, c, teacher.shapes)
        costs = [
            [table.entries[part_keys.layer_key(layer)].value for layer in candidates]
            for candidates in positions
        ]
        paths[b, c] = cost_tables.path_sums(costs, np.float64)
    return {
        "name": table.cost,
        "paths": paths,
        "blocks": [table.entries[key].value for key in teacher_parts.block_keys(teacher)],
        "head": table.fixed + table.entries[teacher_parts.head_key(teacher)].value,
    }


def of_tables(tables, space, teacher):
    """What a search under the costs of several tables needs.

    Args:
        tables: a list of `op_costs.OpCosts`.
        space: the `spaces.SearchSpace` of the cells.
        teacher: an `assemblies.TeacherFacts`.

    Returns:
        A list of what `extra` gives, and a dict from each cost to the teacher's own.

    Raises:
        op_costs.MissingParts: parts are not in a table.
    """
    further = [extra(table, space, teacher) for table in tables]
    return further, {table.cost: teacher_cost(table, teacher) for table in tables}


def check_names(limits, tables):
    """Checks tables against each other, and that limited costs are counted or in a table.

    Args:
        limits: a mapping from the names of limits, such as `"max_latency_ms"`.
        tables: the `op_costs.OpCosts` that there are.

    Returns:
        The names of the limited costs that need a table and have none, such as
        `["latency_ms"]`. A name that no table can have is not among them.

    Raises:
        ValueError: two tables have one cost.
    """
    names = [table.cost for table in tables]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"Two tables have the cost {name!r}. Give one, or measure the other again under "
                "another name of the cost."
            )
    limited = dict.fromkeys(str(key)[4:] for key in limits)
    return [
        name for name in limited if name.endswith("_ms") and name not in (*part_costs.COSTS, *names)
    ]


def _check_contains(table, needed, teacher):
    others = {key.teacher for key in table.entries if key.part == teacher_parts.PART}
    hint = ""
    if others and teacher.fingerprint not in others:
        hint = f" Its parts of a teacher are of another one: {checks.some(sorted(others))}."
    owner = f"students that inherit from the teacher {teacher.fingerprint}"
    table.check_contains(needed, owner, hint)
