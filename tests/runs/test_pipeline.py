"""The whole pipeline on a tiny run: its files, that they fit together, and a second seeing."""

import io
import pathlib
import shutil

import keras
import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.data import loading
from dna_tf.models import litert
from dna_tf.phases import evaluating, pipeline, rating, reporting, searching
from dna_tf.space import architectures, presets, ratings, spaces, zoo
from dna_tf.supernet import cell_rating
from tests.helpers import rated_runs, run_files, tiny_config

NAMES = ("max_macs_15k", "max_macs_17k_max_params_1300", "max_macs_15k_control")


def _run_all(folder):
    workdir, config = workdirs.open_workdir(folder, tiny_config.get_config())
    for _, _, phase in pipeline.PHASES:
        phase(workdir, config)
    chosen = searching.chosen_name(config)
    evaluating.evaluate(workdir, config, workdir.student(chosen, 0) / "model.keras")
    evaluating.evaluate(workdir, config, workdir.exports / chosen / "int8.tflite")
    return workdir, config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: `(Workdir, config)`."""
    return _run_all(tmp_path_factory.mktemp("pipeline") / "run")


def _json(path, kind):
    return files.read_json(path, kind, "")


def test_the_documented_files_are_there_and_no_others(run):
    workdir, _ = run
    expected = {"config.json", "data.json", "report.html", "architectures/front.json"}
    expected |= {f"teacher/{name}" for name in ("model.keras", "result.json", "history.json")}
    cells = ("block1_cell1", "block1_cell2", "block2_cell1")
    expected |= {f"supernet/runs/all/{name}.json" for name in ("history", "stage")}
    for cell in cells:
        expected |= {f"supernet/{cell}.npz", f"supernet/{cell}.json", f"ratings/{cell}.json"}
    for name in NAMES:
        expected.add(f"architectures/{name}.json")
        expected |= {f"students/{name}/seed0/{kind}.keras" for kind in ("model", "best")}
        for file in ("result.json", "history.json", "architecture.json"):
            expected.add(f"students/{name}/seed0/{file}")
        for file in ("float32.tflite", "int8.tflite", "result.json"):
            expected.add(f"exports/{name}/{file}")
    for name in (f"{NAMES[0]}_seed0_model_keras", f"exports_{NAMES[0]}_int8_tflite"):
        expected |= {f"evaluations/{name}.json", f"evaluations/{name}.html"}
    present = {name for name in rated_runs.snapshot(workdir.path) if "/checkpoints/" not in name}
    assert present == expected


def test_the_teacher_fits_the_data_and_its_cut(run):
    workdir, config = run
    images = loading.load(config.data, config.seed, workdir.path)
    result = workdir.teacher_result()
    assert result["counts"] == images.counts == {"train": 1398, "rating": 40, "test": 359}
    assert result["data_fingerprint"] == images.fingerprint
    assert result["image_shape"] == [16, 16, 3] and result["num_classes"] == 10
    shapes = [(cut["layer"], cut["shape"]) for cut in result["cuts"]]
    assert shapes == [("stage1_out", [4, 4, 32]), ("stage2_out", [2, 2, 64])]
    model = keras.saving.load_model(workdir.teacher / "model.keras", compile=False)
    assert result["params"] == sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    x, labels = images.arrays("test")
    correct = int((model.predict(x, verbose=0).argmax(-1) == labels).sum())
    # The model in the file is the one that was measured, and one epoch teaches it something.
    assert result["test_correct"] == correct and result["test_images"] == 359
    assert result["test_accuracy"] == correct / 359 > 0.5
    assert len(_json(workdir.teacher / "history.json", "dna_tf.history")["epochs"]) == 1


def test_the_supernet_and_its_ratings_cover_the_space(run):
    workdir, config = run
    space = presets.get_space(config.space)
    for b, c, cell in space.cells():
        result = workdir.cell_result(spaces.cell_name(b, c))
        assert len(result["losses"]) == len(result["relative_l1"]) == config.supernet.epochs
        assert all(0 < loss < np.inf for loss in result["losses"] + result["relative_l1"])
        path = workdir.supernet / f"{spaces.cell_name(b, c)}.npz"
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            rows = [arrays[name].shape[0] for name in sorted(arrays)]
        assert rows == ([1, 1] if b == 0 else []) + [len(space.ops)] * cell.layers
    rated = ratings.load_all(workdir.ratings, space)
    for b, c, _ in space.cells():  # fresh ones
        name = spaces.cell_name(b, c)
        fresh = workdir.ratings_made_from(config, name)
        ratings.load_cell(workdir.ratings / f"{name}.json", space, b, c, fresh)
    for values in rated.values():
        assert np.isfinite(values).all() and (values > 0).all()
        assert len(set(values)) == len(values)  # every path was run on its own


def test_devices_and_machines_that_share_the_cells_rate_the_same_bits(run, tmp_path):
    workdir, config = run
    kept = ("config.json", "data.json", "teacher", "supernet")
    rated = {path.name: path.read_bytes() for path in workdir.ratings.iterdir()}
    for name, calls in {
        "two threads": [{"devices": ["CPU:0", "CPU:0"]}],
        "two machines": [{"share": (0, 2)}, {"share": (1, 2)}],
    }.items():
        copy = workdirs.Workdir(tmp_path / name)
        copy.path.mkdir()
        for part in kept:
            put = shutil.copytree if (workdir.path / part).is_dir() else shutil.copy
            put(workdir.path / part, copy.path / part)
        places = [place for call in calls for place in rating.rate(copy, config, **call)]
        assert sorted(places) == [(0, 0), (0, 1), (1, 0)]  # each by one of them
        assert {path.name: path.read_bytes() for path in copy.ratings.iterdir()} == rated


def test_maps_need_the_cells_of_the_student_only(run, tmp_path, monkeypatch):
    workdir, config = run
    chosen = zoo.find(NAMES[0], workdir.architectures)
    copy = workdirs.Workdir(shutil.copytree(workdir.path, tmp_path / "run"))
    space = presets.get_space(config.space)
    own = {spaces.cell_name(b, one.cell) for b, one in enumerate(chosen.blocks)}
    others = {spaces.cell_name(b, c) for b, c, _ in space.cells()} - own
    assert others
    for name in others:
        copy.cell(name).unlink()
    monkeypatch.setattr(cell_rating, "rating_maps", None)  # many images through the teacher
    maps, all_there = (reporting.imitated_maps(one, config, chosen) for one in (copy, workdir))
    for one, other in zip(maps, all_there, strict=True):
        np.testing.assert_array_equal(one["student"], other["student"])


def test_searched_architectures_keep_their_limits(run):
    workdir, config = run
    limits = ({"max_macs": 15_000}, {"max_macs": 17_000, "max_params": 1300})
    rated = ratings.load_all(workdir.ratings, presets.get_space(config.space))
    for name, most in zip(NAMES, limits, strict=False):
        arch = zoo.find(name, workdir.architectures)
        assert arch.origin["limits"] == most
        assert all(arch.costs()[key[4:]] <= limit for key, limit in most.items())
        for b, block in enumerate(arch.blocks):
            index = int(np.ravel_multi_index(block.path, [2] * len(block.path)))
            assert block.rating == rated[b, block.cell][index]
    chosen, control = (zoo.find(NAMES[i], workdir.architectures).costs() for i in (0, 2))
    assert abs(control["macs"] / chosen["macs"] - 1) <= config.search.control_tolerance
    front = _json(workdir.front, "dna_tf.front")["entries"]
    best = min(e["rating"] for e in front if e["costs"]["macs"] <= 15_000)
    assert best == zoo.find(NAMES[0], workdir.architectures).rating


def test_the_maps_of_the_report_are_those_that_were_rated(run):
    workdir, config = run
    arch = zoo.find(NAMES[0], workdir.architectures)
    rows = reporting.imitated_maps(workdir, config, arch, num_images=40)  # all of them
    model = keras.saving.load_model(workdir.teacher / "model.keras", compile=False)
    assert len(rows) == len(arch.blocks)
    for row, block, cut in zip(rows, arch.blocks, config.teacher.cuts, strict=True):
        shortened = keras.Model(model.input, model.get_layer(cut).output)
        expected = shortened.predict(row["images"], verbose=0)
        np.testing.assert_allclose(row["teacher"], expected, rtol=1e-4, atol=1e-4)
        far = np.abs(row["teacher"] - row["student"]).mean() / row["teacher"].std(ddof=1)
        # Ratings are means over batches, each with a deviation of its own.
        assert far == pytest.approx(block.rating, rel=0.02)
        assert row["rating"] == block.rating and row["layer"] == cut


def test_students_are_what_their_architectures_say(run):
    workdir, config = run
    x, labels = loading.load(config.data, config.seed, workdir.path).arrays("test")
    for name in NAMES:
        folder = workdir.student(name, 0)
        arch = zoo.find(name, workdir.architectures)
        assert architectures.load(folder / "architecture.json") == arch
        model = keras.saving.load_model(folder / "model.keras", compile=False)
        trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
        result = workdir.student_result(name, 0)
        assert trainable == arch.costs()["params"] == result["params"]
        assert model.count_params() > trainable  # batch norm's statistics
        assert result["macs"] == arch.costs()["macs"]
        correct = int((model.predict(x, verbose=0).argmax(-1) == labels).sum())
        assert (result["test_correct"], result["test_images"]) == (correct, 359)
        assert result["data_fingerprint"] == workdir.teacher_result()["data_fingerprint"]


def test_exports_answer_as_their_result_says(run):
    workdir, config = run
    images = loading.load(config.data, config.seed, workdir.path)
    x, labels = (array[:50] for array in images.arrays("test"))
    folder = workdir.exports / NAMES[0]
    model = keras.saving.load_model(workdir.student(NAMES[0], 0) / "model.keras", compile=False)
    expected = model.predict(x, verbose=0)
    result = _json(folder / "result.json", "dna_tf.export")
    assert list(result["files"]) == ["float32", "int8"] and result["images"] == 50
    for precision, row in result["files"].items():
        content = pathlib.Path(folder / row["file"]).read_bytes()
        scores = litert.TFLitePredictor(content, precision).scores(x)
        assert row["bytes"] == len(content)
        assert row["accuracy"] == np.mean(scores.argmax(-1) == labels)
        assert row["agreement"] == np.mean(scores.argmax(-1) == expected.argmax(-1))
    # Float scores are those of Keras; 8 bits come near to them.
    assert result["files"]["float32"]["largest_difference"] < 1e-4
    assert result["files"]["float32"]["agreement"] == 1.0
    assert result["files"]["int8"]["largest_difference"] < 0.5 * np.ptp(expected)


def test_evaluations_agree_with_what_training_measured(run):
    workdir, _ = run
    result = _json(workdir.evaluations / f"{NAMES[0]}_seed0_model_keras.json", "dna_tf.evaluation")
    assert result["test_correct"] == workdir.student_result(NAMES[0], 0)["test_correct"]
    assert result["test_images"] == 359
    int8 = _json(workdir.evaluations / f"exports_{NAMES[0]}_int8_tflite.json", "dna_tf.evaluation")
    assert int8["test_images"] == 359
    assert int8["data_fingerprint"] == result["data_fingerprint"]


def test_the_report_shows_the_run(run):
    workdir, _ = run
    page = workdir.report.read_text()
    assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    for name in NAMES:
        assert name in page
    best = zoo.find(NAMES[0], workdir.architectures)
    assert "data:image/png;base64" in page and f"{best.rating:.4f}"[:5] in page


def test_running_again_changes_no_file_and_says_so(run, capsys):
    workdir, config = run
    before = rated_runs.snapshot(workdir.path)
    said = {}
    for name, _, phase in pipeline.PHASES:
        phase(workdir, config)
        said[name] = capsys.readouterr()
    after = rated_runs.snapshot(workdir.path)
    # The report is written again, with the same bytes.
    assert {name: content for name, (content, _) in after.items()} == {
        name: content for name, (content, _) in before.items()
    }
    assert [name for name in after if after[name] != before[name]] == ["report.html"]
    assert "The teacher is there already" in said["teacher"].out
    assert "The cells are there already" in said["supernet"].out
    assert "All 10 paths are rated already" in said["rating"].out
    for name in NAMES:
        assert f"{name} is exported already" in said["export"].out
        assert f"Student {name}, seed 0 (is there already): accuracy" in said["retraining"].out
    assert not any("step" in said[name].err for name in said)


@pytest.mark.slow
def test_one_seed_gives_one_result(run, tmp_path):
    workdir, config = workdirs.open_workdir(tmp_path / "again", tiny_config.get_config())
    for _, _, phase in pipeline.PHASES[:4]:
        phase(workdir, config)
    again = run_files.results(workdir.path)
    assert {"teacher/model.keras", "ratings/block2_cell1.json", "architectures/front.json"} <= {
        *again
    }
    first = {name: value for name, value in run_files.results(run[0].path).items() if name in again}
    assert run_files.differing(first, again) == []
