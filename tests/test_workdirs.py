"""The workdir: its layout, its stored config, and results that do not belong together."""

import json
import os
import pathlib
import re

import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.space import presets, spaces
from tests.helpers import killed_writer, rated_runs, tiny_config


def _config(**changes):
    config = tiny_config.get_config()
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in changes.items()}
    )
    return config


def test_every_path_is_one_of_the_documented_layout(tmp_path):
    workdir = workdirs.Workdir(tmp_path)
    paths = [
        workdir.config,
        workdir.teacher,
        workdir.supernet,
        workdir.ratings,
        workdir.front,
        workdir.architecture("NAME"),
        workdir.student("NAME", 3),
        workdir.exports,
        workdir.evaluations,
        workdir.report,
    ]
    relative = [str(path.relative_to(tmp_path)) for path in paths]
    assert relative == [
        "config.json",
        "teacher",
        "supernet",
        "ratings",
        "architectures/front.json",
        "architectures/NAME.json",
        "students/NAME/seed3",
        "exports",
        "evaluations",
        "report.html",
    ]
    assert workdir.cell("NAME").parent == workdir.failed_cell("NAME").parent == workdir.supernet
    places = {path for path in vars(workdir).values() if hasattr(path, "parts")} - {workdir.path}
    firsts = {place.relative_to(tmp_path).parts[0] for place in {*paths, *places}}
    assert {"features", "tensorboard", "fronts", "comparisons"} <= firsts
    page = (pathlib.Path(__file__).parent.parent / "docs/guide/workdir.md").read_text()
    for layout in (workdirs.__doc__, page.partition("## Layout")[2]):
        for first in firsts:
            assert re.search(rf"^{re.escape(first)}(/| |$)", layout, re.M), first
    assert str(workdir) == str(tmp_path)


def test_students_of_different_seeds_have_different_folders(tmp_path):
    workdir = workdirs.Workdir(tmp_path)
    assert workdir.exported("NAME") == workdir.exported("NAME", 0) == workdir.exports / "NAME"
    assert workdir.exported("NAME", 2) == workdir.exports / "NAME_seed2"


def test_a_workdir_needs_a_folder(tmp_path):
    with pytest.raises(ValueError, match="--workdir=FOLDER"):
        workdirs.Workdir("")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file. Give a folder"):
        workdirs.Workdir(tmp_path / "file")
    assert str(workdirs.Workdir("~/runs")) == str(pathlib.Path.home() / "runs")


def test_a_new_workdir_keeps_its_config_and_gives_it_back(tmp_path):
    folder = tmp_path / "deep" / "run"
    config = _config(seed=5)
    workdir, opened = workdirs.open_workdir(folder, config)
    assert [p.name for p in folder.iterdir()] == ["config.json"]
    assert json.loads(workdir.config.read_text()) == {
        "kind": "dna_tf.config",
        "config": run_config.to_plain(config),
    }
    assert opened is config
    again, stored = workdirs.open_workdir(folder)
    assert again.path == workdir.path
    assert stored.is_locked and run_config.to_plain(stored) == run_config.to_plain(config)
    # A space that was written as a dict comes back as the same space.
    expected = spaces.SearchSpace.from_dict(tiny_config.SPACE)
    assert presets.get_space(stored.space) == presets.get_space(config.space) == expected
    before = rated_runs.snapshot(tmp_path)
    workdirs.open_workdir(folder, _config(seed=5))
    assert rated_runs.snapshot(tmp_path) == before  # an equal config is not written again


