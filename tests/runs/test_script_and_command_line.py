"""The same work by a script and by the tools: equal ratings and architecture, to the bit."""

import dataclasses
import shutil

import numpy as np
import pytest

import dna_tf
from dna_tf import workdirs
from dna_tf.space import ratings
from tests.helpers import tiny_config, tool_runs
from tests.runs import test_run_of_before

BUDGET = "max_macs_15k"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """The stored run, its cells trained, rated and searched anew by the tools."""
    folder = test_run_of_before.unpack(tmp_path_factory.mktemp("run"))
    for name in ("supernet", "ratings", "architectures", "students", "exports"):
        shutil.rmtree(folder / name)
    phases = ("train_supernet", "rate", "search")
    for result in tool_runs.run_all([[phase, f"--workdir={folder}"] for phase in phases]):
        assert result["returncode"] == 0, result["stderr"]
    return workdirs.Workdir(folder)


@pytest.fixture(scope="module")
def script(workdir):
    """What the public functions give for the values of the run's config."""
    _, config = workdirs.open_workdir(workdir.path)
    images = dna_tf.load_images("digits", image_size=16, rating_per_class=4, seed=0)
    space = dna_tf.get_space(tiny_config.SPACE)
    model = str(workdir.teacher / "model.keras")
    teacher = dna_tf.cut_teacher(model, images, space=space, cuts=tuple(config.teacher.cuts))
    cells = dna_tf.train_cells(space, teacher, images, epochs=1)
    rated = dna_tf.rate_cells(
        cells, teacher, images, batch_size=20, batches=2, calibration_images=32
    )
    problem = dna_tf.search_problem(space, rated, images)
    (best,) = dna_tf.find_best(problem, max_macs="15k")
    return images, rated, best


def test_the_data_is_the_same(workdir, script):
    assert script[0].fingerprint == workdir.teacher_result()["data_fingerprint"]


def test_ratings_are_equal_to_the_bit(workdir, script):
    _, config = workdirs.open_workdir(workdir.path)
    space = dna_tf.get_space(config.space)
    assert sorted(script[1]) == sorted((b, c) for b, c, _ in space.cells())
    for (b, c), rated in script[1].items():
        name = f"block{b + 1}_cell{c + 1}"
        made_from = workdir.ratings_made_from(config, name)
        by_tools = ratings.load_cell(workdir.ratings / f"{name}.json", space, b, c, made_from)
        assert rated.metrics.keys() == by_tools.metrics.keys()
        for metric, values in rated.metrics.items():
            np.testing.assert_array_equal(values, by_tools.metrics[metric])


def test_the_architecture_is_equal(workdir, script):
    by_tools = dna_tf.load_architecture(workdir.architectures / f"{BUDGET}.json")
    same = dataclasses.replace(script[2], name=by_tools.name, origin=by_tools.origin)
    assert same == by_tools and same.costs() == by_tools.costs()
