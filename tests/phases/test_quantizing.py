"""Quantisation-aware training: it starts near the float student, and ends in an integer file."""

import json
import shutil
import sys

import numpy as np
import pytest

from dna_tf.compression import quantized_model
from dna_tf.export import agreement, metadata
from dna_tf.phases import quantizing
from tests.helpers import student_runs


def test_a_file_that_does_not_agree_is_refused():
    result = {"architecture": "tiny", "problem": None, "agreement_with_trained": 0.9}
    with pytest.raises(ValueError, match=r"'tiny' gives the answers .* 90\.0 % .* least 95\.0 %"):
        quantizing.check_good(result, 0.95)


def test_a_file_of_no_use_is_refused_however_well_it_agrees():
    result = {"architecture": "tiny", "agreement_with_trained": 1.0}
    result["problem"] = agreement.problem(np.ones((9, 4)), np.arange(36).reshape(9, 4))
    with pytest.raises(ValueError, match="'tiny' gives the same scores for all 9 images after"):
        quantizing.check_good(result, 0.95)


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
