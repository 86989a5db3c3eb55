"""Every kind of file that a tool reads, broken in many ways: read rightly, or refused by name."""

import dataclasses
import json

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import file_fields, files
from dna_tf.latency import measurements
from dna_tf.phases import angles
from dna_tf.report import compression_data, report_page, result_tables, run_data
from dna_tf.space import (
    angle_sums,
    architectures,
    assemblies,
    op_costs,
    presets,
    ratings,
    replaced_cells,
    tasks,
    zoo,
)
from tests.helpers import compressed_runs, evaluated_runs, mutations, op_cost_tables, rated_runs

SPACE = presets.get_space("digits")
TASK = tasks.Task(32, 3, 10)
SLOW = 3000  # files of each kind


def _content(path):
    return json.loads(path.read_text())


def _architecture(folder):
    origin = {"by": "search", "limits": {"max_macs": 350e6}, "control_of": "x", "seed": 0}
    network = dataclasses.replace(zoo.get_architecture("dna_a"), origin=origin)
    path = folder / "one.json"

    def read():
        one = architectures.load(path)
        one.describe(), one.rating, one.costs()
        assert architectures.Architecture.from_dict(json.loads(json.dumps(one.to_dict()))) == one

    return path, network.to_dict(), read


def _ratings(folder):
    path, count = folder / "block1_cell1.json", SPACE.num_paths(0, 0)
    rated = rated_runs.rated_cell(np.random.RandomState(0).rand(count))
    ratings.save(path, SPACE, 0, 0, rated, "made from")

    def read():
        loaded = ratings.load_cell(path, SPACE, 0, 0)
        for means, spreads in loaded.metrics.values():
            if len(means) == count:
                costs = {"macs": np.arange(count)}
                summary = ratings.summarize(means, spreads, loaded.batches, len(SPACE.ops), costs)
                ratings.lines("block1_cell1", summary, SPACE, 0, 0)

    return path, _content(path), read


def _cell_angle(folder):
    path, rng = folder / "block1_cell1.json", np.random.RandomState(0)
    units = [np.array([[1.0, 2.0, 3.0]])] + [rng.uniform(1, 2, (len(SPACE.ops), 3))] * 2
    units = [np.stack([u[:, 0] / 2, u[:, 1], u[:, 2]], axis=1) for u in units]
    depth = SPACE.blocks[0].cells[0].layers
    sums = dict.fromkeys(angle_sums.VARIANTS, [units[0], *[units[1]] * depth])
    angle_sums.save(path, SPACE, 0, 0, angle_sums.CellAngle("rlnas", sums), "made from")

    def read():
        cell_angle, _ = angle_sums.read(path, SPACE, 0, 0)
        for variant in angle_sums.VARIANTS:
            assert np.isfinite(angle_sums.cosines_of(cell_angle.path_sums(variant))).all()

    return path, _content(path), read


def _angles(folder):
    path = folder / "angles.json"
    ends = {f"{end}{of}": 0.5 for end in ("tau", "low", "high") for of in ("", "_of_rating")}
    row = {"name": "one", "limits": {"max_macs": 1e6}, "cosine": 0.9, "bound": 0.9}
    row |= {"certified": True, "degrees": {"trained": 20.0}, "macs": 5, "params": 6, "rating": 1.0}
    content = {
        "kind": workdirs.ANGLES_KIND, "parts": "rlnas", "space": "digits", "seed": 0,
        "made_from": "made", "num_architectures": 9, "drawn": 9,
        "spread": {"networks": 9, "degrees": [1.0, 2.0, 3.0]},
        "orders": [{"score": "angle", **ends}],
        "best": [{**row, "by_shapes": {"macs": 5, "params": 6, "degrees": 20.0}}],
    }  # fmt: skip

    def read():
        loaded = angles.read(path)
        {row["name"]: row for row in loaded["best"]}, loaded["made_from"]

    return path, content, read


def _op_costs(folder):
    path = folder / "costs.json"
    table = op_cost_tables.from_function("pi_ms", lambda key: 1.0, SPACE, TASK)
    about = {"threads": 1, "cores": "any", "precision": "int8", "overhead": {}}
    op_costs.save(dataclasses.replace(table, about=about, device="a board"), path)

    def read():
        loaded = op_costs.load(path)
        op_costs.identity(loaded), loaded.sizes_text()
        op_costs.save(loaded, folder / "again.json")
        if loaded.entries.keys() >= table.entries.keys():
            loaded.path_costs(SPACE, TASK)

    return path, _content(path), read


