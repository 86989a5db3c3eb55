"""The command that measures what a latency table is missing."""

import dataclasses

import pytest

from dna_tf.phases import latency_commands
from dna_tf.space import op_costs, presets, tasks
from tests.helpers import op_cost_tables

SPACE = presets.PRESETS["digits"]
TASK = tasks.Task(32, 3, 10)
LARGER_TASK = tasks.Task(64, 3, 10)
MADE_BY = {"overhead": {}, "threads": 4, "cores": [0, 1], "precision": "int8"}
FITTED_TO = {"space": "digits", "image_size": 32, "channels": 3, "num_classes": 10}


def _refusal(space=SPACE, task=LARGER_TASK, flags="", **about):
    """The message for a table of `SPACE` that is asked for another space or task."""
    entries = op_cost_tables.from_function("pi_latency_ms", lambda key: 1.0, SPACE, TASK).entries
    table = op_costs.OpCosts("pi_latency_ms", entries, **about)
    with pytest.raises(op_costs.MissingParts) as caught:
        table.path_costs(space, task)
    flags = flags or latency_commands.space_flags(space, task)
    return str(latency_commands.missing_error(caught.value, flags))


def test_the_command_has_all_that_the_table_was_made_with():
    measure = "python -m tools.latency_table"
    fields = {"device": "a board", "about": MADE_BY}
    flags = "--cost=pi_latency_ms --precision=int8 --threads=4 --cores=0,1 --output=FILE"
    sizes = "--space=digits --image_size=64 --num_classes=10"
    assert _refusal(**fields).endswith(
        f"px. Measure them on a board too, to this FILE: {measure} {sizes} {flags}"
    )
    # What the flags of a space cannot say takes a run.
    changed = dataclasses.replace(SPACE, ops=SPACE.ops[:2])
    for space, task in ((changed, LARGER_TASK), (SPACE, tasks.Task(64, 1, 10))):
        text = _refusal(space, task, **fields)
        assert f"{measure} --workdir=FOLDER_OF_A_RUN_WITH_IT {flags}" in text
    changed = dataclasses.replace(changed, name="mine")
    assert "--workdir=FOLDER_OF_A_RUN" in _refusal(changed, **fields)
    assert f"{measure} --workdir=W {flags}" in _refusal(changed, flags=["--workdir=W"], **fields)
    any_core = {**fields, "about": {**MADE_BY, "cores": "any"}}
    assert _refusal(**any_core).endswith("--precision=int8 --threads=4 --output=FILE")
    phone = {**fields, "runtime": "benchmark_model sha256 0123456789abcdef, XNNPACK"}
    assert "--precision=int8 --device=adb --threads=4" in _refusal(**phone)
    fitted = {**fields, "about": {**MADE_BY, "fitted_to": {**FITTED_TO, "students": 9, "seed": 0}}}
    assert (
        "to a new FILE, or to this one with --fit=0 (its sums are fitted to students of the "
        "space 'digits' at 32 px with 3 channels and 10 classes, and stay so): python"
        in _refusal(**fitted)
    )
    # Files of other makers, energies say, that tool cannot add to.
    for about in ({}, {"overhead": {}}):
        text = _refusal(about=about)
        assert text.endswith("did not make it: add the entries where it comes from.")
        assert measure not in text
