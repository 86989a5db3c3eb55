"""The tools export_tflite and quantization_report: their flags, what they print, refusals."""

import json
import pathlib
import re

import keras
import pytest

from dna_tf import workdirs
from dna_tf.data import loading
from dna_tf.models import keras_files
from tests.helpers import rated_runs, small_exports, tiny_config, tool_runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir, config = workdirs.open_workdir(
        tmp_path_factory.mktemp("run"), tiny_config.get_config()
    )
    arch = small_exports.tiny_architecture(classes=10)
    pixels, labels = (a[:200] for a in loading.load(config.data, config.seed, None).arrays("train"))
    model = small_exports.tiny_student(pixels, spoiled=True, classes=10)
    small_exports.fit_classifier(model, pixels, labels)
    small_exports.write_student(workdir, model, arch)
    image = keras.Input((12, 12, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    # All scores are nearly equal, and 8 bits cannot distinguish them.
    x = keras.layers.Dense(10, kernel_initializer=keras.initializers.RandomNormal(3.0, 0.1, 0))(x)
    keras_files.save_model(keras.Model(image, x), workdir.path / "mine.keras")
    return pathlib.Path(workdir.path)


@pytest.fixture(scope="module")
def calls(run, tmp_path_factory):
    """Runs all cases in one process: `(results by name, folder of outputs, snapshot before)`."""
    out, of_run = tmp_path_factory.mktemp("out"), [f"--workdir={run}", "--arch=tiny"]
    mine, tiny = f"--model={run}/mine.keras", "tests/helpers/tiny_config.py"
    cases = {
        "beside": [
            "export_tflite", *of_run, f"--output={out}/a", "--config.export.preprocessing=outside",
            "--config.export.precisions=('float32',)",
        ],
        "good enough": [
            "quantization_report", *of_run, "--images=20", "--tried=1",
            "--config.export.least_agreement=0.0",
        ],
        "report": [
            "quantization_report", *of_run, "--images=20", "--tried=2",
            "--config.export.least_agreement=1.0",
        ],
        "model": ["export_tflite", mine, f"--output={out}/m", f"--config={tiny}"],
        "report of a model": [
            "quantization_report", mine, f"--output={out}/r.json", f"--config={tiny}",
            "--images=20", "--config.export.per_channel=False",
            "--config.export.least_agreement=1.0",
        ],
        "model and arch": ["export_tflite", mine, "--arch=tiny", f"--output={out}/b"],
        "no output": ["export_tflite", mine],
        "no such model": ["export_tflite", "--model=/none.keras", f"--output={out}/b"],
        "no keras file": ["export_tflite", "--model=a.h5", f"--output={out}/b"],
        "other fields": [
            "export_tflite", *of_run, f"--output={out}/b", "--config.data.flip=True",
        ],
        "config and output": [
            "export_tflite", *of_run, f"--output={out}/b", f"--config={tiny}",
        ],
        "wrong value": [
            "export_tflite", *of_run, f"--output={out}/b", "--config.export.int8_io=int4",
        ],
        "wrong layer": [
            "export_tflite", *of_run, f"--output={out}/b",
            "--config.export.float_layers=('stem_swih',)",
        ],
        "nothing to report on": ["quantization_report", f"--workdir={run}"],
        "no student": ["quantization_report", f"--workdir={run}", "--arch=other"],
        "too few images": ["quantization_report", *of_run, "--images=1"],
        "report without output": ["quantization_report", mine],
    }  # fmt: skip
    before = rated_runs.snapshot(run)
    results = dict(zip(cases, tool_runs.run_all(list(cases.values())), strict=True))
    return results, out, before


def test_an_export_beside_leaves_the_workdir_as_it_is(run, calls):
    results, out, before = calls
    result = results["beside"]
    assert result["returncode"] == 0, result["stderr"]
    assert json.loads((out / "a" / "result.json").read_text())["seed"] == 0
    after = rated_runs.snapshot(run)
    assert {name for name in after if after[name] != before.get(name)} == {
        "data.json",  # labels that were read, to be read once
        "quantization/tiny_seed0.json",
    }
    assert re.search(
        r"tiny float32: [\d,]+ bytes, accuracy .* \(Keras .*\), top-1 agr", result["stdout"]
    )
    assert re.search(r"operators: .*17 CONV_2D", result["stdout"])
    assert "commonly refused or slow on accelerators: 17 LOGISTIC" in result["stdout"]
    next_line = result["stdout"].splitlines()[-1]
    assert next_line.endswith(f"--model={out}/a/float32.tflite --preprocessing=minus_one_one")


def test_the_report_prints_what_it_writes(run, calls):
    call = calls[0]["report"]
    assert call["returncode"] == 0, call["stderr"]
    result = json.loads((run / "quantization" / "tiny_seed0.json").read_text())
    assert result["kind"] == "dna_tf.quantization_error" and result["images"] == 20
    assert len([row for row in result["layers"] if row["harm"] is not None]) == 2
    worst = " + ".join(result["layers"][0]["layers"])
    line = next(line for line in call["stdout"].splitlines() if line.endswith(worst))
    assert f"{100 * result['layers'][0]['harm']:.1f} %" in line
    assert result["float_layers"]
    last = call["stdout"].splitlines()[-1]
    assert last.startswith("Next: python -m tools.export_tflite")
    assert f"--config.export.float_layers=('{result['float_layers'][0]}'," in last


def test_a_student_that_is_good_enough_keeps_no_layers_in_float(calls):
    result = calls[0]["good enough"]
    assert result["returncode"] == 0, result["stderr"]
    assert result["stdout"].splitlines()[-1] == "No layer is worth keeping in float."


def test_any_model_is_exported_and_reported_on(calls):
    results, out, _ = calls
    assert results["model"]["returncode"] == 0, results["model"]["stderr"]
    assert (out / "m" / "int8.tflite").exists()
    last = results["model"]["stdout"].splitlines()[-1]
    assert last.endswith(f"--model={out}/m/float32.tflite --data=digits --image_size=12")
    result = results["report of a model"]
    assert result["returncode"] == 0, result["stderr"]
    assert json.loads((out / "r.json").read_text())["model"] == "mine"
    last = result["stdout"].splitlines()[-1]
    assert (
        "tools.export_tflite --model=" in last and "--config=tests/helpers/tiny_config.py" in last
    )
    assert " --config.export.per_channel=False " in last


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("model and arch", "either --model=FILE or --arch=NAME"),
        ("no output", "--model needs --output, the folder of the files"),
        ("no such model", "There is no model file /none.keras"),
        ("no keras file", "--model must be a .keras file. Received: a.h5"),
        ("other fields", r"only fields of config.export may differ .* Received: \['data.flip'\]"),
        ("config and output", "the config is the one of the workdir. Leave --config out"),
        ("wrong value", "int8_io must be one of .* Received: 'int4'"),
        ("wrong layer", "names 'stem_swih', which is not a layer .* Did you mean 'stem_swish'"),
        ("nothing to report on", "either --model=FILE or --arch=NAME"),
        ("no student", "There is no file .*other.* Train the student first"),
        ("too few images", "--images must be at least 2"),
        ("report without output", "--model needs --output, the JSON file"),
    ],
)
def test_bad_input_is_refused_in_one_line(calls, case, message):
    results, out, _ = calls
    result = results[case]
    assert result["returncode"] == 1
    assert re.search(f"error: .*{message}", result["stderr"])
    assert "Traceback" not in result["stderr"] and not (out / "b").exists()
