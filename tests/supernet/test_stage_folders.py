"""Where the checkpoints of a stage are looked for: under what was asked, or as far as it got."""

import json

import pytest
import tensorflow as tf

from dna_tf.common import files
from dna_tf.space import presets
from dna_tf.supernet import cell_files, stage_folders
from dna_tf.training import checkpoints
from tests.helpers.small_cells import SPACE

NAMES = ("block1_cell1", "block2_cell1", "block2_cell2")
FIRST, SECOND, THIRD = NAMES


def _stage(folder, missing, wanted=NAMES, space=SPACE, factor=1.0):
    stages = stage_folders.stages("teacher", space, wanted, missing, folder, factor)
    assert [stage.cells for stage in stages] == [tuple(missing)]
    return stages[0]


def _save(folder, stage_or_name, position=(1, 0)):
    """A stage that got to a position; of a name alone one without a record, as before."""
    name = stage_or_name
    if not isinstance(name, str):
        name = stage_or_name.folder
        stage_folders.write_record(folder, stage_or_name)
    saver = checkpoints.Checkpoint(folder / name / "checkpoints", [tf.Variable(1.0)])
    saver.save({"epoch": position[0], "step": position[1]})


@pytest.fixture
def folder(tmp_path):
    return files.as_path(tmp_path / "runs")


def test_a_new_stage_is_named_after_all_cells_that_are_wanted(folder):
    assert stage_folders.stages("teacher", SPACE, NAMES, (), folder) == []
    stage = _stage(folder, [SECOND])
    assert (stage.folder, stage.variables_of, stage.begins_from) == ("all", (SECOND,), None)
    assert _stage(folder, [SECOND], NAMES[1:]).folder == f"{SECOND}_{THIRD}"
    assert _stage(folder, [SECOND], factor=0.5).folder == "all_x0.5"
    chain = stage_folders.stages("S1", SPACE, NAMES, NAMES[1:], folder)
    assert [(stage.folder, stage.chain) for stage in chain] == [
        (SECOND, NAMES[:1]),
        (THIRD, NAMES[:2]),
    ]


@pytest.mark.parametrize("recorded", [True, False])
def test_a_stage_is_found_whichever_of_its_cells_are_missing(folder, recorded):
    _save(folder, _stage(folder, NAMES) if recorded else "all")
    for missing in ([FIRST], [THIRD], [FIRST, THIRD], NAMES):
        stage = _stage(folder, missing)
        assert (stage.folder, stage.variables_of) == ("all", NAMES)
        assert _stage(folder, missing, factor=0.5).variables_of == tuple(missing)


def test_folders_named_after_the_cells_that_were_missing_are_found(folder):
    _save(folder, f"{FIRST}_{THIRD}")
    for missing in ([FIRST], [THIRD], [FIRST, THIRD]):
        stage = _stage(folder, missing)
        assert (stage.folder, stage.variables_of) == (f"{FIRST}_{THIRD}", (FIRST, THIRD))
    assert _stage(folder, NAMES).folder == "all"  # it has nothing of the second cell


def test_fingerprints_of_many_cells_are_found(folder):
    space = presets.get_space("dna")
    names = cell_files.cell_names(space)
    then = [name for name in names if name != names[4]]
    _save(folder, files.fingerprint(then))
    stage = _stage(folder, then[3:5], names, space)
    assert (stage.folder, list(stage.variables_of)) == (files.fingerprint(then), then)


def test_of_several_stages_the_one_that_got_furthest_goes_on(folder):
    _save(folder, "all", (1, 3))
    _save(folder, f"{FIRST}_{THIRD}", (1, 7))
    assert _stage(folder, [THIRD]).folder == f"{FIRST}_{THIRD}"
    assert _stage(folder, [SECOND]).folder == "all"
    _save(folder, "all", (2, 0))
    assert _stage(folder, [THIRD]).folder == "all"


def test_a_stage_with_cells_that_are_not_wanted_is_only_read(folder):
    """Two machines that share the cells of a stage out must not write into one folder."""
    _save(folder, "all")
    stage = _stage(folder, [FIRST], [FIRST])
    assert (stage.folder, stage.begins_from, stage.variables_of) == (FIRST, "all", NAMES)
    _save(folder, stage, (1, 1))
    stage = _stage(folder, [FIRST], [FIRST])
    assert (stage.folder, stage.begins_from, stage.variables_of) == (FIRST, None, NAMES)


def test_a_folder_that_does_not_fit_is_left_alone(folder):
    _save(folder, _stage(folder, [FIRST]))  # under "all", as all were wanted
    stage = _stage(folder, [SECOND])
    assert (stage.folder, stage.variables_of) == (SECOND, (SECOND,))
    _save(folder, _stage(folder, [SECOND], NAMES[1:]))
    assert _stage(folder, NAMES[1:], NAMES[1:]).folder == f"{SECOND}_{THIRD}_2"


@pytest.mark.parametrize("cells", ["block1_cell1", ["block9_cell1"], [], None, [3]])
def test_a_damaged_record_is_named(folder, cells):
    _save(folder, "all")
    record = {"kind": stage_folders.KIND, "cells": cells}
    (folder / "all" / "stage.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"cells in .*all/stage\.json must be names of cells"):
        _stage(folder, NAMES)
