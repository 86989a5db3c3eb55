"""Opening a run: its images are held against those that its teacher and students saw."""

import concurrent.futures
import contextlib
import pathlib
import types

import pytest

from dna_tf import workdirs
from dna_tf.common import files, locks
from dna_tf.data import loading
from dna_tf.models import keras_files, students
from dna_tf.phases import (
    compression_start,
    exporting,
    pruning,
    quantizing,
    rating,
    reporting,
    retraining,
    runs,
    supernet_training,
    teacher_training,
)
from dna_tf.space import presets, spaces
from dna_tf.teachers import residual_cnn
from tests.helpers import data_files, rated_runs, student_runs, tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run as if it were trained up to a student: `(Workdir, config, architecture)`.

    Its images are PNG files. Nothing in it is trained, and the cells have no weights.
    """
    folder = tmp_path_factory.mktemp("runs")
    data_files.write_folder(folder / "images", ["ant", "bee", "cat"], 20)
    keras_files.save_model(residual_cnn.build((16, 16, 3), 3), folder / "teacher.keras")
    config = tiny_config.get_config()
    config.data.source = f"folder:{folder / 'images'}"
    config.teacher.model = str(folder / "teacher.keras")
    config.supernet.batch_size = 8
    workdir, config = workdirs.open_workdir(folder / "run", config)
    teacher = teacher_training.train_teacher(workdir, config)
    for b, c, _ in presets.get_space(config.space).cells():
        name = spaces.cell_name(b, c)
        cell = {"kind": "dna_tf.cell", "teacher": teacher["fingerprint"], "fingerprint": name}
        files.write_json(workdir.cell(name), cell)
    arch = student_runs.tiny_architecture(num_classes=3)
    student = workdir.student(arch.name, 0)
    keras_files.save_model(students.build_student(arch), student / "model.keras")
    trained = {"architecture": arch.name, "data_fingerprint": teacher["data_fingerprint"]}
    files.write_json(student / "result.json", {"kind": "dna_tf.student", "seed": 0, **trained})
    return workdir, config, arch


def _image(config):
    return pathlib.Path(config.data.source.removeprefix("folder:")) / "ant" / "000.png"


def test_a_run_of_an_earlier_version_keeps_the_fingerprint_of_its_data(run):
    workdir, config, _ = run
    path = workdir.teacher / "result.json"
    text, result = path.read_text(), workdir.teacher_result()
    former = loading.load(config.data, config.seed).former_fingerprint
    assert former != result["data_fingerprint"]
    files.write_json(path, {**result, "data_fingerprint": former})
    assert runs.Run(workdir, config).images.fingerprint == former
    path.write_text(text)
    assert runs.Run(workdir, config).images.fingerprint == result["data_fingerprint"]


def test_a_run_goes_on_when_its_data_has_moved(run, tmp_path):
    workdir, config, _ = run
    place = pathlib.Path(config.data.source.removeprefix("folder:"))
    text = workdir.config.read_text()
    place.rename(tmp_path / "moved")
    try:
        moved = config.copy_and_resolve_references()
        moved.data.source = f"folder:{tmp_path / 'moved'}"
        images = runs.open_run(workdir.path, moved).images
        assert images.fingerprint == workdir.teacher_result()["data_fingerprint"]
        (tmp_path / "moved" / "bee" / "000.png").unlink()
        with pytest.raises(ValueError, match="data has changed since the teacher"):
            _ = runs.open_run(workdir.path, moved).images
    finally:
        data_files.write_folder(place, ["ant", "bee", "cat"], 20)
        workdir.config.write_text(text)


@pytest.fixture
def changed(run):
    """The run while one of its image files has other pixels."""
    image = _image(run[1])
    before = image.read_bytes()
    image.write_bytes(data_files.png(data_files.picture(1000, 9, 9)))
    yield run
    image.write_bytes(before)


def _supernet(workdir, config, arch):
    cell = workdir.cell("block1_cell1")
    result = cell.read_bytes()
    cell.unlink()
    try:
        supernet_training.train_supernet(workdir, config)
    finally:
        cell.write_bytes(result)


def _searched(arch):
    blocks = [types.SimpleNamespace(cell=0, path=(0,) * n, rating=1.0) for n in (1, 2)]
    return types.SimpleNamespace(blocks=blocks)


_PHASES = {
    "train_supernet": _supernet,
    "rate": lambda workdir, config, arch: rating.rate(workdir, config),
    "retrain": lambda workdir, config, arch: retraining.retrain(workdir, config, arch, [1]),
    "quantize": lambda workdir, config, arch: quantizing.quantize(workdir, config, arch.name),
    "prune": lambda workdir, config, arch: pruning.prune(workdir, config, arch.name),
    "maps": lambda workdir, config, arch: reporting.imitated_maps(workdir, config, _searched(arch)),
}


@pytest.mark.parametrize("phase", _PHASES)
def test_every_phase_refuses_images_that_changed(changed, monkeypatch, phase):
    workdir = changed[0]
    monkeypatch.setattr(compression_start.tf_keras_bridge, "import_tfmot", lambda: None)
    before = rated_runs.snapshot(workdir.path).keys()
    with pytest.raises(ValueError, match=r"(?s)^The data has changed since the teacher in .*run"):
        _PHASES[phase](*changed)
    assert rated_runs.snapshot(workdir.path).keys() == before


_WRITTEN = {
    "train_supernet": lambda workdir, name: workdir.cell("block1_cell1"),
    "rate": lambda workdir, name: workdir.ratings / "block2_cell1.json",
    "retrain": lambda workdir, name: workdir.student(name, 1),
    "quantize": lambda workdir, name: workdir.exported(name) / "qat.json",
    "prune": lambda workdir, name: workdir.exported(name) / "pruned.json",
    "export": lambda workdir, name: workdir.exported(name) / "result.json",
    "teacher": lambda workdir, name: workdir.teacher,
}


@pytest.mark.parametrize("phase", _WRITTEN)
def test_every_phase_leaves_alone_what_another_process_writes(run, monkeypatch, tmp_path, phase):
    """Before images are loaded; another thread stands for the other process."""
    workdir, config, arch = run
    phases = {
        **_PHASES,
        "teacher": lambda workdir, config, arch: teacher_training.train_teacher(workdir, config),
        "export": lambda workdir, config, arch: exporting.export_file(
            config.teacher.model, config, workdir.exported(arch.name), workdir
        ),
    }
    if phase == "teacher":
        workdir, config = workdirs.open_workdir(tmp_path / "new", config)
    monkeypatch.setattr(compression_start.tf_keras_bridge, "import_tfmot", lambda: None)
    monkeypatch.setattr(loading, "load", None)
    before = rated_runs.snapshot(workdir.path).keys()
    with _held_by_another(_WRITTEN[phase](workdir, arch.name)):
        with pytest.raises(locks.InUse, match="^The .*is being written by process .* since "):
            phases[phase](workdir, config, arch)
    assert rated_runs.snapshot(workdir.path).keys() == before


@contextlib.contextmanager
def _held_by_another(target):
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        lock = locks.hold(target, "it")
        thread.submit(lock.__enter__).result()
        try:
            yield
        finally:
            thread.submit(lock.__exit__, None, None, None).result()


def test_the_config_of_a_phase_that_is_beginning_cannot_be_changed(tmp_path):
    config = tiny_config.get_config()
    workdir, config = workdirs.open_workdir(tmp_path / "run", config)
    other = config.copy_and_resolve_references()
    other.data.rating_per_class += 1
    with _held_by_another(workdir.teacher):
        with pytest.raises(ValueError, match="was made with another config"):
            workdirs.open_workdir(workdir.path, other)
    workdir.teacher.mkdir()  # left by a process that was killed before it wrote anything
    (workdir.teacher / ".checkpoints.lock").touch()
    assert workdirs.open_workdir(workdir.path, other)[1].data == other.data


def test_the_message_names_both_fingerprints_and_what_to_do(changed):
    workdir, config, _ = changed
    then = workdir.teacher_result()["data_fingerprint"]
    now = loading.load(config.data, config.seed).fingerprint
    assert now != then
    with pytest.raises(ValueError) as error:
        _ = runs.open_run(workdir.path).images
    assert str(error.value) == (
        f"The data has changed since the teacher in {workdir.teacher} was trained: fingerprint "
        f"{now} now, {then} then. Bring the data back, or start in a new workdir."
    )


def test_without_a_teacher_the_images_are_held_against_the_student(changed, tmp_path, monkeypatch):
    workdir, config, arch = changed
    monkeypatch.setattr(compression_start.tf_keras_bridge, "import_tfmot", lambda: None)
    other = workdirs.Workdir(tmp_path / "students_only")
    other.path.mkdir()
    (workdir.path / "students").rename(other.path / "students")
    try:
        for phase in (pruning.prune, quantizing.quantize):
            with pytest.raises(ValueError, match="has changed since the student in .*seed0 was"):
                phase(other, config, arch.name)
    finally:
        (other.path / "students").rename(workdir.path / "students")


def test_a_run_loads_images_and_teacher_on_first_use_and_once(run, monkeypatch):
    workdir, config, _ = run
    loads, load = [], loading.load
    monkeypatch.setattr(loading, "load", lambda *settings: loads.append(1) or load(*settings))
    opened = runs.open_run(str(workdir.path))
    assert opened.config.to_dict() == config.to_dict() and not loads
    assert opened.images is opened.images and len(loads) == 1
    assert opened.teacher is opened.teacher and len(opened.teacher.blocks) == 2
    assert opened.images.fingerprint == workdir.teacher_result()["data_fingerprint"]
    from_values = runs.open_run(workdir, config)
    assert from_values.workdir is workdir and from_values.config is config
    assert runs.open_run(workdir).config.to_dict() == config.to_dict()


def test_a_run_without_a_teacher_names_the_file(tmp_path):
    opened = runs.open_run(tmp_path / "new", tiny_config.get_config())
    with pytest.raises(FileNotFoundError, match="result.json"):
        _ = opened.teacher


def test_a_result_is_reused_if_it_is_of_the_same_identity(tmp_path):
    path = tmp_path / "result.json"
    assert runs.existing_result(path, "dna_tf.x", seed=1) is None
    path.write_text('{"kind": "dna_tf.x", "seed": 1, "file": "weights"}')
    assert runs.existing_result(path, "dna_tf.x", seed=1) is None  # no weights yet
    (tmp_path / "weights").touch()
    assert runs.existing_result(path, "dna_tf.x", seed=1)["file"] == "weights"
    assert runs.existing_result(path, "dna_tf.x", seed=2) is None
    assert runs.existing_result(path, "dna_tf.x", seed=1, student="a") is None
    with pytest.raises(ValueError, match="Delete .*result.json and do it again"):
        runs.existing_result(path, "dna_tf.y")
