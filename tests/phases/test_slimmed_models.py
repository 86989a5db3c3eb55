"""A model file becomes a file for each width, once."""

import keras
import numpy as np
import pytest

from dna_tf.config import run_config
from dna_tf.phases import slimmed_models
from tests.helpers import small_teachers


def _config():
    config = run_config.default_config()
    config.retrain.update(epochs=1, batch_size=64, dropout=0.0)
    return config


def test_a_model_of_plain_keras_is_written_in_each_width(tmp_path, capsys):
    path, folder = small_teachers.plain_file(tmp_path / "plain.keras"), tmp_path / "slim"
    result = slimmed_models.slim_file(path, _config(), folder, (0.5,), source="digits")
    assert [row["file"] for row in result["widths"]] == ["width_050.keras", "width_100.keras"]
    names = sorted(each.name for each in folder.iterdir())
    assert names == ["result.json", "width_050.keras", "width_100.keras"]
    for row in result["widths"]:
        model = keras.saving.load_model(str(folder / row["file"]), safe_mode=True)
        assert model.count_params() == row["params"] and row["images"] == 359
        assert model.output_shape == (None, 10)
    assert result["widths"][0]["macs"] < result["widths"][1]["macs"]
    capsys.readouterr()
    before = (folder / "width_050.keras").stat().st_mtime_ns
    assert slimmed_models.slim_file(path, _config(), folder, (0.5,), source="digits") == result
    assert "in all widths already" in capsys.readouterr().out
    assert (folder / "width_050.keras").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="has the widths of another training"):
        slimmed_models.slim_file(path, _config(), folder, (0.75,), source="digits")
    (folder / "width_050.keras").unlink()
    with pytest.raises(ValueError, match="lost width_050.keras"):
        slimmed_models.slim_file(path, _config(), folder, (0.5,), source="digits")


def test_what_cannot_be_made_narrower_is_named_before_images_are_read(tmp_path):
    layer = keras.layers.LayerNormalization(name="other_norm")
    path = small_teachers.plain_file(tmp_path / "plain.keras", extra=layer)
    with pytest.raises(ValueError, match="'other_norm' .LayerNormalization. .* made narrower"):
        slimmed_models.slim_file(
            path, _config(), tmp_path / "slim", (0.5,), source="folder:/absent"
        )
    assert not (tmp_path / "slim").exists()


def test_names_of_files():
    assert [slimmed_models.file_name(width) for width in (0.25, 0.5, 1.0)] == [
        "width_025.keras", "width_050.keras", "width_100.keras",
    ]  # fmt: skip
    assert np.unique([slimmed_models.file_name(w) for w in (0.333, 0.5)]).size == 2
