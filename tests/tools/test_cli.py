"""The real tools on wrong input: status 1, one message and an unchanged workdir."""

import json
import re

import keras
import numpy as np
import pytest

from dna_tf.data import loading
from dna_tf.phases import searching
from dna_tf.space import architectures
from tests.helpers import data_files, rated_runs, tool_runs

TINY = "--config=tests/helpers/tiny_config.py"

# Each case: the tool, its arguments, and a pattern of the message. {run} is a searched run, {new}
# a workdir that does not exist yet, {files} the folder of the fixture `paths`.
# These cases load no TensorFlow; one process runs all of them.
QUICK = {
    "unknown key": (
        "search",
        ["--workdir={run}", "--config.retrain.epoch=3"],
        r"Unknown key config\.retrain\.epoch\. Did you mean 'epochs'",
    ),
    "unknown section": (
        "rate",
        ["--workdir={run}", "--config.retrian.epochs=3"],
        r"Unknown key config\.retrian\. Did you mean 'retrain'",
    ),
    "part of a value": (
        "search",
        ["--workdir={run}", "--config.space.name=x"],
        r"config\.space is one value",
    ),
    "wrong type": (
        "search",
        ["--workdir={run}", "--config.retrain.epochs=abc"],
        r"--config\.retrain\.epochs must be of type int, such as 15\. Received: 'abc'",
    ),
    "wrong type of a section": (
        "search",
        ["--workdir={run}", "--config.retrain=3"],
        r"--config\.retrain must be a section\. Received: '3'",
    ),
    "out of range": (
        "train_teacher",
        ["--workdir={new}", TINY, "--config.retrain.epochs=0"],
        r"config\.retrain\.epochs must be at least 1\. Received: 0",
    ),
    "missing config": (
        "search",
        ["--workdir={run}", "--config", "{files}/nothing.py"],
        r"no config file '.*/nothing\.py'.*--config=configs/digits\.py",
    ),
    "config with a syntax error": (
        "search",
        ["--workdir={run}", "--config={files}/syntax.py"],
        r"config file .*/syntax\.py fails in line 2: SyntaxError",
    ),
    "config without get_config": (
        "search",
        ["--workdir={run}", "--config={files}/without.py"],
        r"config file .*/without\.py has no function get_config\(\)",
    ),
    "config that raises": (
        "search",
        ["--workdir={run}", "--config={files}/raises.py", "--config.seed=3"],
        r'raises\.py fails in line 6: AttributeError: .*image_sise.*locked\. Did you mean "image_s',
    ),
    "config of a wrong type": (
        "search",
        ["--workdir={run}", "--config={files}/number.py"],
        r"get_config\(\) must return a config such as .*Received: 3",
    ),
    "no workdir": ("search", [], r"--workdir=FOLDER"),
    "workdir without a run": (
        "search",
        ["--workdir={new}"],
        r"{new} contains no run.*python -m tools\.train_teacher --workdir={new}",
    ),
    "workdir that is a file": (
        "search",
        ["--workdir={files}/number.py"],
        r"number\.py is a file\. Give a folder",
    ),
    "another config": (
        "search",
        ["--workdir={run}", TINY, "--config.data.image_size=24", "--config.seed=4"],
        r"{run} was made with another config\..*data\.image_size: 16 there, 24 now; "
        r"seed: 0 there, 4 now\. Use another --workdir",
    ),
    "another value than the run's": (
        "search",
        ["--workdir={run}", "--config.rating.batches=1"],
        r"another config\..* differ: rating\.batches: 2 there, 1 now\. Use another --workdir",
    ),
    "broken config of the run": (
        "search",
        ["--workdir={broken}"],
        r"{broken}/config\.json is not complete JSON",
    ),
    "infeasible budget": (
        "search",
        ["--workdir={run}", "--max_macs=1k"],
        r"meets macs <= 1k\. Possible: macs 12,884 at least\.",
    ),
    "unreadable budget": (
        "search",
        ["--workdir={run}", "--max_macs=35OM"],
        r"written as a number with k, M or G, such as 350M\. Received: '35OM'",
    ),
    "unreadable budget of the config": (
        "train_teacher",
        ["--workdir={new}", TINY, "--config.search.budgets=macs=1M"],
        r"Did you mean 'max_macs'",
    ),
    "no architecture given": ("summary", [], r"--arch=NAME_OR_FILE"),
    "truncated architecture": (
        "summary",
        ["--arch={files}/cut.json"],
        r"cut\.json is not complete JSON: it is truncated",
    ),
    "foreign architecture": (
        "summary",
        ["--arch={files}/foreign.json", "--json"],
        r'foreign\.json was expected to be of kind "dna_tf\.architecture"\. Received: kind=None',
    ),
    "missing architecture": (
        "summary",
        ["--arch={files}/nothing.json"],
        r"There is no file .*/nothing\.json",
    ),
    "unknown architecture": ("summary", ["--arch=dna_e"], r"'dna_e'\. Did you mean 'dna_"),
    "unknown name in the run": (
        "summary",
        ["--arch=max_macs_15", "--workdir={run}"],
        r"'max_macs_15' in {run}/architectures\. Did you mean 'max_macs_15k'",
    ),
    "nothing to evaluate": ("evaluate", ["--workdir={new}"], r"either --model=FILE or --arch"),
    "twice something to evaluate": (
        "evaluate",
        ["--workdir={run}", "--arch=max_macs_15k", "--model=a.keras"],
        r"either --model=FILE or --arch=NAME",
    ),
    "images without a model": (
        "quantize",
        ["--workdir={run}", "--data=digits"],
        r"--data is for a model file: give --model=FILE\.keras too",
    ),
    "an output of a student": (
        "prune",
        ["--workdir={run}", "--output=files"],
        r"--output is for a model file",
    ),
    "images twice": (
        "prune",
        ["--workdir={run}", "--data=digits", "--model={files}/any.keras", "--output=files"],
        r"Give the images once: either --data=SOURCE or --workdir=FOLDER|There is no model file",
    ),
    "evaluation of a student without a run": (
        "evaluate",
        ["--workdir={new}", "--arch=max_macs_15k"],
        r"contains no run",
    ),
    "positional argument": (
        "search",
        ["--workdir={run}", "max_macs=15k"],
        r"Tools take flags only.*\['max_macs=15k'\]",
    ),
    "misspelt flag": (
        "search",
        ["--wrkdir={run}"],
        r"Unknown .* flag 'wrkdir'\. Did you mean: work",
    ),
    "seeds that are no numbers": (
        "retrain",
        ["--workdir={run}", "--seeds=0,one"],
        r"--seeds takes whole numbers, such as 0,1,2\. Received: 'one'",
    ),
    "unknown student to retrain": (
        "retrain",
        ["--workdir={new}", "--arch=max_macs_15k"],
        r"no architecture 'max_macs_15k'",
    ),
}