def _measurements(folder):
    path = folder / "costs.measured.json"
    measured = measurements.Measurements(path, {"device": "a board", "threads": 1})
    entry = op_costs.CostEntry(1.5, 50, 0.1)
    measured.parts = dict.fromkeys(op_costs.network_keys(zoo.get_architecture("dna_a"))[:9], entry)
    measured.networks = {"dna_a": entry}
    measured.noisy, measured.states, measured.drift = {"dna_a": 0.2}, [{"load": 1}], [1.0, 1.1]
    measured.reference = {"architecture": zoo.get_architecture("dna_a").to_dict(), "value": 3.0}
    measured.save()

    def read():
        loaded = measurements.Measurements(path)
        [measurements.relative_spread(entry) for entry in loaded.parts.values()]
        loaded.path = folder / "again.json"
        loaded.save()

    return path, _content(path), read


def _config(folder):
    workdir, _, _ = rated_runs.rated_run(folder / "run")

    def read():
        workdirs.open_workdir(workdir.path)

    return workdir.config, _content(workdir.config), read


def _run(folder):
    """A run with a file of each kind."""
    workdir, architecture = evaluated_runs.write_run(folder)
    teacher = _content(workdir.teacher / "result.json") | {
        "model": "residual_cnn", "params": 345, "macs": 678, "class_names": list("abcdefghij"),
        "test_accuracy": 0.5, "test_correct": 5, "test_images": 10, "counts": {"train": 100},
        "cuts": [{"layer": f"cut{n}", "shape": [8, 8, 4], "params": 7} for n in (1, 2)],
    }  # fmt: skip
    files.write_json(workdir.teacher / "result.json", teacher)
    epochs = [{"loss": 2.0 / n, "accuracy": 0.5} for n in (1, 2, 3)]
    history = {"kind": workdirs.HISTORY_KIND, "epochs": epochs}
    for place in (workdir.teacher, workdir.student(architecture.name, 0)):
        files.write_json(place / "history.json", history)
    failed = {"kind": workdirs.FAILED_CELL_KIND, "cell": "block2_cell1", "reason": "diverged"}
    failed |= {"losses": [1.0], "rate_factor": 0.5, "failed_at_step": 7}
    files.write_json(workdir.failed_cell("block2_cell1"), failed)
    entry = {"rating": architecture.rating, "costs": architecture.costs()}
    front = {
        "kind": workdirs.FRONT_KIND, "space": "tiny", "num_architectures": 64,
        "weights": [1.0, 1.0], "front_costs": ["macs"], "limits": {"max_macs": 15000.0},
        "rounding": 0.001,
        "entries": [{**entry, "blocks": architecture.describe(), "weighted_rating": 0.3}],
    }  # fmt: skip
    files.write_json(workdir.front, front)
    files.write_json(workdir.fronts / "macs.json", front)
    file = {
        "file": "int8.tflite", "bytes": 98_700, "agreement": 0.9, "good": False, "accuracy": 0.9,
        "largest_difference": 0.3, "operators": {"CONV_2D": 3},
        "commonly_refused": [{"operators": ["ADD"], "count": 1, "reason": "r"}],
    }  # fmt: skip
    exported = {
        "kind": workdirs.EXPORT_KIND, "architecture": architecture.name, "seed": 0, "images": 360,
        "keras_accuracy": 0.95, "image_size": 16, "files": {"int8": file},
        "problems": {"int8": "p"},
        "also": {"onnx": {"file": "model.onnx", "agreement": 1.0, "largest_difference": 0.0}},
    }  # fmt: skip
    files.write_json(workdir.exported(architecture.name) / "result.json", exported)
    return workdir


# A file of a run, and its kind.
OF_A_RUN = {
    "teacher": ("teacher/result.json", workdirs.TEACHER_KIND),
    "history": ("teacher/history.json", workdirs.HISTORY_KIND),
    "cell": ("supernet/block1_cell1.json", workdirs.CELL_KIND),
    "failed cell": ("supernet/block2_cell1_failed.json", workdirs.FAILED_CELL_KIND),
    "front": ("architectures/front.json", workdirs.FRONT_KIND),
    "front over costs": ("fronts/macs.json", workdirs.FRONT_KIND),
    "student": ("students/max_macs_15k/seed1/result.json", workdirs.STUDENT_KIND),
    "export": ("exports/max_macs_15k/result.json", workdirs.EXPORT_KIND),
    "evaluation of a student": ("evaluations/0_0.json", workdirs.EVALUATION_KIND),
    "config of a report": ("config.json", workdirs.CONFIG_KIND),
    "architecture of a report": ("architectures/max_macs_15k.json", architectures.KIND),
}


