"""tools/evaluate.py from end to end: models of any form on folders and records, wrong input."""

import json
import re

import keras
import numpy as np
import pytest

from dna_tf.data import decoding
from tests.helpers import data_files, grey_levels, rated_runs, tool_runs

CLASSES, NAMES, SIZE = grey_levels.CLASSES, grey_levels.NAMES, grey_levels.SIZE


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with data and models: a dict with the folder, its pictures and their labels."""
    folder = tmp_path_factory.mktemp("evaluate")
    pictures, labels = grey_levels.write_pictures(folder / "data")
    records = {"zero": [], "one": [], "two": []}
    for picture, label in zip(pictures, labels.tolist(), strict=True):
        for start, key in enumerate(records):
            example = data_files.example(image=data_files.png(picture), label=label + start)
            records[key].append(example)
    mixed = np.random.RandomState(1).permutation(len(labels))
    for key, examples in records.items():
        data_files.write_records(folder / f"{key}.tfrecord", [examples[i] for i in mixed])
    # Off by one, yet in range: seven classes of which the last is called the first.
    wrapped = [
        data_files.example(image=data_files.png(pictures[i]), label=int(labels[i] + 1) % CLASSES)
        for i in mixed
    ]
    data_files.write_records(folder / "shifted.tfrecord", wrapped)
    model = grey_levels.classifier()
    model.save(folder / "model.keras")
    model.export(folder / "saved", verbose=False)
    grey_levels.classifier(classes=CLASSES + 1, first=1).save(folder / "background.keras")
    (folder / "names.txt").write_text("".join(f"{n} the {n[-1]}\n" for n in NAMES))
    (folder / "swapped.txt").write_text("".join(f"{n}\n" for n in [*NAMES[1:], NAMES[0]]))
    (folder / "short.txt").write_text("one\ntwo\n")
    (folder / "broken").mkdir()
    for name in NAMES:
        (folder / "broken" / name).mkdir()
        (folder / "broken" / name / "a.png").write_bytes(b"\x89PNG no image")
    return {"folder": folder, "pictures": pictures, "labels": labels}


def _run(inputs, *cases):
    """Runs the tool for each case; `{f}` in an argument is the folder."""
    folder = str(inputs["folder"])
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
def good(inputs):
    return _run(inputs, *GOOD)


def test_the_numbers_are_those_of_numpy(inputs, good):
    folder = inputs["folder"] / "out"
    fitted = np.stack([decoding.fit(p, SIZE, 3, 1.0).numpy() for p in inputs["pictures"]])
    levels = 26 + 30 * np.arange(CLASSES)
    away = np.abs(fitted.astype(np.float64).mean((1, 2, 3))[:, None] - levels)
    answers = away.argmin(1)
    right = int(np.sum(answers == inputs["labels"]))
    best = np.argsort(away, axis=1)[:, :5]
    five = int(np.sum(best == inputs["labels"][:, None]))
    assert 0.7 < right / len(answers) < 0.95 and right < five
    result = _result(folder / "keras", "*.json")
    assert (result["test_correct"], result["top5_correct"]) == (right, five)
    assert result["class_names"] == NAMES and result["warnings"] == []
    for label in range(CLASSES):
        own = answers[inputs["labels"] == label]
        classes, counts = np.unique(own, return_counts=True)
        expected = {str(a): int(c) for a, c in zip(classes, counts, strict=True)}
        assert result["confusion"][str(label)] == expected
    for other in ("saved", "background"):
        assert {k: _result(folder / other, "*.json")[k] for k in _KEYS} == {
            k: result[k] for k in _KEYS
        }
    assert _result(folder / "background", "*.json")["class_names"][0] == "the a"
    cropped = _result(folder / "one", "*.json")
    assert cropped["settings"]["crop_fraction"] == 0.75 and cropped["settings"]["image_size"] == 9
    assert cropped["test_images"] == len(answers) and cropped["test_correct"] > 0.7 * len(answers)


def test_it_prints_the_numbers_and_that_it_is_done(inputs, good):
    for run in good:
        assert run["returncode"] == 0, run["stderr"]
    first, again = good[0]["stdout"], good[1]["stdout"]
    assert re.search(r"accuracy 8\d\.\d % \(95 % interval [\d.]+-[\d.]+, \d+ of 78\)", first)
    assert re.search(r"^top-5: \d\d\.\d % ", first, re.M)
    assert "taken for class_" in first and "images/s" in first and "Written:" in first
    assert "is evaluated already" in again and "Written" not in again
    assert "was made for 8x8 and runs at 9x9" in good[4]["stdout"]


def test_the_page_stands_alone(inputs, good):
    (path,) = (inputs["folder"] / "out" / "keras").glob("*.html")
    page = path.read_text()
    assert page.startswith("<!DOCTYPE html>") and page.count("<rect") > CLASSES
    assert "class_a taken for class_c" in page
    assert not re.search(r"(src|href)=\"(?!#)", page) and "<script" not in page


def test_labels_off_by_one_are_warned_of(inputs, good):
    shifted = good[5]
    assert "warning: The labels of tfrecord:" in shifted["stderr"]
    assert "Set label_offset=1." in shifted["stderr"]
    (warning,) = _result(inputs["folder"] / "out" / "shifted", "*.json")["warnings"]
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
def bad(inputs):
    cases = [[*words, "--output={f}/bad"] for words, _ in BAD.values()]
    return dict(zip(BAD, _run(inputs, *cases), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_wrong_input_ends_with_one_message(inputs, bad, name):
    assert bad[name]["returncode"] == 1, bad[name]
    lines = [x for x in bad[name]["stderr"].splitlines() if x.startswith("error: ")]
    assert len(lines) == 1 and re.search(BAD[name][1], lines[0]), bad[name]["stderr"]
    assert "Traceback" not in bad[name]["stderr"]
    assert not (inputs["folder"] / "bad").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the digits at 16x16 with a teacher and a student, both fresh."""
    workdir, _, _ = rated_runs.rated_run(tmp_path_factory.mktemp("run") / "run")
    keras.utils.set_random_seed(0)
    for folder in (workdir.teacher, workdir.student("tiny", 0)):
        folder.mkdir(parents=True, exist_ok=True)
        grey_levels.classifier(16, 10).save(folder / "model.keras")
    student = {"kind": "dna_tf.student", "architecture": "tiny", "seed": 0}
    (workdir.student("tiny", 0) / "result.json").write_text(json.dumps(student))
    return workdir