# These cases load TensorFlow; one process runs all of them.
_TEACHER = ("train_teacher", ["--workdir={new}", TINY])
SLOWER = {
    "unknown cut": (
        *_TEACHER,
        ["--config.teacher.cuts=stage1_ot", "--config.teacher.cuts=stage2_out"],
        r"no layer 'stage1_ot'\. Did you mean 'stage1_out'.*tools\.teacher lists the layers",
    ),
    "cuts out of order": (
        *_TEACHER,
        ["--config.teacher.cuts=stage2_out", "--config.teacher.cuts=stage1_out"],
        r"out of order\. .* in this order: \['stage1_out', 'stage2_out'\]",
    ),
    "cut inside a unit": (
        *_TEACHER,
        ["--config.teacher.cuts=stage1_out", "--config.teacher.cuts=stage2_unit1_conv1"],
        r"only way .*: 'stage2_unit1_a_relu' before it and 'stage2_unit1_add' after it",
    ),
    "space with more blocks than cuts": (
        *_TEACHER,
        ["--config.space=digits"],
        r"cut at 2 layers \['stage1_out', 'stage2_out'\], and the space 'digits' has 3 blocks",
    ),
    "space of other sizes": (
        *_TEACHER,
        ["--config.teacher.cuts=stage2_out", "--config.teacher.cuts=stage3_out"],
        r"Block 1 of the space 'tiny' turns 16x16x3 into 4x4x64, and the teacher's layer "
        r"'stage2_out' gives 2x2x64\. Likely fix: cut the teacher at a layer with a map of 4x4",
    ),
    "unknown teacher": (
        *_TEACHER,
        ["--config.teacher.model=residual_cn"],
        r"no teacher named 'residual_cn'\. Did you mean 'residual_cnn'",
    ),
    "teacher file that is missing": (
        *_TEACHER,
        ["--config.teacher.model={files}/nothing.keras"],
        r"no model file .*/nothing\.keras",
    ),
    "teacher file that is no model": (
        *_TEACHER,
        ["--config.teacher.model={files}/text.keras"],
        r"text\.keras is not a Keras model that can be loaded safely\. Expected",
    ),
    "teacher file that is cut off": (
        *_TEACHER,
        ["--config.teacher.model={files}/cut.keras"],
        r"cut\.keras is not a Keras model that can be loaded safely\. Expected",
    ),
    "teacher that is not functional": (
        *_TEACHER,
        ["--config.teacher.model={files}/subclassed.keras"],
        r"(subclassed model \(Own\)|subclassed\.keras is not a Keras model that can be loaded).*"
        r"functional",
    ),
    "teacher with code inside": (
        *_TEACHER,
        ["--config.teacher.model={files}/lambda.keras"],
        r"lambda\.keras is not a Keras model that can be loaded safely\. .*Lambda",
    ),
    "teacher of another image size": (
        *_TEACHER,
        ["--config.teacher.model={files}/other.keras", "--config.teacher.cuts=conv"],
        r"takes images of 20x20x3, and the data gives 16x16x3\. Set image_size and channels",
    ),
    "too few images": (
        *_TEACHER,
        ["--config.data.rating_per_class=160"],
        r"at least 161 training images for rating_per_class=160 .*lower rating_per_class",
    ),
    "fewer classes than labels": (
        *_TEACHER,
        ["--config.data.num_classes=5"],
        r"num_classes=5, and digits has 10 classes\. Set num_classes=0",
    ),
    "labels out of range": (
        *_TEACHER,
        [
            "--config.data.source=tfrecord:{files}/*.tfrecord",
            "--config.data.num_classes=5",
        ],
        r"labels of tfrecord:.* must be in 0\.\.4 for 5 classes\. Found: 0\.\.6",
    ),
    "unreadable image": (
        *_TEACHER,
        ["--config.data.source=folder:{files}/images"],
        r"Cannot decode {files}/images/b/broken\.png\. Expected JPEG",
    ),
    "empty folder": (
        *_TEACHER,
        ["--config.data.source=folder:{files}/empty"],
        r"folder {files}/empty has no class folders",
    ),
    "missing folder": (
        *_TEACHER,
        ["--config.data.source=folder:{files}/image"],
        r"no folder '{files}/image'.* Did you mean 'images'",
    ),
    "missing records": (
        *_TEACHER,
        ["--config.data.source=tfrecord:{files}/*.records"],
        r"{files}/\*\.records",
    ),
    "unknown source": (
        *_TEACHER,
        ["--config.data.source=digit"],
        r"source is one of digits, .* Did you mean 'digits'\? Received: 'digit'",
    ),
    "batch larger than the data": (
        *_TEACHER,
        ["--config.teacher_training.batch_size=5000"],
        r"from 1 to the number of training images, 1398\. Received: batch_size=5000",
    ),
    "student batch larger than the data": (
        "retrain",
        ["--workdir={new}", TINY, "--config.retrain.batch_size=5000"],
        ["--arch={run}/architectures/max_macs_15k.json"],
        r"number of training images, 1398\. Received: batch_size=5000",
    ),
    "architecture for other data": (
        "retrain",
        ["--workdir={new}", TINY],
        ["--arch=dna_a"],
        r"'dna_a' takes images of 224x224x3 and 1000 classes, and the data gives 16x16x3 and 10 c",
    ),
    "truncated architecture to retrain": (
        "retrain",
        ["--workdir={run}"],
        ["--arch={files}/cut.json"],
        r"cut\.json is not complete JSON: it is truncated",
    ),
    "foreign architecture to retrain": (
        "retrain",
        ["--workdir={run}"],
        ["--arch={files}/foreign.json"],
        r'foreign\.json was expected to be of kind "dna_tf\.architecture"',
    ),
    "data that changed": (
        "retrain",
        ["--workdir={run}"],
        ["--arch=max_macs_15k"],
        r"data has changed since the teacher in {run}/teacher was trained: fingerprint .* then",
    ),
    "supernet without a teacher": (
        "train_supernet",
        ["--workdir={empty}"],
        [],
        r"Train the teacher first: python -m tools\.train_teacher --workdir={empty}",
    ),
    "rating without a supernet": (
        "rate",
        ["--workdir={empty}"],
        [],
        r"block1_cell1\.json\. Train it first: python -m tools\.train_supernet --workdir={empty}",
    ),
    "export of a student that is not there": (
        "export_tflite",
        ["--workdir={run}"],
        [],
        r"Train the student first: python -m tools\.retrain .*--arch=max_macs_15k",
    ),
    "evaluation of a student that is not there": (
        "evaluate",
        ["--workdir={run}"],
        ["--arch=max_macs_15k", "--seed=1"],
        r"no file {run}/students/max_macs_15k/seed1/result\.json\. Train the student first",
    ),
    "evaluation of something else": (
        "evaluate",
        ["--workdir={run}"],
        ["--model={files}/number.py"],
        r"\.keras or \.tflite file\. Received: .*number\.py",
    ),
    "evaluation of a broken TFLite file": (
        "evaluate",
        ["--workdir={run}"],
        ["--model={files}/text.tflite"],
        r"text\.tflite is not a TFLite model that LiteRT can run",
    ),
    "evaluation of a model for other data": (
        "evaluate",
        ["--workdir={run}"],
        ["--model={files}/other.keras"],
        r"other\.keras takes \(20, 20, 3\) and gives 4 scores, and the data has images of "
        r"\(16, 16, 3\) and 10 classes",
    ),
}
# Lines on standard error that are not messages: progress bars, and what TensorFlow's C++ code
# prints when it loads, which no setting stops.
_PROGRESS = re.compile(
    r"^(checking|labels of) .*: \S+/\S+ \w+, .* left"
    r"|^I0000 .*\.cc:\d+\]|^WARNING: All log messages before absl::InitializeLog"
)
# Files that a phase may leave in a new workdir before its data and teacher are checked.
_LEFT = {"config.json", "data.json"}


