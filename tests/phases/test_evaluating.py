"""The phase of evaluation: preprocessing, the user's own layers, TFLite files, other classes."""

import errno
import importlib
import sys

import keras
import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.config import run_config
from dna_tf.data import decoding
from dna_tf.export import conversion
from dna_tf.phases import evaluating
from tests.helpers import data_files, grey_levels


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with data and a model: a dict with the folder and its pictures."""
    folder = tmp_path_factory.mktemp("evaluating")
    pictures, _ = grey_levels.write_pictures(folder / "data")
    grey_levels.classifier().save(folder / "model.keras")
    return {"folder": folder, "pictures": pictures}


def _evaluate(inputs, folder):
    """The result of the model on the data; files go to `folder`."""
    settings = evaluating.Settings(data=f"folder:{inputs['folder']}/data")
    path = inputs["folder"] / "model.keras"
    return evaluating.evaluate(None, run_config.default_config(), path, settings, folder)


def test_preprocessing_comes_before_a_model_of_others(inputs, tmp_path):
    image = keras.Input((grey_levels.SIZE, grey_levels.SIZE, 3))
    inner = grey_levels.classifier()
    scores = inner(keras.layers.Rescaling(127.5, offset=127.5)(image))  # takes -1..1
    keras.Model(image, scores).save(tmp_path / "ranged.keras")
    config = run_config.default_config()
    correct = []
    for kind in ("minus_one_one", "none"):
        settings = evaluating.Settings(data=f"folder:{inputs['folder']}/data", preprocessing=kind)
        path = tmp_path / "ranged.keras"
        result = evaluating.evaluate(None, config, path, settings, tmp_path / kind)
        correct.append(result["test_correct"])
        assert bool(result["warnings"]) == (kind == "none")
    assert correct[0] == _evaluate(inputs, tmp_path)["test_correct"]
    assert correct[1] < 0.3 * correct[0]


def test_a_models_own_layers_are_registered_by_the_configs_modules(inputs, tmp_path, monkeypatch):
    (tmp_path / "own_layer_of_a_run.py").write_text(
        "import keras\n\n\n@keras.saving.register_keras_serializable()\n"
        "class Same(keras.layers.Layer):\n    def call(self, x):\n        return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_layer_of_a_run")
    image = keras.Input((grey_levels.SIZE, grey_levels.SIZE, 3))
    keras.Model(image, grey_levels.classifier()(own.Same()(image))).save(tmp_path / "own.keras")
    # As in a new process: nobody has imported it.
    keras.saving.get_custom_objects().pop("Custom>Same")
    monkeypatch.delitem(sys.modules, "own_layer_of_a_run")
    config = run_config.default_config()
    settings = evaluating.Settings(data=f"folder:{inputs['folder']}/data")
    call = (None, config, tmp_path / "own.keras", settings, tmp_path / "out")
    with pytest.raises(ValueError, match=r"own\.keras is not a Keras .* name the modules of these"):
        evaluating.evaluate(*call)
    config.teacher.modules = ("own_layer_of_a_run",)
    expected = evaluating.evaluate(
        None, config, inputs["folder"] / "model.keras", settings, tmp_path
    )
    assert evaluating.evaluate(*call)["test_correct"] == expected["test_correct"]


def test_int8_and_float_files_agree_with_keras_on_the_folder(inputs, tmp_path):
    model = grey_levels.classifier()
    batch = np.stack(
        [decoding.fit(p, grey_levels.SIZE, 3, 1.0).numpy() for p in inputs["pictures"]]
    )
    settings = evaluating.Settings(data=f"folder:{inputs['folder']}/data")
    expected = _evaluate(inputs, tmp_path / "keras")
    for precision in ("float32", "int8"):
        path = tmp_path / f"{precision}.tflite"
        path.write_bytes(conversion.convert(model, precision, batch.astype(np.float32)))
        result = evaluating.evaluate(None, run_config.default_config(), path, settings, tmp_path)
        near = 0 if precision == "float32" else 0.1 * result["test_images"]
        assert abs(result["test_correct"] - expected["test_correct"]) <= near


def test_other_classes_than_the_runs_are_refused(inputs, tmp_path):
    config = run_config.default_config()
    config.data.source = f"folder:{inputs['folder']}/data"
    config.data.rating_per_class = 1
    workdir, config = workdirs.open_workdir(tmp_path / "run", config)
    for name in [*grey_levels.NAMES[:-1], "class_z"]:
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "a.png").write_bytes(data_files.png(inputs["pictures"][0]))
    settings = evaluating.Settings(data=f"folder:{tmp_path}/other", image_size=grey_levels.SIZE)
    path = inputs["folder"] / "model.keras"
    with pytest.raises(ValueError, match=r"missing: \['class_g'\]; unknown: \['class_z'\]"):
        evaluating.evaluate(workdir, config, path, settings)


def test_a_result_that_cannot_be_saved_is_printed_all_the_same(
    inputs, tmp_path, monkeypatch, capsys
):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(evaluating.files, "write_json", refuse)
    expected = r"^The result above was not saved in .*: Read-only file system.*--output"
    with pytest.raises(OSError, match=expected):
        _evaluate(inputs, tmp_path)
    assert "model.keras: accuracy " in capsys.readouterr().out
