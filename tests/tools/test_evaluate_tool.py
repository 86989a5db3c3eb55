"""tools/evaluate.py from end to end: models of any form on folders and records, wrong input."""

import importlib
import json
import re
import sys

import keras
import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.config import run_config
from dna_tf.data import decoding
from dna_tf.evaluation import evaluation_images
from dna_tf.export import conversion
from dna_tf.phases import evaluating
from tests.helpers import data_files, rated_runs, tool_runs

CLASSES, SIZE = 7, 8
NAMES = [f"class_{letter}" for letter in "abcdefg"]


def _picture(rng, label):
    """A grey level for each class, with noise and some mistakes that a model must make."""
    shown = label if rng.rand() < 0.85 else (label + 2) % CLASSES
    image = rng.randint(0, 12, (10, 14, 3)) + 20 + 30 * shown
    return image.astype(np.uint8)


def _classifier(size=SIZE, classes=CLASSES, first=0):
    """Answers by the mean grey level, without training: the right class is the nearest level."""
    levels = 26.0 + 30.0 * (np.arange(classes) - first)
    image = keras.Input((size, size, 3), name="image")
    mean = keras.layers.GlobalAveragePooling2D()(image)
    dense = keras.layers.Dense(classes)
    scores = dense(mean)  # -(x - level)^2 without its x^2, which all classes share
    dense.set_weights([np.tile(2 * levels / 3, (3, 1)), -(levels**2)])
    return keras.Model(image, scores)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with data and models; a dict of paths and the labels by file."""
    folder, rng = tmp_path_factory.mktemp("evaluate"), np.random.RandomState(0)
    records = {"zero": [], "one": [], "two": []}
    pictures, labels = [], []
    for label, name in enumerate(NAMES):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(12 - label % 3):
            image = _picture(rng, label)
            content = data_files.png(image)
            (folder / "data" / name / f"{number}.png").write_bytes(content)
            pictures.append(image)
            labels.append(label)
            for start, key in enumerate(records):
                records[key].append(data_files.example(image=content, label=label + start))
    mixed = np.random.RandomState(1).permutation(len(labels))
    for key, found in records.items():
        data_files.write_records(folder / f"{key}.tfrecord", [found[i] for i in mixed])
    # Off by one, yet in range: seven classes of which the last is called the first.
    wrapped = [
        data_files.example(image=data_files.png(pictures[i]), label=(labels[i] + 1) % CLASSES)
        for i in mixed
    ]
    data_files.write_records(folder / "shifted.tfrecord", wrapped)
    model = _classifier()
    model.save(folder / "model.keras")
    model.export(folder / "saved", verbose=False)
    _classifier(classes=CLASSES + 1, first=1).save(folder / "background.keras")
    (folder / "names.txt").write_text("".join(f"{n} the {n[-1]}\n" for n in NAMES))
    (folder / "swapped.txt").write_text("".join(f"{n}\n" for n in [*NAMES[1:], NAMES[0]]))
    (folder / "short.txt").write_text("one\ntwo\n")
    (folder / "broken").mkdir()
    for name in NAMES:
        (folder / "broken" / name).mkdir()
        (folder / "broken" / name / "a.png").write_bytes(b"\x89PNG no image")
    return {"folder": folder, "pictures": np.stack(pictures), "labels": np.array(labels)}


def _run(made, *cases):
    """Runs the tool for each case; `{f}` in an argument is the folder."""
    folder = str(made["folder"])
    words = [["evaluate", *(word.replace("{f}", folder) for word in case)] for case in cases]
    return tool_runs.run_all(words)


def _result(folder, pattern):
    (path,) = folder.glob(pattern)
    return json.loads(path.read_text())


GOOD = [
    ["--model={f}/model.keras", "--data=folder:{f}/data", "--output={f}/out/keras"],
    ["--model={f}/model.keras", "--data=folder:{f}/data", "--output={f}/out/keras"],
    ["--model={f}/saved", "--data=folder:{f}/data", "--output={f}/out/saved", "--batch_size=7"],
    [
        *("--model={f}/background.keras", "--data=folder:{f}/data", "--first_class=1"),
        *("--output={f}/out/background", "--class_names={f}/names.txt"),
    ],
    [
        *("--model={f}/model.keras", "--data=tfrecord:{f}/one.tfrecord"),
        *("--config.data.label_offset=1", "--output={f}/out/one", "--image_size=9", "--resize=12"),
    ],
    [
        *("--model={f}/model.keras", "--data=tfrecord:{f}/shifted.tfrecord"),
        *("--output={f}/out/shifted", "--limit=40"),
    ],
]
_KEYS = ("test_correct", "top5_correct", "test_images", "per_class", "confusion")


@pytest.fixture(scope="module")
def good(made):
    return _run(made, *GOOD)


def test_the_numbers_are_those_of_numpy(made, good):
    folder = made["folder"] / "out"
    fitted = np.stack([decoding.fit(p, SIZE, 3, 1.0).numpy() for p in made["pictures"]])
    levels = 26 + 30 * np.arange(CLASSES)
    away = np.abs(fitted.astype(np.float64).mean((1, 2, 3))[:, None] - levels)
    answers = away.argmin(1)
    right = int(np.sum(answers == made["labels"]))
    best = np.argsort(away, axis=1)[:, :5]
    five = int(np.sum(best == made["labels"][:, None]))
    assert 0.7 < right / len(answers) < 0.95 and right < five
    result = _result(folder / "keras", "*.json")
    assert (result["test_correct"], result["top5_correct"]) == (right, five)
    assert result["class_names"] == NAMES and result["warnings"] == []
    for label in range(CLASSES):
        own = answers[made["labels"] == label]
        found, counts = np.unique(own, return_counts=True)
        expected = {str(a): int(c) for a, c in zip(found, counts, strict=True)}
        assert result["confusion"][str(label)] == expected
    for other in ("saved", "background"):
        assert {k: _result(folder / other, "*.json")[k] for k in _KEYS} == {
            k: result[k] for k in _KEYS
        }
    assert _result(folder / "background", "*.json")["class_names"][0] == "the a"
    cropped = _result(folder / "one", "*.json")
    assert cropped["settings"]["crop_fraction"] == 0.75 and cropped["settings"]["image_size"] == 9
    assert cropped["test_images"] == len(answers) and cropped["test_correct"] > 0.7 * len(answers)


def test_it_says_what_it_found_and_that_it_is_done(made, good):
    for run in good:
        assert run["returncode"] == 0, run["stderr"]
    first, again = good[0]["stdout"], good[1]["stdout"]
    assert re.search(r"accuracy 8\d\.\d % \(95 % interval [\d.]+-[\d.]+, \d+ of 78\)", first)
    assert re.search(r"^top-5: \d\d\.\d % ", first, re.M)
    assert "taken for class_" in first and "images/s" in first and "Written:" in first
    assert "is evaluated already" in again and "Written" not in again
    assert "was made for 8x8 and runs at 9x9" in good[4]["stdout"]


def test_the_page_stands_alone(made, good):
    (path,) = (made["folder"] / "out" / "keras").glob("*.html")
    page = path.read_text()
    assert page.startswith("<!DOCTYPE html>") and page.count("<rect") > CLASSES
    assert "class_a taken for class_c" in page
    assert not re.search(r"(src|href)=\"(?!#)", page) and "<script" not in page


def test_labels_off_by_one_are_warned_of(made, good):
    shifted = good[5]
    assert "warning: The labels of tfrecord:" in shifted["stderr"]
    assert "Set label_offset=1." in shifted["stderr"]
    (warning,) = _result(made["folder"] / "out" / "shifted", "*.json")["warnings"]
    assert "is subtracted from every label" in warning


BAD = {
    "no model": (["--model={f}/no"], r"There is no model .*/no\. Expected a SavedModel's folder"),
    "a folder that is none": (
        ["--model={f}/data", "--data=folder:{f}/data"],
        r"is not a SavedModel: it has no file saved_model\.pb",
    ),
    "teacher without a run": (["--model=teacher"], "There is no model teacher"),
    "no such run": (["--model={f}/model.keras", "--workdir={f}/bad"], r"/bad contains no run \("),
    "wrong number of classes": (
        ["--model={f}/model.keras", "--data=digits"],
        r"gives 7 scores, and the data has images of \(8, 8, 3\) and 10 classes",
    ),
    "background class": (
        ["--model={f}/background.keras", "--data=folder:{f}/data"],
        r"gives 8 scores, .* 7 classes\..* first_class=1 leaves it out",
    ),
    "labels from 1": (
        ["--model={f}/model.keras", "--data=tfrecord:{f}/one.tfrecord"],
        r"must be in 0\.\.6.* Found: 1\.\.7\. They seem to start at 1: set "
        r"label_offset=1",
    ),
    "labels beyond": (
        ["--model={f}/model.keras", "--data=tfrecord:{f}/two.tfrecord"],
        r"Found: 2\.\.8\. Take the data",
    ),
    "another input size": (
        ["--model={f}/saved", "--data=folder:{f}/data", "--image_size=16"],
        r"takes \(8, 8, 3\) .* images of \(16, 16, 3\) .* image_size=8 makes images",
    ),
    "names in another order": (
        ["--model={f}/model.keras", "--data=folder:{f}/data", "--class_names={f}/swapped.txt"],
        r"class 0 is 'class_b' there and 'class_a' in the data",
    ),
    "too few names": (
        ["--model={f}/model.keras", "--data=folder:{f}/data", "--class_names={f}/short.txt"],
        r"one line for each of the model's 7 classes in .*short\.txt\. Received: 2 lines",
    ),
    "resize below the crop": (
        ["--model={f}/model.keras", "--data=digits", "--image_size=8", "--resize=6"],
        r"--resize=6 --image_size=8",
    ),
    "resize alone": (["--model={f}/model.keras", "--resize=9"], r"--resize=9 needs --image_size"),
    "resize twice": (
        ["--model={f}/model.keras", "--resize=9", "--crop_fraction=0.5"],
        r"set the same crop\. Give one",
    ),
    "broken images": (
        ["--model={f}/model.keras", "--data=folder:{f}/broken"],
        r"Cannot decode .*/broken/class_\w/a\.png",
    ),
    "unknown preprocessing": (
        ["--model={f}/model.keras", "--data=digits", "--preprocessing=tourch"],
        r"no preprocessing 'tourch'\. Did you mean 'torch'",
    ),
    "missing data": (
        ["--model={f}/model.keras", "--data=folder:{f}/dat"],
        r"There is no folder .*/dat'.* Did you mean 'data'",
    ),
    "crop fraction": (
        ["--model={f}/model.keras", "--data=digits", "--crop_fraction=1.5"],
        r"must be in \[0\.1, 1\]\. Received: 1\.5",
    ),
}


@pytest.fixture(scope="module")
def bad(made):
    cases = [[*words, "--output={f}/bad"] for words, _ in BAD.values()]
    return dict(zip(BAD, _run(made, *cases), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_wrong_input_ends_with_one_message(made, bad, name):
    assert bad[name]["returncode"] == 1, bad[name]
    lines = [x for x in bad[name]["stderr"].splitlines() if x.startswith("error: ")]
    assert len(lines) == 1 and re.search(BAD[name][1], lines[0]), bad[name]["stderr"]
    assert "Traceback" not in bad[name]["stderr"]
    assert not (made["folder"] / "bad").exists()


def test_a_limit_takes_images_of_all_classes(made):
    section = run_config.default_config().data.copy_and_resolve_references()
    section.update({"source": f"folder:{made['folder']}/data", "image_size": SIZE})
    found = evaluation_images.of_source(section, limit=30)
    labels = np.concatenate([y for _, y in found.dataset(8).as_numpy_iterator()])
    assert found.count == len(labels) == 30 and len(set(labels)) == CLASSES
    again = [y for _, y in evaluation_images.of_source(section, limit=30).dataset(8)]
    np.testing.assert_array_equal(np.concatenate(again), labels)
    with pytest.raises(ValueError, match="interpolation must be one of"):
        evaluation_images.of_source(section, "nearest")
    section.crop_fraction = 0.6
    cropped = evaluation_images.of_source(section)
    batch, _ = next(iter(cropped.dataset(78)))
    expected = [decoding.fit(p, SIZE, 3, 0.6).numpy() for p in made["pictures"]]
    found_bytes = sorted(x.astype(np.uint8).tobytes() for x in batch.numpy())
    assert found_bytes == sorted(x.tobytes() for x in expected)
    section.crop_fraction = 1.0
    bicubic = evaluation_images.of_source(section, "bicubic")
    assert len({found.fingerprint, cropped.fingerprint, bicubic.fingerprint}) == 3
    (first, _), (other, _) = (next(iter(d.dataset(78))) for d in (bicubic, found))
    assert 0 < np.mean(np.abs(first[:30] - other)) < 5


def test_preprocessing_comes_before_a_model_of_others(made, good, tmp_path):
    image = keras.Input((SIZE, SIZE, 3))
    inner = _classifier()
    scores = inner(keras.layers.Rescaling(127.5, offset=127.5)(image))  # takes -1..1
    keras.Model(image, scores).save(tmp_path / "ranged.keras")
    config = run_config.default_config()
    correct = []
    for kind in ("minus_one_one", "none"):
        settings = evaluating.Settings(data=f"folder:{made['folder']}/data", preprocessing=kind)
        path = tmp_path / "ranged.keras"
        result = evaluating.evaluate(None, config, path, settings, tmp_path / kind)
        correct.append(result["test_correct"])
        assert bool(result["warnings"]) == (kind == "none")
    assert correct[0] == _result(made["folder"] / "out" / "keras", "*.json")["test_correct"]
    assert correct[1] < 0.3 * correct[0]


def test_a_models_own_layers_are_registered_by_the_configs_modules(made, tmp_path, monkeypatch):
    (tmp_path / "own_layer_of_a_run.py").write_text(
        "import keras\n\n\n@keras.saving.register_keras_serializable()\n"
        "class Same(keras.layers.Layer):\n    def call(self, x):\n        return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_layer_of_a_run")
    image = keras.Input((SIZE, SIZE, 3))
    keras.Model(image, _classifier()(own.Same()(image))).save(tmp_path / "own.keras")
    # As in a new process: nobody has imported it.
    keras.saving.get_custom_objects().pop("Custom>Same")
    monkeypatch.delitem(sys.modules, "own_layer_of_a_run")
    config = run_config.default_config()
    settings = evaluating.Settings(data=f"folder:{made['folder']}/data")
    call = (None, config, tmp_path / "own.keras", settings, tmp_path / "out")
    with pytest.raises(ValueError, match=r"own\.keras is no Keras .* config\.teacher\.modules"):
        evaluating.evaluate(*call)
    config.teacher.modules = ("own_layer_of_a_run",)
    expected = evaluating.evaluate(None, config, made["folder"] / "model.keras", settings, tmp_path)
    assert evaluating.evaluate(*call)["test_correct"] == expected["test_correct"]


def test_int8_and_float_files_agree_with_keras_on_the_folder(made, good, tmp_path):
    model = _classifier()
    batch = np.stack([decoding.fit(p, SIZE, 3, 1.0).numpy() for p in made["pictures"]])
    settings = evaluating.Settings(data=f"folder:{made['folder']}/data")
    expected = _result(made["folder"] / "out" / "keras", "*.json")
    for precision in ("float32", "int8"):
        path = tmp_path / f"{precision}.tflite"
        path.write_bytes(conversion.convert(model, precision, batch.astype(np.float32)))
        result = evaluating.evaluate(None, run_config.default_config(), path, settings, tmp_path)
        near = 0 if precision == "float32" else 0.1 * result["test_images"]
        assert abs(result["test_correct"] - expected["test_correct"]) <= near


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the digits at 16x16 with a teacher and a student, both fresh."""
    workdir, _, _ = rated_runs.rated_run(tmp_path_factory.mktemp("run") / "run")
    keras.utils.set_random_seed(0)
    for folder in (workdir.teacher, workdir.student("tiny", 0)):
        folder.mkdir(parents=True, exist_ok=True)
        _classifier(16, 10).save(folder / "model.keras")
    student = {"kind": "dna_tf.student", "architecture": "tiny", "seed": 0}
    (workdir.student("tiny", 0) / "result.json").write_text(json.dumps(student))
    return workdir


