"""A table of experiments: rows that differ in fields of the config and in limits.

Rows with equal changes share a run, and with it cells and ratings. Rows with equal teachers share
the teacher, and a cache of its features on disk. DNA's Tables 4 and 5 are such tables.
"""

import dataclasses

from dna_tf import workdirs
from dna_tf.common import checks, files, formatting, progress
from dna_tf.config import run_config
from dna_tf.phases import (
    rating,
    retraining,
    runs,
    search_inputs,
    supernet_training,
    teacher_training,
)
from dna_tf.report import matrix_page
from dna_tf.search import control, drawing, finding
from dna_tf.space import cost_limits, presets, published_tables, scaling, tasks
from dna_tf.supernet import cell_training

_TEACHER_SECTIONS = ("seed", "data", "teacher", "teacher_training")
# In this order: a teacher without its result is not there.
_TEACHER_FILES = ("model.keras", "history.json", "result.json")


@dataclasses.dataclass(frozen=True)
class Row:
    """An experiment.

    Args:
        name: names the row, its students and, for the first of some rows, their run.
        config: the whole config, with the row's changes.
        changes: a dict from fields, such as `"supernet.inputs"`, to values.
        limits: a `cost_limits.Limits`.
        scale_params: parameters to which the searched network is scaled; 0 for none.
    """

    name: str
    config: object
    changes: dict
    limits: cost_limits.Limits
    scale_params: int = 0

    @property
    def run_key(self):
        """Equal for rows that share a run."""
        return files.fingerprint(run_config.to_plain(self.changes))

    @property
    def teacher_key(self):
        """Equal for rows that share a teacher."""
        return run_config.result_fingerprint(self.config, _TEACHER_SECTIONS)


def read_rows(matrix, config):
    """Reads and checks the rows of a table before any work.

    Args:
        matrix: a dict with `rows`, and optionally `published`, a name of
            `published_tables.TABLES`. A row is a dict with `name`, and optionally `changes` (from
            fields to values), `limits` (text) and `scale_params` (such as `"64.9M"`).
        config: the config that the rows change.

    Returns:
        A list of `Row`.

    Raises:
        ValueError: a key, a field or a value is wrong, or two rows have one name.
    """
    matrix = checks.check_keys("table of experiments", matrix, ("rows",), ("published",))
    if matrix.get("published"):
        checks.choose(matrix["published"], published_tables.TABLES, "published table")
    rows = []
    for number, data in enumerate(checks.check_sequence("rows", matrix["rows"]), 1):
        what = f"row {number}"
        data = checks.check_keys(what, data, ("name",), ("changes", "limits", "scale_params"))
        checks.check_file_name("a row", data["name"])
        changes = dict(data.get("changes") or {})
        try:
            changed = _changed(config, changes)
            limits = cost_limits.Limits(data.get("limits") or None)
            scale = data.get("scale_params")
            params = formatting.parse_count(scale) if scale else 0
            space, inputs = presets.get_space(changed.space), changed.supernet.inputs
            cell_training.cells_to_train(space, (), inputs)
        except (ValueError, TypeError) as error:
            raise ValueError(f"Row {number} ({data['name']!r}): {error}") from error
        rows.append(Row(data["name"], changed, changes, limits, params))
    names = [row.name for row in rows]
    if not rows or len(set(names)) < len(names):
        raise ValueError(f"A table needs rows, and each needs its own name. Received: {names}")
    return rows


def _changed(config, changes):
    """A config with some fields changed, checked."""
    plain = run_config.to_plain(config)
    for name, value in run_config.to_plain(changes).items():
        run_config.check_field(name)
        section, _, field = name.partition(".")
        if field:
            plain[section][field] = value
        else:
            plain[section] = value
    return run_config.with_image_size(run_config.from_plain(plain))