def _of_a_run(name, kind):
    def make(folder):
        workdir = _run(folder / "run")
        path = workdir.path / name

        def read():
            run = run_data.read_run(workdir.path)
            notes = [note.text for part in run.notes.values() for note in part if not note.command]
            for note in notes:
                if path.name in note:
                    raise ValueError(note)
            files.read_json(path, kind, "")
            report_page.report_html(run, None)
            result_tables.markdown(result_tables.run_rows(workdir.path))

        return path, _content(path), read

    return make


# Files of a run that compressed a model, and their kinds.
OF_A_COMPRESSION = {
    "compressed student": ("compressed/max_macs_half/result.json", workdirs.COMPRESSED_KIND),
    "export of a compressed student": (
        "compressed/max_macs_half/exports/result.json",
        workdirs.EXPORT_KIND,
    ),
    "assembly": ("compressed/max_macs_half/assembly.json", assemblies.KIND),
    "additivity": ("additivity.json", workdirs.ADDITIVITY_KIND),
    "agreement of seeds": ("seeds/1/agreement.json", workdirs.SEEDS_KIND),
    "ratings by replacing": ("replacements/block1_cell1.json", replaced_cells.KIND),
}


def _of_a_compression(name, kind):
    def make(folder):
        kl = compressed_runs.write_run(folder)
        compressed_runs.write_additivity(folder, kl)
        compressed_runs.write_agreement(folder)
        path = folder / name

        def read():
            run = run_data.read_run(folder)
            for note in run.notes.get(compression_data.PART, ()):
                raise ValueError(note.text)
            files.read_json(path, kind, "")
            report_page.report_html(run, None)

        return path, _content(path), read

    return make


def _evaluation(folder):
    path = evaluated_runs.write_evaluation(folder)
    content = _content(path) | {
        "num_classes": 3, "class_names": ["a", "b", "c"], "test_images": 12, "test_correct": 6,
        "top5_correct": 12, "test_accuracy": 0.5, "warnings": ["w"], "seconds": 1.5,
        "per_class": {"images": [4, 4, 4], "top1_correct": [4, 2, 0], "top5_correct": [4, 4, 4]},
        "confusion": {"0": {"0": 4}, "1": {"1": 2, "0": 2}, "2": {"0": 3, "1": 1}},
        "images_per_second": 8.0, "model_fingerprint": "m", "data_fingerprint": "d",
    }  # fmt: skip

    def read():
        from dna_tf.evaluation import page

        row = result_tables.evaluation_row(path)
        result_tables.csv_text([row]), row.interval
        page.page_html(files.read_json(path, workdirs.EVALUATION_KIND, ""))

    return path, content, read


KINDS = {
    "architecture": _architecture,
    "ratings": _ratings,
    "angles of a cell": _cell_angle,
    "angles": _angles,
    "op costs": _op_costs,
    "measurements": _measurements,
    "config": _config,
    "evaluation": _evaluation,
    **{name: _of_a_run(*file) for name, file in OF_A_RUN.items()},
    **{name: _of_a_compression(*file) for name, file in OF_A_COMPRESSION.items()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_is_read_rightly_or_refused_by_name(tmp_path, kind):
    path, content, read = KINDS[kind](tmp_path)
    path.write_text(json.dumps(content))
    read()
    examples = 8 if kind in {**OF_A_RUN, **OF_A_COMPRESSION} else 30
    assert mutations.counts(path, content, read, examples)["refused"] > examples // 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_broken_files_are_read_rightly_or_refused_by_name(tmp_path, kind):
    path, content, read = KINDS[kind](tmp_path)
    assert mutations.counts(path, content, read, SLOW, seed=1)["refused"] > SLOW // 10


def test_every_kind_of_result_has_fields():
    kinds = {value for name, value in vars(workdirs).items() if name.endswith("_KIND")}
    assert kinds <= file_fields.FIELDS.keys()