class Own(keras.Model):
    """A subclassed model: no graph to cut."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Writes a searched run, broken and foreign files; a dict of their paths."""
    folder = tmp_path_factory.mktemp("cli")
    run, config, _ = rated_runs.rated_run(folder / "run")
    searching.search_budgets(run, config)
    loading.load(config.data, config.seed, run.path)  # keeps the labels in the run, as phases do
    config_text = run.config.read_text()
    for name, text in (("broken", config_text[:100]), ("empty", config_text)):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(text)
    files = folder / "files"
    (files / "empty").mkdir(parents=True)
    start = "from dna_tf import config\n\n\n"
    for name, text in (
        ("syntax.py", "def get_config():\n    return (\n"),
        ("without.py", "def config():\n    return None\n"),
        (
            "raises.py",
            f"{start}def get_config():\n    c = config.default_config()\n"
            "    c.data.image_sise = 3\n    return c\n",
        ),
        ("number.py", "def get_config():\n    return 3\n"),
        ("cut.json", run.architecture("max_macs_15k").read_text()[:300]),
        ("foreign.json", '{"name": "max_macs_15k", "layers": 3}'),
        ("text.keras", "no model"),
        ("text.tflite", "no model"),
    ):
        (files / name).write_text(text)
    data_files.write_folder(files / "images", ("a", "b"), 6)
    (files / "images" / "b" / "broken.png").write_bytes(b"\x89PNG no image")
    records = [
        data_files.example(image=data_files.png(data_files.picture(i)), label=i % 7)
        for i in range(70)
    ]
    data_files.write_records(files / "some.tfrecord", records)
    image = keras.Input((20, 20, 3))
    x = keras.layers.Conv2D(2, 3, 4, name="conv")(image)
    scores = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(image, scores).save(files / "other.keras")
    (files / "cut.keras").write_bytes((files / "other.keras").read_bytes()[:2000])
    keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Lambda(lambda x: x)]).save(
        files / "lambda.keras"
    )
    own = Own()
    own(np.zeros((1, 16)))
    own.save(files / "subclassed.keras")
    return {"run": run.path, "files": files, "folder": folder}


