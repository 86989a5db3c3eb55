"""Quantisation-aware training: it starts near the float student, and ends in an integer file."""

import json
import shutil
import sys
import types

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.compression import quantized_model
from dna_tf.config import run_config
from dna_tf.data import loading
from dna_tf.export import agreement, metadata
from dna_tf.models import keras_files
from dna_tf.phases import model_files, quantizing
from tests.helpers import small_teachers, student_runs


def test_a_file_that_does_not_agree_is_refused():
    result = {"architecture": "tiny", "problem": None, "agreement_with_trained": 0.9}
    with pytest.raises(ValueError, match=r"'tiny' gives the answers .* 90\.0 % .* least 95\.0 %"):
        quantizing.check_good(result, 0.95)


def test_a_file_of_no_use_is_refused_however_well_it_agrees():
    result = {"architecture": "tiny", "agreement_with_trained": 1.0}
    result["problem"] = agreement.problem(np.ones((9, 4)), np.arange(36).reshape(9, 4))
    with pytest.raises(ValueError, match="'tiny' gives the same scores for all 9 images after"):
        quantizing.check_good(result, 0.95)


def _loaded(path):
    return keras_files.load_model(path)


class _End(Exception):
    """Ends a phase where a test has seen enough of it."""


def test_ranges_come_from_training_images_and_the_training_runs_on_the_cpu(tmp_path, monkeypatch):
    black, white = (np.full((24, 8, 8, 1), value, np.uint8) for value in (0, 255))
    labels = np.arange(24) % 2
    images = loading.images_from_arrays(
        (black, labels), (white[:20], labels[:20]), rating_per_class=4
    )
    calibrated, trained = [], []
    model = types.SimpleNamespace(predict=lambda x, **_: np.zeros((len(x), 2)))
    start = types.SimpleNamespace(
        name="tiny",
        seed=0,
        model=model,
        images=lambda: images,
        finished=lambda *_: None,
        made_from="this",
    )
    rounding = types.SimpleNamespace(model=model, calibrate=calibrated.append)

    def train(*arguments):
        trained.extend(arguments)
        raise _End

    monkeypatch.setattr(quantizing.compression_start, "start", lambda *_, **__: start)
    monkeypatch.setattr(quantizing.conversion, "convert", lambda _, __, x: calibrated.append(x))
    monkeypatch.setattr(agreement, "file_scores", lambda _, x: np.zeros((len(x), 2)))
    monkeypatch.setattr(agreement, "compare", lambda *_: {"accuracy": 1.0, "agreement": 1.0})
    monkeypatch.setattr(quantized_model, "build", lambda _: rounding)
    monkeypatch.setattr(quantizing.fine_tuning, "fine_tune", train)
    config = run_config.default_config()
    config.quantize.update(batch_size=8, calibration_images=12)
    with pytest.raises(_End):
        quantizing.quantize(workdirs.Workdir(tmp_path), config, "tiny")
    assert [len(drawn) for drawn in calibrated] == [12, 12]
    assert not any(drawn.any() for drawn in calibrated)  # the test images are white
    assert trained[-1] == "CPU:0"


@pytest.mark.slow
def test_a_run_ends_in_a_file_and_goes_on_after_a_kill(tmp_path, capsys, monkeypatch):
    workdir, config, name = student_runs.trained_run(tmp_path / "run")
    shutil.copytree(workdir.path, tmp_path / "copy")
    result = quantizing.quantize(workdir, config, name)
    folder = workdir.exports / name
    assert json.loads((folder / "qat.json").read_text()) == result
    assert sorted(p.name for p in folder.iterdir()) == ["qat.json", "qat_int8.tflite"]
    assert result["file_bytes"] == len((folder / "qat_int8.tflite").read_bytes())
    assert len(result["history"]) == 2
    contents = metadata.read((folder / "qat_int8.tflite").read_bytes())
    assert contents["labels"] == [str(digit) for digit in range(10)]
    assert contents["description"]["weights"] == result["student"]
    assert contents["description"]["precision"] == "int8, trained with its rounding"
    assert (contents["description"]["preprocessing"], result["problem"]) == ("inside", None)
    capsys.readouterr()
    assert quantizing.quantize(workdir, config, name) == result
    assert "is quantised already" in capsys.readouterr().out

    config.quantize.checkpoint_seconds = 0.0
    calls, calibrated = [], quantized_model.QuantizedModel.calibrate_weights

    def cut(self):
        calls.append(1)
        if len(calls) == 2:  # after training, before the file
            raise KeyboardInterrupt
        calibrated(self)

    monkeypatch.setattr(quantized_model.QuantizedModel, "calibrate_weights", cut)
    other = type(workdir)(tmp_path / "copy")
    with pytest.raises(KeyboardInterrupt):
        quantizing.quantize(other, config, name)
    monkeypatch.undo()
    again = quantizing.quantize(other, config, name)
    fields = ("file_accuracy", "agreement_with_float", "largest_difference", "history")
    assert {key: again[key] for key in fields} == {key: result[key] for key in fields}
    one, two = (w.exports / name / "qat_int8.tflite" for w in (workdir, other))
    assert one.read_bytes() == two.read_bytes()

    monkeypatch.setitem(sys.modules, "tensorflow_model_optimization", None)
    with pytest.raises(ValueError, match="need tensorflow-model-optimization"):
        quantizing.quantize(workdir, config, name)


@pytest.mark.slow
def test_a_model_of_plain_keras_ends_in_a_file(tmp_path):
    path, folder = small_teachers.plain_file(tmp_path / "plain.keras"), tmp_path / "files"
    config = run_config.default_config()
    config.quantize.update(epochs=1, batch_size=64, calibration_images=50)
    result = quantizing.quantize_file(path, config, folder, source="digits")
    assert sorted(p.name for p in folder.iterdir()) == ["qat.json", "qat_int8.tflite"]
    assert result["architecture"] == "plain" and result["good"] and len(result["history"]) == 1
    images = loading.load(model_files.config_for(config, _loaded(path), path, "digits").data, 0)
    pixels, _ = images.arrays("test")
    scores = agreement.file_scores((folder / "qat_int8.tflite").read_bytes(), pixels)
    answers = _loaded(path).predict(pixels, verbose=0).argmax(-1)
    assert np.mean(scores.argmax(-1) == answers) >= 0.9
    before = (folder / "qat_int8.tflite").stat().st_mtime_ns
    assert quantizing.quantize_file(path, config, folder, source="digits") == result
    assert (folder / "qat_int8.tflite").stat().st_mtime_ns == before