def run(folder, matrix, config, strategy=None):
    """Runs all rows, and writes their table after each one. A killed table resumes.

    Args:
        folder: where the runs and the table go.
        matrix: as `read_rows` takes it.
        config: the config that the rows change.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Returns:
        The content of `matrix.json`.

    Raises:
        ValueError: rows or configs are wrong, limits cannot be met, or the folder is a run.
    """
    folder, rows = files.as_path(folder), read_rows(matrix, config)
    if (folder / "config.json").exists():
        raise ValueError(
            f"The folder {folder} is a run. A table of experiments has several runs below its "
            "folder: give another one with --workdir=FOLDER."
        )
    workdirs_by_row = {row.name: _open(folder, row, rows) for row in rows}
    _check_limits(rows, workdirs_by_row)
    content = {
        "kind": workdirs.MATRIX_KIND,
        "published": matrix.get("published") or "",
        "data": config.data.source,
        "teachers": [],
        "rows": [],
    }
    teachers = {}
    for number, row in enumerate(rows, 1):
        progress.say(f"\n[{number}/{len(rows)}] {row.name}")
        workdir, row_config = workdirs_by_row[row.name]
        _take_teacher(workdir, teachers.get(row.teacher_key))
        result = teacher_training.train_teacher(workdir, row_config, strategy)
        if row.teacher_key not in teachers:
            teachers[row.teacher_key] = workdir
            content["teachers"].append(_teacher_row(row, result))
        supernet_training.train_supernet(workdir, row_config, strategy)
        rating.rate(workdir, row_config)
        content["rows"].append(_result(workdir, row_config, row, strategy))
        files.write_json(folder / "matrix.json", content)
        files.write_text(folder / "matrix.html", matrix_page.page_html(content))
    for line in matrix_page.lines(content):
        progress.say(line)
    progress.say(str(folder / "matrix.html"))
    return content


def _open(folder, row, rows):
    """The workdir and the config of a row, in the run of the first row with its changes."""
    first = next(other for other in rows if other.run_key == row.run_key)
    config = row.config
    if config.supernet.features == "disk" and not config.supernet.cache_folder:
        config = config.copy_and_resolve_references()
        with config.unlocked():
            config.supernet.cache_folder = str(folder / "features" / row.teacher_key)
    return workdirs.open_workdir(folder / "runs" / first.name, config)


def _check_limits(rows, workdirs_by_row):
    """Checks that each row's limits can be met, before anything is trained."""
    images = runs.open_run(*workdirs_by_row[rows[0].name]).images
    for row in rows:
        data = row.config.data
        task = tasks.Task(data.image_size, data.channels, images.num_classes)
        try:
            problem = drawing.unrated_problem(presets.get_space(row.config.space), task)
            drawing.check_possible(problem, row.limits)
        except ValueError as error:
            raise ValueError(f"Row {row.name!r}: {error}") from error


def _take_teacher(workdir, source):
    """Copies the teacher of another run; one that is there stays."""
    if source is None or source.path == workdir.path:
        return
    if not (workdir.teacher / "result.json").exists():
        for name in _TEACHER_FILES:
            if (source.teacher / name).exists():
                files.write_bytes(workdir.teacher / name, (source.teacher / name).read_bytes())


def _teacher_row(row, result):
    fields = ("model", "params", "macs", "test_accuracy", "test_images")
    return {"row": row.name, **{name: result[name] for name in fields}}


def _result(workdir, config, row, strategy):
    """Searches and trains the network of a row and its controls, and returns its line."""
    inputs = search_inputs.SearchInputs(workdir, config)
    (choice,) = finding.best_choices(inputs.problem, row.limits)
    origin = finding.search_origin(choice, 1, row.limits)
    arch = inputs.architecture(choice, row.name, origin)
    searched, note = {row.name: arch}, ""
    if row.scale_params:
        searched[row.name] = scaling.scale_to(arch, params=row.scale_params, name=row.name)
    else:
        macs = arch.costs()["macs"]
        try:
            drawn = inputs.draw_controls(choice, macs, config.search.controls)
        except control.NoControl as error:
            drawn, note = [], str(error)
        for number, other in enumerate(drawn, 1):
            name = f"{row.name}_control{'' if number == 1 else number}"
            by_control = {"by": "control", "control_of": row.name}
            searched[name] = inputs.architecture(other, name, by_control)
    search_inputs.save_all(searched, workdir)
    accuracies = {}
    for name, each in searched.items():
        results = retraining.retrain(workdir, config, each, strategy=strategy)
        accuracies[name] = [result["test_accuracy"] for result in results]
    costs = searched[row.name].costs()
    of_controls = [value for name in list(searched)[1:] for value in accuracies[name]]
    return {
        "name": row.name,
        "run": workdir.path.name,
        "changes": {name: str(value) for name, value in row.changes.items()},
        "limits": dict(row.limits),
        "blocks": searched[row.name].describe(),
        "params": costs["params"],
        "macs": costs["macs"],
        "rating": None if row.scale_params else arch.rating,
        "accuracies": accuracies[row.name],
        "controls": of_controls,
        "test_images": results[0]["test_images"],
        "note": note,
    }
