"""DNA's Table 2 with measured results of runs and evaluations, and below it the published one."""

import csv
import dataclasses
import io

from dna_tf import workdirs
from dna_tf.common import files, formatting, statistics
from dna_tf.report import run_data
from dna_tf.report.number_text import percent
from dna_tf.space import zoo


@dataclasses.dataclass(frozen=True)
class ResultRow:
    """The measured results of one network.

    Args:
        name: the network.
        role: what it is, in words: searched, a control, the teacher, a file.
        path: the folder of the run, or the file of the evaluation, with the results.
        data: the source of the test images.
        num_classes: classes of the data.
        images: number of test images.
        seeds: number of trainings; `top1` is their mean.
        params: trainable parameters; `None` if unknown.
        macs: multiply-accumulates for one image; `None` if unknown.
        authors_flops: FLOPs as DNA's authors count them; `None` if unknown.
        top1: share of right answers.
        spread: standard deviation of `top1` over seeds; `None` for one seed.
        top5: share of images whose class is among the best five; `None` if not measured.
    """

    name: str
    role: str
    path: str
    data: str
    num_classes: int
    images: int
    seeds: int
    params: int | None
    macs: int | None
    authors_flops: int | None
    top1: float
    spread: float | None
    top5: float | None

    @property
    def run(self):
        """The last part of the path: a short name of the run."""
        return files.as_path(self.path).name.removesuffix(".json")

    @property
    def interval(self):
        """The 95 % Wilson interval of `top1` for one test set: `(low, high)`."""
        return statistics.wilson(round(self.top1 * self.images), self.images)


def run_rows(path):
    """The results of the teacher and the trained students of a run.

    Top-5 accuracies come from the run's `evaluations/`, if the students were evaluated.

    Args:
        path: the folder of the run.

    Returns:
        A list of `ResultRow`, searched networks before controls.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no network is trained in it, or one of its files is broken.
    """
    run = run_data.read_run(path)
    # A report names a broken file beside the rest; a table would silently average fewer seeds.
    parts = ("teacher", "students", "architectures", "evaluations")
    broken = [note.text for part in parts for note in run.notes.get(part, ()) if not note.command]
    if broken:
        raise ValueError(f"Files of the run {run.path} are broken. {' '.join(broken)}")
    rows = []
    teacher = run.teacher or {}
    if teacher.get("test_accuracy") is not None and teacher.get("test_images"):
        rows.append(_teacher_row(run))
    rows += [
        _student_row(run, name) for name in run_data.ordered_names(run) if name in run.students
    ]
    if not rows:
        raise ValueError(f"The run {run.path} contains no trained network. Train students first.")
    return rows


def evaluation_row(path):
    """The `ResultRow` of a result file of an evaluation.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is another kind of file.
    """
    result = files.read_json(
        path, workdirs.EVALUATION_KIND, "Evaluate a model first; the result is such a file."
    )
    if "num_classes" not in result:
        raise ValueError(f"The evaluation {path} is of an earlier version. Evaluate again.")
    total, five = result["test_images"], result["top5_correct"]
    return ResultRow(
        name=_model_name(files.as_path(result["model"])),
        role=f"file at {result['settings']['image_size']} px",
        path=str(path),
        data=result["data"],
        num_classes=result["num_classes"],
        images=total,
        seeds=1,
        params=result.get("params"),
        macs=result.get("macs"),
        authors_flops=None,
        top1=result["test_correct"] / total,
        spread=None,
        top5=None if five is None else five / total,
    )


def _model_name(model):
    """The name of an evaluated file, with its folders if every run has a file of that name."""
    folders = [part for part in model.parent.parts[-2:] if part != model.anchor]
    if model.stem in ("model", "best") and folders:
        return "/".join(folders if model.stem == "model" else [*folders, model.stem])
    if "exports" in folders[:-1]:
        return f"{folders[-1]}/{model.stem}"
    return model.stem


def _teacher_row(run):
    teacher = run.teacher
    return ResultRow(
        name=str(teacher.get("model")),
        role="teacher",
        path=run.path,
        data=_test_data(run),
        num_classes=teacher["num_classes"],
        images=teacher["test_images"],
        seeds=1,
        params=teacher.get("params"),
        macs=teacher.get("macs"),
        authors_flops=None,
        top1=teacher["test_accuracy"],
        spread=None,
        top5=_top5([_evaluation(run, "teacher/model.keras", teacher)]),
    )