def _arguments(paths, name, case):
    tool, arguments, expected = case[0], [w for part in case[1:-1] for w in part], case[-1]
    folder = paths["folder"]
    places = {
        "run": paths["run"],
        "files": paths["files"],
        "broken": folder / "broken",
        "empty": folder / "empty",
        "new": folder / f"new {name}".replace(" ", "_"),
    }
    arguments, expected = tool_runs.filled(places, arguments, expected)
    return [tool, *arguments], expected, places["new"]


def _errors(result):
    """The lines that a tool wrote to standard error, without progress."""
    lines = result["stderr"].strip().splitlines()
    return [line for line in lines if not _PROGRESS.search(line)]


def _run(paths, cases):
    """Runs cases: `(results by name, snapshot before, snapshot after)`."""
    words = [_arguments(paths, name, case)[0] for name, case in cases.items()]
    before = rated_runs.snapshot(paths["folder"])
    results = dict(zip(cases, tool_runs.run_all(words), strict=True))
    return results, before, rated_runs.snapshot(paths["folder"])


@pytest.fixture(scope="module")
def quick(paths):
    """The results of all `QUICK` cases, as `_run` returns them."""
    return _run(paths, QUICK)


@pytest.mark.parametrize("name", QUICK)
def test_wrong_input_that_needs_no_tensorflow(paths, quick, name):
    _, expected, new = _arguments(paths, name, QUICK[name])
    result = quick[0][name]
    errors = _errors(result)
    assert (result["returncode"], len(errors)) == (1, 1), result
    assert errors[0].startswith("error: ") and re.search(expected, errors[0]), errors
    assert "Traceback" not in result["stdout"]
    assert not new.exists()


