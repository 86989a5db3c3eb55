"""The phases of a tiny run, each as a function of its folder, for the net of crash points.

A run has 90 random images of three classes in a folder, a space of three cells, and a few steps
of every training, so that a phase takes a second or two.
"""

import contextlib
import dataclasses
import itertools
import shutil
import sys
from collections.abc import Callable
from unittest import mock

from dna_tf import workdirs
from dna_tf.space import op_costs
from tests.helpers import crash_work, rated_runs, tiny_config

NAME = "max_macs_15k"
NAMES = (
    "teacher", "supernet", "supernet S1", "feature cache", "rating", "replacing", "compressing",
    "search", "retraining",
    "export", "quantize", "prune", "export otherwise and back", "prune otherwise and back",
    "quantization report", "evaluate", "report", "latency table",
    "search of invented ratings", "front", "tables",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase of a run.

    Args:
        name: its name.
        run: does in a folder what the tool does.
        after: the name of the phase whose end it starts from; `""` for an empty folder.
        work: `work(count)` returns `(owner, attribute, function)` to replace, with a function
            that calls `count` for each unit of work: a step, a rated path.
        saves: `(owner, attribute)` of functions after which the work so far is safe.
        back: what is done after a death in place of `run`, if that is something else; its end is
            the start of the phase.
        prepare: writes what the phase starts from into a folder, if `after` is `""`.
        may_leave: pattern of what a death may leave for good: the unfinished training of other
            settings, which goes on when these are asked for again.
    """

    name: str
    run: Callable
    after: str = ""
    work: Callable = lambda count: ()
    saves: tuple = ()
    prepare: Callable = lambda folder: None
    back: Callable | None = None
    may_leave: str = r"^$"


def config(folder, **changes):
    """The config of the run in `folder`, which is `NETS/PHASE/place/run`; images are in `NETS`."""
    section = tiny_config.get_config()
    section.data.source = f"folder:{folder.parents[2]}/images"
    section.data.rating_per_class = 4
    section.supernet.checkpoint_seconds = 0.0
    section.supernet.batch_size = section.retrain.batch_size = 60
    section.teacher_training.batch_size = 60
    section.supernet.epochs = section.teacher_training.epochs = section.retrain.epochs = 2
    section.rating.batch_size, section.rating.checkpoint_seconds = 6, 0.0
    section.rating.calibration_images = 16
    section.search.budgets = ("max_macs=15k",)
    section.fine_tune.epochs, section.fine_tune.batch_size = 2, 30
    recipes = section.teacher_training, section.retrain, section.fine_tune
    for recipe in (*recipes, section.quantize, section.prune):
        recipe.checkpoint_seconds = 0.0
    section.teacher_training.tensorboard = True
    section.compress.measured_paths, section.compress.realised = 3, 2
    section.retrain.take, section.retrain.ema_decay = "best", 0.9
    section.export.precisions, section.export.also = ("float32", "int8"), ("savedmodel",)
    section.export.test_images = 12
    for recipe in (section.quantize, section.prune):
        recipe.epochs, recipe.batch_size = 1, 30
    section.quantize.calibration_images = 20
    section.space = changes.pop("space", section.space)
    section.update_from_flattened_dict(changes)
    return section


def _images(folder):
    from tests.helpers import data_files

    if not (folder.parents[2] / "images").exists():
        data_files.write_folder(folder.parents[2] / "images", ["ant", "bee", "cat"], 30)


@contextlib.contextmanager
def in_seconds():
    """Context in which a phase of few steps is short, and saves at the same places every time.

    TensorFlow runs without compiling graphs, which would take most of the time, and the clock of
    the training loop counts its readings.
    """
    if "tensorflow" not in sys.modules:
        yield
        return
    import tensorflow as tf

    from dna_tf.training import loop

    readings = itertools.count()
    tf.config.run_functions_eagerly(True)
    try:
        with mock.patch.object(loop, "now", lambda: next(readings) / 1000):
            yield
    finally:
        tf.config.run_functions_eagerly(False)


# Phases


def _opened(folder, **changes):
    return workdirs.open_workdir(folder, config(folder, **changes))


def _teacher(folder):
    from dna_tf.phases import teacher_training

    teacher_training.train_teacher(*_opened(folder))


def _supernet(**changes):
    def run(folder):
        from dna_tf.phases import supernet_training

        supernet_training.train_supernet(*_opened(folder, **changes))

    return run


def _rating(folder):
    from dna_tf.phases import rating

    rating.rate(*_opened(folder))


def _replacing(folder):
    from dna_tf.phases import compressing

    compressing.replace(*_opened(folder))


def _compressing(folder):
    from dna_tf.phases import compressing

    compressing.compress(*_opened(folder), {"max_macs": "99%"})


def _search(folder):
    from dna_tf.phases import searching

    searching.search_budgets(*_opened(folder))


def _front(folder):
    from dna_tf.phases import search_inputs, search_question
    from dna_tf.space import cost_limits

    limits = cost_limits.Limits("max_macs=15k")
    question = search_question.Question("best", limits, top=2, front=("macs", "params"))
    search_question.answer(search_inputs.SearchInputs(*_opened(folder)), question)


def _rated(folder):
    shutil.rmtree(folder, ignore_errors=True)
    rated_runs.rated_run(folder, config(folder))


def _retraining(folder):
    from dna_tf.phases import retraining
    from dna_tf.space import zoo

    workdir, section = _opened(folder)
    retraining.retrain(workdir, section, zoo.find(NAME, workdir.architectures))


def _export(**changes):
    def run(folder):
        from dna_tf.phases import exporting

        workdir, section = _opened(folder)
        section.update_from_flattened_dict(changes)  # as with --output, which changes no run
        exporting.export_tflite(workdir, section, NAME)

    return run


def _quantize(**changes):
    def run(folder):
        from dna_tf.phases import quantizing

        quantizing.quantize(*_opened(folder, **changes), NAME)

    return run


def _prune(**changes):
    def run(folder):
        from dna_tf.phases import pruning

        pruning.prune(*_opened(folder, **changes), NAME)

    return run


def _quantization_report(folder):
    from dna_tf.phases import exporting

    workdir, section = _opened(folder)
    path = workdir.student(NAME, 0) / "model.keras"
    output = workdir.path / "quantization" / f"{NAME}_seed0.json"
    exporting.report(path, section, output, workdir, NAME, num_images=12, most_tried=1)


def _evaluate(folder):
    from dna_tf.phases import evaluating

    workdir, section = _opened(folder)
    evaluating.evaluate(workdir, section, workdir.student(NAME, 0) / "model.keras")


def _report(folder):
    from dna_tf.phases import pipeline

    pipeline.write_report(*_opened(folder))


def _evaluated(folder):
    from tests.helpers import evaluated_runs

    evaluated_runs.write_run(folder)


def _tables(folder):
    from dna_tf.common import files
    from dna_tf.report import report_page, result_tables, tradeoff_plot

    rows, tables = result_tables.run_rows(folder), files.as_path(folder) / "tables"
    files.write_text(tables / "table2.md", result_tables.markdown(rows))
    files.write_text(tables / "table2.csv", result_tables.csv_text(rows))
    files.write_text(tables / "figure3.svg", tradeoff_plot.svg(rows))
    report_page.write_report(folder)


def _latency(folder):
    from dna_tf.latency import graphs, measurements, sessions
    from dna_tf.phases import latency_tables
    from dna_tf.space import presets, tasks

    def part_ms(key, precision="float32"):
        return 0.003 + 0.002 * key.kernel * key.expand + 0.0002 * key.out_width

    def network_ms(architecture, precision):
        return 0.1 + 0.9 * sum(map(part_ms, op_costs.network_keys(architecture)))

    students = sessions.RandomStudents(presets.PRESETS["digits"], tasks.Task(32, 3, 10), 0)
    with (
        mock.patch.object(graphs, "part_graph", part_ms),
        mock.patch.object(graphs, "student_graph", network_ms),
        mock.patch.object(measurements, "GROUP", 8),
    ):
        path = folder / "latency.json"
        file = latency_tables.TableFile(path, crash_work.Meter(), "latency_ms", 0.05, students)
        file.make_table(fit=4)
        file.validate(3)


def phases():
    """A dict from name to `Phase`, in their order; loads TensorFlow."""
    from dna_tf.common import files
    from dna_tf.evaluation import measuring
    from dna_tf.export import conversion, quantization_error
    from dna_tf.features import shard_files
    from dna_tf.inheritance import replacement_rating
    from dna_tf.latency import measurements
    from dna_tf.space import ratings
    from dna_tf.training import checkpoints

    checkpoint = ((checkpoints.Checkpoint, "save"),)
    result = ((files, "write_json"),)
    disk = {"supernet.features": "disk"}
    blocks = [{"stride": 2, "cells": [[1, 6]]}, {"stride": 2, "cells": [[1, 8]]}]
    chain = {"supernet.inputs": "S1", "space": {**tiny_config.SPACE, "blocks": blocks}}
    every = (
        Phase("teacher", _teacher, "", crash_work.steps, checkpoint, _images),
        Phase("supernet", _supernet(), "teacher", crash_work.steps, checkpoint),
        Phase("supernet S1", _supernet(**chain), "teacher", crash_work.steps, checkpoint),
        Phase(
            "feature cache",
            _supernet(**disk),
            "teacher",
            crash_work.calls(shard_files, "write"),
            ((shard_files, "write"),),
        ),
        Phase("rating", _rating, "supernet", crash_work.paths, ((ratings, "save"),)),
        Phase(
            "replacing",
            _replacing,
            "rating",
            crash_work.calls(replacement_rating, "rate_cell"),
            ((files, "write_json"),),
        ),
        Phase("compressing", _compressing, "replacing", crash_work.steps, checkpoint),
        Phase("search", _search, "rating"),
        Phase("retraining", _retraining, "search", crash_work.steps, checkpoint),
        Phase("export", _export(), "retraining", crash_work.calls(conversion, "convert"), result),
        Phase("quantize", _quantize(), "retraining", crash_work.steps, checkpoint),
        Phase("prune", _prune(), "retraining", crash_work.steps, checkpoint),
        Phase(
            "export otherwise and back",
            _export(**{"export.precisions": ("int8",), "export.int8_io": "uint8"}),
            "export",
            back=_export(),
        ),
        Phase(
            "prune otherwise and back",
            _prune(**{"prune.epochs": 2}),
            "prune",
            back=_prune(),
            may_leave=r"/pruning_[0-9a-f]+/",
        ),
        Phase(
            "quantization report",
            _quantization_report,
            "retraining",
            crash_work.calls(quantization_error, "measure"),
            result,
        ),
        Phase("evaluate", _evaluate, "retraining", crash_work.calls(measuring, "measure"), result),
        Phase("report", _report, "search"),
        Phase(
            "latency table", _latency, "", crash_work.timed, ((measurements.Measurements, "save"),)
        ),
        *plain_phases().values(),
    )
    return {phase.name: phase for phase in every}


def plain_phases():
    """Those that load no TensorFlow, from invented results."""
    every = (
        Phase("search of invented ratings", _search, prepare=_rated),
        Phase("front", _front, prepare=_rated),
        Phase("tables", _tables, prepare=_evaluated),
    )
    return {phase.name: phase for phase in every}