def _student_row(run, name):
    results, arch = run.students[name], run.architectures.get(name)
    costs = arch.costs() if arch else {key: results[0].get(key) for key in ("params", "macs")}
    num_classes = arch.num_classes if arch else (run.teacher or {}).get("num_classes", 0)
    mean, spread = statistics.mean_and_std([result["test_accuracy"] for result in results])
    evaluations = [
        _evaluation(run, f"students/{name}/seed{result['seed']}/model.keras", result)
        for result in results
    ]
    return ResultRow(
        name=name,
        role=run_data.role(run, name),
        path=run.path,
        data=_test_data(run),
        num_classes=num_classes,
        images=results[0]["test_images"],
        seeds=len(results),
        params=costs.get("params"),
        macs=costs.get("macs"),
        authors_flops=costs.get("authors_flops"),
        top1=mean,
        spread=spread,
        top5=_top5(evaluations),
    )


def _test_data(run):
    """The source of the run's test images."""
    section = (run.config or {}).get("data", {})
    return section.get("test_source") or section.get("source") or "unknown"


def _evaluation(run, model, trained):
    """The evaluation of a model on the test images of its training; `{}` if there is none."""
    for result in run.evaluations:
        same = all(
            result.get(key) == trained.get(key) for key in ("data_fingerprint", "test_images")
        )
        if same and result["model"] == model:
            return result
    return {}


def _top5(evaluations):
    """The mean top-5 accuracy; `None` unless all trainings were evaluated."""
    if any(result.get("top5_correct") is None for result in evaluations):
        return None
    return statistics.mean_and_std([e["top5_correct"] / e["test_images"] for e in evaluations])[0]


def markdown(rows):
    """The table as Markdown: measured results by data set, then the published ones.

    Args:
        rows: a list of `ResultRow`.
    """
    lines = ["# Results", ""]
    for data in dict.fromkeys(row.data for row in rows):
        measured = [_measured_cells(row) for row in rows if row.data == data]
        lines += [f"## Measured here on {_cell(data)}", ""]
        heads = [
            "network",
            "what",
            "run",
            "params",
            "MACs",
            "authors' FLOPs",
            "top-1",
            "95 % interval",
        ]
        lines += _table([*heads, "top-5", "images", "seeds"], measured)
    lines += [f"## Published, not measured here: {zoo.SOURCE}", ""]
    cells = [
        [
            row.name,
            _rounded(row.params),
            _rounded(row.flops),
            f"{row.top1:.1f} %",
            "–" if row.top5 is None else f"{row.top5:.1f} %",
        ]
        for row in zoo.TABLE_2
    ]
    lines += _table(["network", "params", "FLOPs", "top-1", "top-5"], cells)
    lines.append(
        "FLOPs are as each paper counts them; DNA's are multiply-accumulates and the operations of "
        "batch norm and biases. The interval is Wilson's for one test set; ± is the standard "
        "deviation over seeds."
    )
    return "\n".join(lines) + "\n"


def _measured_cells(row):
    low, high = row.interval
    spread = "" if row.spread is None else f" ± {100 * row.spread:.2f}"
    return [
        row.name,
        row.role,
        row.run,
        _exact(row.params),
        _exact(row.macs),
        _exact(row.authors_flops),
        f"{100 * row.top1:.2f}{spread} %",
        f"{100 * low:.2f}–{100 * high:.2f} %",
        percent(row.top5),
        f"{row.images:,}",
        str(row.seeds),
    ]


def _exact(number):
    return "–" if number is None else f"{number:,}"


def _rounded(number):
    return "–" if number is None else formatting.format_count(number)


def _table(heads, rows):
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""]


def _cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


_COLUMNS = ("kind", "network", "role", "data", "images", "seeds", "params", "macs", "authors_flops")
_COLUMNS += ("flops_published", "top1_percent", "top1_low", "top1_high", "top1_std")
_COLUMNS += ("top5_percent", "source")


def csv_text(rows):
    """The table as CSV; its column `kind` is `measured` or `published`.

    Args:
        rows: a list of `ResultRow`.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        shares = dict(zip(("top1_low", "top1_high"), row.interval, strict=True))
        shares |= {"top1_percent": row.top1, "top1_std": row.spread, "top5_percent": row.top5}
        plain = dataclasses.asdict(row)
        writer.writerow(
            {key: plain[key] for key in _COLUMNS[3:9]}
            | {"kind": "measured", "network": row.name, "role": row.role, "source": row.path}
            | {key: "" if share is None else round(100 * share, 4) for key, share in shares.items()}
        )
    for row in zoo.TABLE_2:
        writer.writerow(
            {"kind": "published", "network": row.name, "params": row.params and int(row.params)}
            | {"flops_published": row.flops and int(row.flops), "top1_percent": row.top1}
            | {"top5_percent": row.top5, "source": zoo.SOURCE, "data": "ImageNet"}
        )
    return text.getvalue()