def test_opening_without_any_config(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json.*tools\.train_teacher"):
        workdirs.open_workdir(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"kind": "dna_tf.config", "con', "truncated"),
        ('{"kind": "dna_tf.front"}', 'expected to be of kind "dna_tf.config"'),
        ('{"kind": "dna_tf.config", "config": 3}', "'config' must be an object"),
        ('{"kind": "dna_tf.config", "config": {"sede": 3}}', "Did you mean 'seed'"),
    ],
)
def test_a_broken_config_file_is_named_and_left_as_it_is(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        workdirs.open_workdir(tmp_path)
    if "sede" not in content:  # another config may replace one that no phase used
        with pytest.raises(ValueError, match=message):
            workdirs.open_workdir(tmp_path, _config())
    assert path.read_text() == content


def test_a_wrong_config_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"config\.retrain\.epochs must be at least 1"):
        workdirs.open_workdir(tmp_path / "new", _config(retrain__epochs=0))
    assert not (tmp_path / "new").exists()


# Each case: the folder of a phase that has started, a field that it depends on, and a field that
# may still change.
@pytest.mark.parametrize(
    ("folder", "used", "free"),
    [
        ("teacher", {"teacher_training__epochs": 2}, {"supernet__epochs": 2}),
        ("teacher", {"data__rating_per_class": 5}, {"space": "digits"}),
        ("teacher", {"seed": 1}, {"rating__batches": 1}),
        ("supernet", {"supernet__epochs": 2}, {"rating__batches": 1}),
        ("supernet", {"space": "digits"}, {"search__chosen": 1}),
        ("ratings", {"rating__batches": 1}, {"search__budgets": ("max_macs=16k",)}),
        ("architectures", {"search__chosen": 1}, {"retrain__epochs": 2}),
        ("students", {"retrain__epochs": 2}, {"export__test_images": 7}),
        ("students", {"teacher_training__epochs": 2}, {"export__precisions": ("int8",)}),
        ("exports", {"export__test_images": 7}, {}),
    ],
)
def test_a_config_may_change_only_what_no_phase_used(tmp_path, folder, used, free):
    workdirs.open_workdir(tmp_path, _config())
    (tmp_path / folder).mkdir()
    before = rated_runs.snapshot(tmp_path)
    (field,) = (name.replace("__", ".") for name in used)
    with pytest.raises(ValueError) as caught:
        workdirs.open_workdir(tmp_path, _config(**{**used, **free}))
    message = str(caught.value)
    old, new = (_value(_config(**changes), field) for changes in ({}, used))
    assert f"{field}: {old!r} there, {new!r} now" in message
    assert "Use another --workdir" in message
    for name in free:
        assert f"{name.replace('__', '.')}:" not in message
    assert rated_runs.snapshot(tmp_path) == before

    changed = _config(**free)
    workdirs.open_workdir(tmp_path, changed)
    assert run_config.to_plain(workdirs.open_workdir(tmp_path)[1]) == run_config.to_plain(changed)


def test_what_changes_no_result_may_change_in_a_begun_workdir(tmp_path):
    workdir, config, _ = rated_runs.rated_run(tmp_path, _config(rating__checkpoint_seconds=60.0))
    for folder in ("students", "exports", "architectures"):
        (tmp_path / folder).mkdir()
    name = "block1_cell1"
    fresh = workdir.ratings_made_from(config, name)
    changed = _config(
        supernet__cache_folder="/elsewhere",
        supernet__tensorboard=False,
        teacher_training__checkpoint_seconds=9.0,
        rating__checkpoint_seconds=7.0,
        retrain__seeds=8,
    )
    _, opened = workdirs.open_workdir(tmp_path, changed)
    stored = workdirs.open_workdir(tmp_path)[1]
    assert run_config.to_plain(stored) == run_config.to_plain(changed)
    assert workdir.ratings_made_from(opened, name) == fresh
    assert workdir.ratings_made_from(_config(), name) == fresh
    # Ratings of before there was this list had the seconds in their fingerprint.
    rating = run_config.to_plain(config)["rating"]
    before = files.fingerprint([name, "data", files.fingerprint({"seed": 0, "rating": rating})])
    assert workdir.ratings_fingerprints(config, name) == (fresh, before) and before != fresh
    with pytest.raises(ValueError, match="Fields that its results depend on differ: retrain.epo"):
        workdirs.open_workdir(tmp_path, _config(retrain__seeds=7, retrain__epochs=9))


