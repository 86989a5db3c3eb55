"""The teacher tool: what it shows, what it writes, and what it refuses.

Wrong input must end with status 1, one message, and nothing written.
"""

import ast
import importlib.util
import re

import keras
import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.models import keras_files
from dna_tf.teachers import residual_cnn
from tests.helpers import rated_runs, tiny_config, tool_runs

CUTS = ("stage1_out", "stage2_out", "stage3_out")
HEAVY = {"tensorflow", "keras"}

# Each case: arguments, and a pattern of the message. {run} has a teacher, {fresh} has none yet,
# {files} is the folder of the fixture `paths`. These cases load no TensorFlow.
QUICK = {
    "output of another kind": (["--output={files}/new.json"], r"ends in \.py\. Received: --output"),
    "output that is there": (
        ["--output={files}/there.py"],
        r"there\.py exists and is not overw",
    ),
    "unknown space": (["--space=dan"], r"no search space 'dan'\. Did you mean 'dna'"),
    "image size of nothing": (["--image_size=0"], r"--image_size must be .* least 8\. Received: 0"),
    "model beside a run": (
        ["--workdir={run}", "--model=resnet50", "--image_size=32"],
        r"--workdir shows the teacher of a run as it is\. Leave out --model and --image_size, or",
    ),
    "config beside a run": (
        ["--workdir={run}", "--config.seed=3"],
        r"Leave out --config, or leave out --workdir",
    ),
    "workdir without a run": (["--workdir={new}"], r"{new} contains no run"),
    "positional argument": (["resnet50"], r"Tools take flags only.*\['resnet50'\]"),
}
_FILE = "--model={files}/own.keras"
SLOWER = {
    "unknown model": (["--model=resnet5"], r"no teacher named 'resnet5'\. Did you mean 'resnet50'"),
    "missing file": (["--model={files}/nothing.keras"], r"no model file .*/nothing\.keras"),
    "file that is no model": (
        ["--model={files}/text.keras"],
        r"text\.keras is not a Keras model that",
    ),
    "model with two inputs": (
        ["--model={files}/two.keras"],
        r"one input and one output\. Received: 'two' with 2 inputs \['left', 'right'\] and 1 outp",
    ),
    "model without maps": (
        ["--model={files}/flat.keras"],
        r"No layer of the teacher 'flat' is the",
    ),
    "model of vectors": (["--model={files}/vector.keras"], r"'vector' takes images of 9, and"),
    "model of oblong images": (["--model={files}/oblong.keras"], r"square images\. .* 32x48"),
    "another image size than the file's": (
        [_FILE, "--image_size=64"],
        r"takes images of 32x32x3, and the data gives 64x64x3\. Set image_size and channels",
    ),
    "image that is too small": (
        ["--model=efficientnet_b0", "--image_size=16"],
        r"efficientnet_b0 takes images of at least 32x32\. Received: 16x16",
    ),
    "unknown cut": (["--cuts=stage1_ot"], r"no layer 'stage1_ot'\. Did you mean 'stage1_out'"),
    "cut within a unit": (
        ["--cuts=stage1_out,stage2_unit2_conv1"],
        r"not the only way .*: 'stage2_unit1_add' before it and 'stage2_out' after it",
    ),
    "cuts out of order": (
        ["--cuts=stage2_out,stage1_out"],
        r"out of order\. .*in this order: \['stage1_out', 'stage2_out'\]\. Received",
    ),
    "cut twice": (["--cuts=stage1_out,stage1_out"], r"must name different layers, one per block"),
    "cut after the mean": (["--cuts=head_pool"], r"one map .*\(None, 96\)\. Nearest.*'head_relu'"),
    "cuts within one block": (
        ["--cuts=stage1_unit1_add,stage1_out,stage3_out", "--space=digits"],
        r"Block 2 of the space 'digits' reads 'stage1_unit1_add' .* the layers lie within one ",
    ),
    "fewer cuts than blocks": (
        ["--cuts=stage1_out", "--space=digits"],
        r"cut at 1 layers \['stage1_out'\], and the space 'digits' has 3 blocks",
    ),
    "space that does not fit": (
        ["--model=residual_cnn", "--space=dna", "--image_size=32"],
        r"Block 3 of the space 'dna' needs a map of 2x2 .* It offers maps of 16x16, 8x8, 4x4\. .*: "
        r"a space that fits, such as the ready-made 'digits'",
    ),
    "teacher that rounds down": (
        ["--model={files}/floor.keras", "--cuts=pool0,pool1,pool2", "--space=digits"],
        r"Block 1 of the space 'digits' turns 30x30x3 into 8x8x4, and .* 'pool0' gives 15x15x4",
    ),
}
SHOWN = {
    "default": [],
    "all": ["--all"],
    "cuts": ["--cuts=stage1_unit1_add,stage2_out"],
    "file": [_FILE],
    "imagenet": ["--model=mobilenet_v3_small", "--space=dna", "--output={files}/written.py"],
    "space of the config": ["--config=tests/helpers/tiny_config.py"],
    "space that the config cannot have": ["--config.space=dna"],
    "weights that are not there": [
        "--config.teacher.model=mobilenet_v3_small",
        "--config.teacher.weights=nothing.weights.h5",
        "--config.data.image_size=64",
    ],
    "run": ["--workdir={run}"],
    "run cut elsewhere": ["--workdir={run}", "--cuts=stage2_unit1_add"],
    "fresh run": ["--workdir={fresh}"],
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Paths by name: a run with a teacher, one without, and a folder of files."""
    folder = tmp_path_factory.mktemp("teacher_tool")
    paths = {name: folder / name for name in ("run", "fresh", "files", "new")}
    workdirs.open_workdir(paths["fresh"], tiny_config.get_config())
    workdir, _ = workdirs.open_workdir(paths["run"], tiny_config.get_config())
    model = residual_cnn.build((16, 16, 3), 10, seed=1)
    keras_files.save_model(model, workdir.teacher / "model.keras")
    result = {
        "kind": "dna_tf.teacher",
        "fingerprint": keras_files.weights_fingerprint(model),
        "image_shape": [16, 16, 3],
        "cuts": [{"layer": cut} for cut in CUTS[:2]],
    }
    files.write_json(workdir.teacher / "result.json", result)
    _write_models(paths["files"])
    return paths


def _write_models(folder):
    folder.mkdir()
    (folder / "there.py").write_text("mine")
    (folder / "text.keras").write_text("no model")
    residual_cnn.build((32, 32, 3), 7).save(folder / "own.keras")
    layers = keras.layers
    one, other = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    keras.Model([one, other], layers.Add()([one, other]), name="two").save(folder / "two.keras")
    flat = layers.Dense(3)(layers.Flatten()(one))
    keras.Model(one, flat, name="flat").save(folder / "flat.keras")
    vector = keras.Input((9,))
    keras.Model(vector, layers.Dense(3)(vector), name="vector").save(folder / "vector.keras")
    oblong = keras.Input((32, 48, 3))
    x = layers.Conv2D(4, 3, 4, padding="same")(oblong)
    keras.Model(oblong, x, name="oblong").save(folder / "oblong.keras")
    x = image = keras.Input((30, 30, 3))
    for i in range(3):
        x = layers.Conv2D(4, 3, padding="same", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(name=f"pool{i}")(x)
    keras.Model(image, x, name="floor").save(folder / "floor.keras")


@pytest.fixture(scope="module")
def results(paths):
    """All cases in one process; the quick ones first, before TensorFlow is loaded."""
    cases = {name: tool_runs.filled(paths, case[0])[0] for name, case in (QUICK | SLOWER).items()}
    cases |= {name: tool_runs.filled(paths, words)[0] for name, words in SHOWN.items()}
    before = {name: rated_runs.snapshot(path) for name, path in paths.items()}
    all_results = tool_runs.run_all([["teacher", *words] for words in cases.values()])
    after = {name: rated_runs.snapshot(path) for name, path in paths.items()}
    assert after["files"].pop("written.py")
    assert after == before
    results = dict(zip(cases, all_results, strict=True))
    assert not HEAVY & set(results[list(QUICK)[-1]]["imported"])
    return results


@pytest.mark.parametrize("name", [*QUICK, *SLOWER])
def test_wrong_input_is_answered_with_one_message(results, paths, name):
    result, (_, message) = results[name], tool_runs.filled(paths, *(QUICK | SLOWER)[name])
    assert (result["returncode"], result["stdout"]) == (1, "")
    assert re.search(f"(^|\n)error: .*{message}.*\n$", result["stderr"]), result["stderr"]
    assert "Traceback" not in result["stderr"]


def _lines(results, name):
    result = results[name]
    assert result["returncode"] == 0, result["stderr"]
    assert "error" not in result["stderr"]
    return result["stdout"].splitlines()


def _rows(lines, header):
    """The rows of the table whose header begins so, as lists of words."""
    start = next(i for i, line in enumerate(lines) if line.startswith(header))
    length = lines[start:].index("")
    return [line.split() for line in lines[start + 1 : start + length]]


def _config_lines(lines):
    start = lines.index("Config lines:")
    return lines[start + 1 : start + lines[start:].index("")]


def test_the_default_is_the_embedded_config(results):
    lines = _lines(results, "default")
    model = residual_cnn.build((32, 32, 3), 10)
    params = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert lines[0].startswith(f"residual_cnn: {params:,} parameters, 9.489M MACs, images of 32x32")
    rows = _rows(lines, "layer ")
    assert [row[0] for row in rows[:3]] == list(CUTS)
    assert [row[2] for row in rows[:3]] == ["8x8x32", "4x4x64", "4x4x96"]
    assert [row[3] for row in rows[:3]] == ["4", "8", "8"]
    assert [row[-3:] for row in rows[:3]] == [["<-", "block", str(i)] for i in (1, 2, 3)]
    counted = [int(row[4].replace(",", "")) for row in rows[:3]] + [1162]
    assert rows[3][:3] == ["(what", "follows)", "1,162"] and sum(counted) == params
    assert rows[4] == "It can be cut at 13 more layers; --all lists them.".split()
    assert "Proposed for the config's space digits:" in lines
    blocks = _rows(lines, "block ")
    assert [row[1] for row in blocks] == list(CUTS)
    assert _config_lines(lines) == [
        "config.data.image_size = 32",
        'config.teacher.model = "residual_cnn"',
        'config.teacher.weights = ""',
        "config.teacher.cuts = (",
        *(f'    "{cut}",' for cut in CUTS),
        ")",
        'config.space = "digits"',
    ]
    assert lines[-1] == "Next: python -m tools.teacher --output=my_config.py"


def test_all_layers_are_shown_when_asked_for(results):
    rows = _rows(_lines(results, "all"), "layer ")
    assert len(rows) == 17
    assert [row[0] for row in rows[:4]] == [
        "rescale",
        "stem_conv",
        "stage1_unit1_a_bn",
        "stage1_unit1_a_relu",
    ]
    assert [row[0] for row in rows if "<-" in row] == list(CUTS)


def test_cuts_are_shown_beside_the_ends_of_stages(results):
    lines = _lines(results, "cuts")
    rows = _rows(lines, "layer ")[:4]
    assert [row[0] for row in rows] == ["stage1_unit1_add", *CUTS]
    assert ["<-" in row for row in rows] == [True, False, True, False]
    assert [row[1:3] for row in _rows(lines, "block ")] == [
        ["stage1_unit1_add", "8x8x32"],
        ["stage2_out", "4x4x64"],
    ]
    assert "Blocks of this cut:" in lines
    cuts = "stage1_out,stage2_out,stage3_out"
    assert f"The config cuts elsewhere; --cuts={cuts} checks that." in lines
    assert "# No preset has 2 blocks of these sizes. Set config.space to a" in lines
    assert any("fit it: digits" in line and "--space=digits proposes" in line for line in lines)


def test_a_file_is_shown_at_its_own_size(results, paths):
    lines = _lines(results, "file")
    assert lines[0].startswith(f"{paths['files']}/own.keras: ")
    assert lines[0].endswith("images of 32x32x3")
    assert "Proposed, at the ends of stages:" in lines
    assert f'config.teacher.model = "{paths["files"]}/own.keras"' in lines
    assert lines[-1].endswith(
        f"tools.teacher --model={paths['files']}/own.keras --output=my_config.py"
    )


def test_the_written_file_is_a_config_for_the_space(results, paths):
    lines = _lines(results, "imagenet")
    path = paths["files"] / "written.py"
    assert lines[-2] == f"Wrote {path}"
    assert (
        lines[-1] == f"Next: python -m tools.train_teacher --workdir=runs/written --config={path}"
    )
    spec = importlib.util.spec_from_file_location("written", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    run_config.check_config(config)
    assert (config.data.image_size, config.space) == (224, "dna")
    assert config.teacher.cuts[-2:] == ("expanded_conv_9_add", "expanded_conv_10_add")
    command = "python -m tools.teacher --model=mobilenet_v3_small --space=dna"
    assert f"\nWritten by: {command} --output={path}\n" in module.__doc__
    for line in _config_lines(lines):
        assert f"    {line}\n" in path.read_text()


def test_the_space_of_the_config_counts_where_it_can(results):
    lines = _lines(results, "space of the config")
    assert "Proposed for the config's space tiny:" in lines
    assert [row[1] for row in _rows(lines, "block ")] == list(CUTS[:1]) + ["stage3_out"]
    start = lines.index("config.space = {'name': 'tiny',")
    space = ast.literal_eval(
        "\n".join(lines[start : lines.index("", start)]).removeprefix("config.space = ")
    )
    assert space["blocks"] == tiny_config.SPACE["blocks"]
    lines = _lines(results, "space that the config cannot have")
    assert lines[0].startswith(
        "The config's space cannot be used. Block 3 of the space 'dna' needs"
    )
    assert "Proposed, at the ends of stages:" in lines


def test_no_weights_are_read_and_the_config_lines_keep_them(results):
    lines = _lines(results, "weights that are not there")
    assert 'config.teacher.weights = "nothing.weights.h5"' in lines
    assert "config.data.image_size = 64" in lines


def test_the_teacher_of_a_run_is_shown_as_it_was_cut(results, paths):
    lines = _lines(results, "run")
    assert lines[0].endswith("images of 16x16x3")
    assert [row[1] for row in _rows(lines, "block ")] == list(CUTS[:2])
    assert "Blocks of this cut:" in lines
    assert lines[-1] == f"Next: python -m tools.train_supernet --workdir={paths['run']}"
    lines = _lines(results, "run cut elsewhere")
    assert "The run cuts elsewhere: stage1_out,stage2_out" in lines
    assert lines[-1].endswith("--cuts=stage2_unit1_add --output=my_config.py")
    lines = _lines(results, "fresh run")
    assert "Proposed for the config's space tiny:" in lines