def test_a_run_has_its_teacher_its_students_and_its_test_split(made, run):
    cases = (
        ["--model=teacher"],
        ["--model=tiny"],
        ["--arch=tiny"],
        ["--arch=tiny", "--data=digits"],
        ["--model=tiny", "--seed=1"],
        ["--model=tny"],
        ["--model=tiny", "--data=folder:{f}/data"],
        ["--model=tiny", "--interpolation=bicubic"],
    )
    ran = _run(made, *[[*words, f"--workdir={run}"] for words in cases])
    said = [result["stdout"] + result["stderr"] for result in ran]
    assert [result["returncode"] for result in ran] == [0, 0, 0, 0, 1, 1, 1, 1], said
    teacher = json.loads((run.evaluations / "run_teacher_model_keras.json").read_text())
    student = json.loads((run.evaluations / "tiny_seed0_model_keras.json").read_text())
    assert (teacher["model"], student["model"]) == (
        *("teacher/model.keras", "students/tiny/seed0/model.keras"),
    )
    assert teacher["test_images"] == student["test_images"] == 359
    assert student["params"] == 40 and student["settings"]["crop_fraction"] == 1.0
    assert "is evaluated already" in said[2]
    assert "digits holds images that the run was trained on" in said[3]
    assert _result(run.evaluations, "tiny_seed0_model_keras_16px_*.json")["test_images"] == 1797
    assert "students/tiny/seed1/result.json" in said[4] and "Train the student first" in said[4]
    assert "students/tny/seed0/result.json" in said[5]
    assert "gives 10 scores, and the data has images of (16, 16, 3) and 7 classes" in said[6]
    assert "Give --data with --interpolation. Received: 'bicubic'" in said[7]


def test_other_classes_than_the_runs_are_refused(made, tmp_path):
    config = run_config.default_config()
    config.data.source = f"folder:{made['folder']}/data"
    config.data.rating_per_class = 1
    workdir, config = workdirs.open_workdir(tmp_path / "run", config)
    for name in [*NAMES[:-1], "class_z"]:
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "a.png").write_bytes(data_files.png(made["pictures"][0]))
    settings = evaluating.Settings(data=f"folder:{tmp_path}/other", image_size=SIZE)
    path = made["folder"] / "model.keras"
    with pytest.raises(ValueError, match=r"missing: \['class_g'\]; unknown: \['class_z'\]"):
        evaluating.evaluate(workdir, config, path, settings)
