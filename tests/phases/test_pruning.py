"""A run's student is pruned once; the same seed gives the same result."""

import json

import keras
import numpy as np
import pytest

from dna_tf.config import run_config
from dna_tf.phases import pruning
from tests.helpers import small_teachers, student_runs


@pytest.mark.slow
def test_a_run_prunes_once_and_says_what_it_did(tmp_path, capsys):
    workdir, config, name = student_runs.trained_run(tmp_path / "run")
    result = pruning.prune(workdir, config, name)
    folder = workdir.exports / name
    assert json.loads((folder / "pruned.json").read_text()) == result
    pruned = keras.saving.load_model(str(folder / "pruned.keras"))
    zeros = sum(int(np.sum(w == 0)) for w in pruned.get_weights())
    size = sum(w.size for w in pruned.get_weights())
    assert result["sparsity_of_all_weights"] == pytest.approx(zeros / size)
    assert sorted(p.name for p in folder.iterdir()) == ["pruned.json", "pruned.keras"]
    capsys.readouterr()
    assert pruning.prune(workdir, config, name) == result
    assert "is pruned already" in capsys.readouterr().out
    other = student_runs.trained_run(tmp_path / "other")
    again = pruning.prune(*other)
    assert again == result  # the same seed, the same bits


@pytest.mark.slow
def test_a_model_of_plain_keras_is_pruned_once(tmp_path):
    path, folder = small_teachers.plain_file(tmp_path / "plain.keras"), tmp_path / "files"
    config = run_config.default_config()
    config.prune.update(epochs=2, batch_size=64, sparsity=0.5)
    config.export.calibration_images = 50
    result = pruning.prune_file(path, config, folder, source="digits")
    pruned = keras.saving.load_model(str(folder / "pruned.keras"))
    assert np.mean(np.asarray(pruned.get_layer("wide").kernel) == 0) == 0.5
    assert set(result["sparsity"]) == {"wide", "answers"}
    assert pruning.prune_file(path, config, folder, source="digits") == result