def test_a_run_has_its_teacher_its_students_and_its_test_split(inputs, run):
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
    ran = _run(inputs, *[[*words, f"--workdir={run}"] for words in cases])
    texts = [result["stdout"] + result["stderr"] for result in ran]
    assert [result["returncode"] for result in ran] == [0, 0, 0, 0, 1, 1, 1, 0], texts
    teacher = json.loads((run.evaluations / "run_teacher_model_keras.json").read_text())
    student = json.loads((run.evaluations / "tiny_seed0_model_keras.json").read_text())
    assert (teacher["model"], student["model"]) == (
        *("teacher/model.keras", "students/tiny/seed0/model.keras"),
    )
    assert teacher["test_images"] == student["test_images"] == 359
    assert student["params"] == 40 and student["settings"]["crop_fraction"] == 1.0
    assert "is evaluated already" in texts[2]
    assert "digits holds images that the run was trained on" in texts[3]
    special = run.evaluations.glob("tiny_seed0_model_keras_16px_*.json")
    whole, bicubic = sorted(
        (json.loads(path.read_text()) for path in special),
        key=lambda result: -result["test_images"],
    )
    assert (whole["test_images"], bicubic["test_images"]) == (1797, 359)
    assert student["settings"]["interpolation"] == whole["settings"]["interpolation"] == "bilinear"
    assert bicubic["settings"]["interpolation"] == "bicubic"
    assert bicubic["data_fingerprint"] != student["data_fingerprint"]
    assert "students/tiny/seed1/result.json" in texts[4] and "Train the student first" in texts[4]
    assert "students/tny/seed0/result.json" in texts[5]
    assert "gives 10 scores, and the data has images of (16, 16, 3) and 7 classes" in texts[6]