def test_wrong_input_found_before_tensorflow_is_loaded_changes_nothing(quick):
    results, before, after = quick
    assert after == before
    assert "tensorflow" not in results[list(QUICK)[-1]]["imported"]


@pytest.fixture(scope="module")
def batch(paths):
    """The results of all `SLOWER` cases, as `_run` returns them."""
    return _run(paths, SLOWER)


@pytest.mark.parametrize("name", SLOWER)
def test_wrong_input_of_training_tools(paths, batch, name):
    _, expected, _ = _arguments(paths, name, SLOWER[name])
    result = batch[0][name]
    errors = _errors(result)
    assert (result["returncode"], len(errors)) == (1, 1), result
    assert errors[0].startswith("error: ") and re.search(expected, errors[0]), errors
    assert "Traceback" not in result["stdout"]


def test_wrong_input_changes_no_workdir(paths, batch):
    _, before, after = batch
    changed = {path for path in after if after[path] != before.get(path)}
    assert before.keys() <= after.keys()
    new = {path for path in changed if path.startswith("new_")}
    assert changed == new  # no existing run
    assert {path.partition("/")[2] for path in new} <= _LEFT


def test_the_traceback_is_shown_when_asked_for(paths):
    for words, raised in (
        (["search", f"--workdir={paths['run']}", "--max_macs=1k"], "Infeasible: No architecture"),
        (["search", f"--workdir={paths['run']}", "--config.seed=x"], "IllegalFlagValueError"),
        (["search", f"--config={paths['files']}/raises.py"], "c.data.image_sise = 3"),
    ):
        process = tool_runs.run(*words, "--traceback")
        assert process.returncode == 1
        assert process.stderr.startswith("Traceback (most recent call last):")
        assert raised in process.stderr
        assert process.stderr.strip().splitlines()[-1].startswith("error: ")


def test_overrides_alone_change_the_config_of_the_run(paths, tmp_path):
    run, _, _ = rated_runs.rated_run(tmp_path)
    process = tool_runs.run("search", f"--workdir={run}", "--config.retrain.epochs=7")
    assert process.returncode == 0, process.stderr
    stored = json.loads(run.config.read_text())["config"]
    assert stored["retrain"]["epochs"] == 7
    assert stored["space"]["name"] == "tiny"  # not the default config


def test_search_says_what_comes_next(paths, tmp_path):
    run, _, _ = rated_runs.rated_run(tmp_path)
    process = tool_runs.run("search", f"--workdir={run}", TINY)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.splitlines()[-1] == f"Next: python -m tools.retrain --workdir={run}"
    process = tool_runs.run("search", f"--workdir={run}", "--max_macs=14k", "--max_params=1200")
    assert process.returncode == 0
    name = "max_params_1200_max_macs_14k"
    assert process.stdout.splitlines()[-1].endswith(f"--workdir={run} --arch={name}")
    limits = architectures.load(run.architecture(name)).origin["limits"]
    assert limits == {"max_macs": 14_000, "max_params": 1200}