def _value(config, field):
    value = run_config.to_plain(config)
    for part in field.split("."):
        value = value[part]
    return value


def test_all_differing_fields_are_listed(tmp_path):
    workdirs.open_workdir(tmp_path, _config())
    (tmp_path / "students").mkdir()
    with pytest.raises(ValueError) as caught:
        workdirs.open_workdir(tmp_path, _config(seed=4, retrain__epochs=9, export__test_images=1))
    message = str(caught.value)
    assert "retrain.epochs: 1 there, 9 now; seed: 0 there, 4 now." in message
    assert "export" not in message


def test_results_say_which_tool_makes_them(tmp_path):
    workdir, _ = workdirs.open_workdir(tmp_path, _config())
    for call, tool in (
        (workdir.teacher_result, "train_teacher"),
        (lambda: workdir.cell_result("block1_cell1"), "train_supernet"),
        (lambda: workdir.student_result("a", 2), "retrain .*--arch=a"),
    ):
        with pytest.raises(FileNotFoundError, match=rf"tools\.{tool}"):
            call()


def test_a_cell_of_another_teacher_is_refused(tmp_path):
    workdir, config, _ = rated_runs.rated_run(tmp_path)
    name = "block2_cell1"
    assert workdir.cell_result(name)["fingerprint"] == name
    teacher = workdir.teacher_result()
    files.write_json(workdir.teacher / "result.json", {**teacher, "fingerprint": "another"})
    for call in (workdir.cell_result, lambda name: workdir.ratings_made_from(config, name)):
        with pytest.raises(ValueError, match="imitates another teacher"):
            call(name)


def test_ratings_are_fresh_only_for_the_same_cell_data_seed_and_rating(tmp_path):
    workdir, config, _ = rated_runs.rated_run(tmp_path)
    name = "block1_cell1"
    fresh = workdir.ratings_made_from(config, name)
    assert re.fullmatch("[0-9a-f]{16}", fresh)
    unchanged = _config(retrain__epochs=7, search__chosen=1)
    assert workdir.ratings_made_from(unchanged, name) == fresh
    seen = {fresh}
    seen.add(workdir.ratings_made_from(_config(seed=1), name))
    seen.add(workdir.ratings_made_from(_config(rating__calibration_images=8), name))
    cell = files.read_json(workdir.cell(name), None, "")
    files.write_json(workdir.cell(name), {**cell, "fingerprint": "other"})
    seen.add(workdir.ratings_made_from(config, name))
    files.write_json(workdir.cell(name), cell)
    # Another cell of the supernet changes nothing.
    other = files.read_json(workdir.cell("block2_cell1"), None, "")
    files.write_json(workdir.cell("block2_cell1"), {**other, "fingerprint": "other"})
    assert workdir.ratings_made_from(config, name) == fresh
    teacher = workdir.teacher_result()
    files.write_json(workdir.teacher / "result.json", {**teacher, "data_fingerprint": "other"})
    seen.add(workdir.ratings_made_from(config, name))
    assert len(seen) == 5


def test_opening_removes_what_killed_processes_left(tmp_path):
    workdir, config = workdirs.open_workdir(tmp_path, tiny_config.get_config())
    path = workdir.ratings / "block1_cell1.json"
    killed_writer.write_half_and_die(path)
    (left,) = workdir.ratings.iterdir()
    number = left.name.split("-")[1]
    other = left.parent / left.name.replace(f"-{number}-", f"-{os.getppid()}-")  # it runs
    other.write_bytes(b"half")
    lock = workdir.student("tiny", 0).parent / ".seed0.lock"  # nobody has it
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    workdirs.open_workdir(tmp_path)
    assert list(workdir.ratings.iterdir()) == [other]
    assert not lock.parent.parent.exists()  # it was there for the lock alone
