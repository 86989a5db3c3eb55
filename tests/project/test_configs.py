"""Each config loads, its commands parse, its space fits its teacher, and a cell of it trains."""

import functools
import importlib
import importlib.util
import math
import pathlib
import re
import shlex
import sys

import keras
import numpy as np
import pytest

import dna_tf
from dna_tf import workdirs
from dna_tf.config import recipes, run_config
from dna_tf.models import keras_files
from dna_tf.phases import matrix, searching, supernet_training, teacher_training
from dna_tf.space import (
    architectures,
    cost_limits,
    cost_tables,
    fit,
    presets,
    published_tables,
    spaces,
    tasks,
    zoo,
)
from dna_tf.supernet import stage_training
from dna_tf.teachers import application_names, applications, building, cutting
from dna_tf.training import optimizers, strategies
from tests.helpers import parsed_commands
from tests.helpers.data_files import write_folder, write_tfds

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py") if path.stem != "__init__")
CLASSES = ("ant", "bee", "cat")


def load(name):
    return importlib.import_module(f"configs.{name}").get_config()


def _fast(names, fast):
    """Parameters of a test: all names, of which those that are not `fast` are marked slow."""
    return [pytest.param(n, marks=[] if n in fast else pytest.mark.slow) for n in names]


def docstring(name):
    return importlib.import_module(f"configs.{name}").__doc__


def commands(name):
    """The command lines of a config's docstring, as lists of words after `python -m`.

    A backslash at the end of a line joins it with the next one, in Python as in the shell.
    """
    return [shlex.split(words) for words in re.findall(r"python -m (tools\..*)", docstring(name))]


@pytest.fixture(scope="module")
def parsed():
    """A dict from config to `(command, parsed)` for each command of its docstring."""
    listed = [(name, words) for name in NAMES for words in commands(name)]
    arguments = [[words[0].removeprefix("tools."), *words[1:]] for _, words in listed]
    results = {name: [] for name in NAMES}
    for (name, words), result in zip(listed, parsed_commands.parse_all(arguments), strict=True):
        results[name].append((" ".join(words), result))
    return results


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_passes_its_check_and_survives_the_workdir(name):
    config = load(name)
    run_config.check_config(config)
    assert config.is_locked
    plain = run_config.to_plain(config)
    assert run_config.to_plain(run_config.from_plain(plain)) == plain
    config.seed = 7
    assert load(name).seed == 0  # a new config each time


@pytest.mark.parametrize("name", NAMES)
def test_its_docstring_has_all_parts_and_the_guide_lists_it(name):
    for part in ("What:", "Command", "Hardware and cost", "Result"):
        assert re.search(rf"^{part}", docstring(name), re.MULTILINE), part
    page = (ROOT / "docs/guide/configs.md").read_text()
    row = re.search(rf"^\| `configs/{name}\.py` \|.*$", page, re.M)
    assert row, f"docs/guide/configs.md has no row for configs/{name}.py"


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_of_its_docstring_parse(name, parsed):
    assert parsed[name]
    scaled = set()  # names of architectures that a command of the docstring writes
    for command, result in parsed[name]:
        assert not result["error"], f"{command}: {result['error']}"
        assert result["flags"].get("strategy", "auto") in strategies.NAMES
        if result["config"] is not None:
            run_config.check_config(run_config.from_plain(result["config"]))
        searched = searching.all_names(load(name))
        names = result["flags"].get("arch", [])
        if "tools.scale" in command:
            architecture = architectures.load(ROOT / names)
            scaled.add(f"{architecture.name}_macs_{result['flags']['macs']}")
            continue
        assert set(names) <= {*searched, *zoo.NAMES, *scaled}, command
    flag = f"--config=configs/{name}.py"
    paths = re.findall(r"--config=(\S+)", docstring(name))
    assert all(f"--config={path.partition(':')[0]}" == flag for path in paths)
    assert any(flag in command for command, _ in parsed[name]) or name == "digits"


def test_examples_of_the_tools_name_students_that_the_embedded_run_has():
    searched = set(searching.all_names(run_config.default_config()))
    for path in sorted((ROOT / "tools").glob("*.py")):
        text = path.read_text().split('"""')[1]
        named = re.findall(r"--arch=(?:runs/digits/architectures/)?(max_\w+(?:\.\d\w*)?)", text)
        assert set(named) <= searched, path.name


def test_a_config_file_of_a_user_with_the_earlier_imports_loads(tmp_path):
    path = tmp_path / "earlier.py"
    path.write_text(
        "from dna_tf import config as configs\n"
        "from dna_tf import config, recipes\n\n\n"
        "def get_config():\n"
        "    assert config is configs\n"
        "    mine = config.default_config()\n"
        "    recipes.small(mine, epochs=7)\n"
        "    return mine\n"
    )
    (result,) = parsed_commands.parse_all([["search", "--workdir=W", f"--config={path}"]])
    assert not result["error"]
    assert result["config"]["retrain"]["epochs"] == 7


def test_overrides_in_the_docstrings_change_the_config(parsed):
    changed = {}
    for name in NAMES:
        plain = run_config.to_plain(load(name))
        for _, result in parsed[name]:
            for field in run_config.differences(plain, result["config"] or plain):
                section, _, key = field.partition(".")
                value = result["config"][section]
                changed.setdefault(name, {})[field] = value[key] if key else value
    assert changed["paper_8gpu"] == {
        "data.source": "tfrecord:/data/imagenet/train-*",
        "data.test_source": "tfrecord:/data/imagenet/validation-*",
        "data.image_feature": "image/encoded",
        "data.label_feature": "image/class/label",
        "data.label_offset": 1,
    }
    assert changed["ranking"] == {"space": "dna_18"}
    assert changed["cifar10"].keys() == {"data.source", "data.test_source"}
    assert changed["paper_tpu"] == {"data.tfds_data_dir": "gs://BUCKET/tfds"}


@pytest.mark.parametrize("name", NAMES)
def test_its_budgets_can_be_met_and_do_not_allow_everything(name):
    config = run_config.with_image_size(load(name))
    space = presets.get_space(config.space)
    table = cost_tables.cost_table(
        space, tasks.Task(config.data.image_size, config.data.channels, _classes(config))
    )
    for budget in config.search.budgets:
        for limited, limit in cost_limits.Limits(budget).items():
            kind = limited.removeprefix("max_")
            assert _end(space, table, kind, min) < limit < _end(space, table, kind, max), budget


def _end(space, table, kind, end):
    """The lowest or highest cost of all architectures; `end` is `min` or `max`."""
    so_far = {space.frame.stem_output_width: table.stem[kind]}
    for b, block in enumerate(space.blocks):
        reached = {}
        for c, cell in enumerate(block.cells):
            for width, total in so_far.items():
                total += int(end(table.paths[b, c, width][kind]))
                reached[cell.width] = end(reached.get(cell.width, total), total)
        so_far = reached
    return end(total + table.heads[width][kind] for width, total in so_far.items())


def _classes(config):
    return 1000 if "imagenet" in config.data.source else 10


@functools.cache
def _cut(name, size, num_classes, cuts):
    """Builds a teacher by name without its weights and cuts it as a run does."""
    shape = (size, size, 3)
    model = building.build_teacher(name, shape, num_classes)
    return cutting.cut_model(model, cuts or applications.paper_cuts(name, model), shape)


_BUILT = [name for name in NAMES if name != "teacher_file"]
_SMALL = [n for n in _BUILT if load(n).teacher.model != "efficientnet_b7"]


@pytest.mark.parametrize("name", _fast(_BUILT, _SMALL))
def test_its_space_fits_its_teacher_at_the_real_size(name):
    config = run_config.with_image_size(load(name))
    space = presets.get_space(config.space)
    size, cuts = config.data.image_size, tuple(config.teacher.cuts)
    cut = _cut(config.teacher.model, size, _classes(config), cuts)
    fit.check_fit(space, cut.shapes, cut.cuts)
    assert len(cut.cuts) == len(space.blocks)


def test_the_papers_numbers():
    # Source: DNA 4.1; the authors' code for batch and weight decay.
    paper = load("paper_8gpu")
    assert (paper.teacher.model, paper.teacher.weights) == ("efficientnet_b7", "imagenet")
    assert (paper.space, len(list(presets.get_space(paper.space).cells()))) == ("dna", 16)
    section = paper.supernet
    assert (section.epochs, section.batch_size, section.weight_decay) == (20, 512, 1e-4)
    assert section.output_start == "identity"  # other configs start at the teacher's map
    rates = [
        stage_training.learning_rate(section, block, epoch)
        for block in (0, 1, 5)
        for epoch in (0, 1)
    ]
    np.testing.assert_allclose(rates, [0.002, 0.0018, 0.005, 0.0045, 0.005, 0.0045])
    assert (section.features, section.inputs, section.precision) == ("online", "teacher", "float32")
    assert (paper.data.rating_per_class, paper.data.image_size) == (50, 224)
    recipe = paper.retrain
    assert (recipe.optimizer, recipe.epochs, recipe.warmup_epochs) == ("rmsprop", 500, 5)
    assert (recipe.batch_size, optimizers.peak_learning_rate(recipe)) == (4096, 0.256)
    assert (recipe.decay_factor, recipe.decay_epochs, recipe.ema_decay) == (0.97, 2.4, 0.9998)
    assert recipe.batch_size // recipe.accumulate == 8 * 64
    # The published students are within the budgets that represent them.
    names = ("dna_a", "dna_b", "dna_c", "dna_d")
    for name, budget in zip(names, paper.search.budgets, strict=True):
        costs = dna_tf.load_architecture(name).costs()
        for limited, limit in cost_limits.Limits(budget).items():
            assert 0.99 * limit < costs[limited.removeprefix("max_")] <= limit


def test_what_the_papers_relatives_change():
    paper = run_config.to_plain(load("paper_8gpu"))

    def changed(name):
        return {
            field: run_config.to_plain(load(name))[field.partition(".")[0]]
            for field in run_config.differences(paper, run_config.to_plain(load(name)))
        }

    tpu = load("paper_tpu").supernet
    assert changed("paper_tpu").keys() == {
        "supernet.batch_size",
        "supernet.learning_rate",
        "supernet.first_block_learning_rate",
        "supernet.precision",
    }
    assert tpu.batch_size % 8 == 0 and tpu.precision == "mixed_bfloat16"
    assert tpu.learning_rate == pytest.approx(0.005 * math.sqrt(tpu.batch_size / 512))
    assert tpu.first_block_learning_rate == pytest.approx(0.002 * math.sqrt(tpu.batch_size / 512))
    assert changed("b0_teacher").keys() == {"teacher.model", "search.budgets", "search.chosen"}
    ranking = load("ranking")
    space = presets.get_space(ranking.space)
    assert {len(block.cells) for block in space.blocks} == {1} and len(space.ops) == 4
    assert len(searching.all_names(ranking)) == 16  # as many as in Figure 4
    assert load("paper_8gpu").supernet.batch_size == recipes.SUPERNET_BATCH == 512


@pytest.mark.parametrize("name", ["table4", "table5"])
@pytest.mark.parametrize("size", ["digits", "imagenet"])
def test_the_rows_of_tables_can_be_read_at_both_sizes(name, size):
    module = importlib.import_module(f"configs.{name}")
    content = module.get_matrix(size)
    rows = matrix.read_rows(content, module.get_config(size))
    source = "tfds:imagenet2012" if size == "imagenet" else "digits"
    assert {row.config.data.source for row in rows} == {source}
    assert content["published"] in published_tables.TABLES
    assert len({row.run_key for row in rows}) == {"table4": 4, "table5": 2}[name]
    assert len({row.teacher_key for row in rows}) == {"table4": 1, "table5": 2}[name]


@pytest.mark.parametrize("name", ["paper_tpu", "b0_teacher", "ranking"])
def test_an_installed_config_finds_the_one_it_builds_on(name, tmp_path, monkeypatch):
    # In an installation `configs` is inside dna_tf, and there is no other module of that name.
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setattr(dna_tf, "__path__", [*dna_tf.__path__, str(tmp_path)])
    monkeypatch.setitem(sys.modules, "configs", None)
    spec = importlib.util.spec_from_file_location("loaded", ROOT / "configs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        assert module.get_config().data.source == "tfds:imagenet2012"
    finally:
        for key in [key for key in sys.modules if key.startswith("dna_tf.configs")]:
            del sys.modules[key]


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory):
    """A folder with tiny data of every kind and a small teacher for the space `dna`."""
    folder = tmp_path_factory.mktemp("tiny_files")
    write_tfds(folder / "tfds", {"train": 6, "test": 2}, CLASSES)
    write_folder(folder / "images", CLASSES, 8)
    x = image = keras.layers.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    for number, stride in enumerate((4, 2, 2, 1, 2, 1), 1):
        x = keras.layers.Conv2D(6 + number, 3, stride, padding="same", name=f"stage{number}")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    keras_files.save_model(keras.Model(image, keras.layers.Dense(3)(x)), folder / "small.keras")
    return folder


def cut_down(name, tiny_files):
    """A config reduced to three steps of one cell on a few images; the rest of it is unchanged."""
    small = load(name)
    if small.data.source.startswith("folder:"):
        small.data.source = f"folder:{tiny_files / 'images'}"
    else:
        small.data.source, small.data.tfds_data_dir = "tfds:tiny", str(tiny_files / "tfds")
    small.data.image_size, small.data.rating_per_class = 32, 2
    small.teacher_training.epochs, small.teacher_training.batch_size = 1, 6
    if building.needs_training(small.teacher.model, small.teacher.weights):
        # It is saved untrained; the file is then the teacher.
        model = building.build_teacher(small.teacher.model, (32, 32, 3), len(CLASSES))
        small.teacher.model = str(tiny_files / f"{name}.keras")
        keras_files.save_model(model, small.teacher.model)
    else:
        small.teacher.model, small.teacher.weights = str(tiny_files / "small.keras"), ""
    block = len(presets.get_space(small.space).blocks) - 1
    small.supernet.cells = (spaces.cell_name(block, 0),)
    small.supernet.batch_size, small.supernet.epochs = 4, 1
    return small


def run(small, folder):
    """Trains teacher and cell; returns the workdir and the cell's result."""
    run_folder, small = workdirs.open_workdir(folder, small)
    teacher_training.train_teacher(run_folder, small)
    results = supernet_training.train_supernet(run_folder, small)
    assert results.keys() == set(small.supernet.cells)
    (result,) = results.values()
    assert np.all(np.isfinite(result["losses"])) and len(result["losses"]) == 1
    return run_folder, result


@pytest.mark.parametrize("name", _fast(NAMES, ("digits", "paper_tpu")))
def test_one_cell_trains_with_a_reduced_config(name, tiny_files, tmp_path):
    small = cut_down(name, tiny_files)
    run_folder, result = run(small, tmp_path)
    assert result["steps"] >= 3
    assert run_folder.teacher_result()["num_classes"] == 3
    assert (run_folder.features.exists()) == (small.supernet.features == "disk")
    assert run_folder.tensorboard.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar10", "digits"])
def test_one_cell_imitates_a_teacher_that_is_trained_here(name, tiny_files, tmp_path):
    small = cut_down(name, tiny_files)
    small.teacher.model = load(name).teacher.model
    run_folder, _ = run(small, tmp_path)
    assert (run_folder.teacher / "history.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper_8gpu", "b0_teacher"])
def test_one_cell_imitates_the_real_teacher(name, tiny_files, tmp_path):
    named = load(name).teacher.model
    weights = str(tmp_path / "teacher.weights.h5")
    model = getattr(keras.applications, application_names.get(named).function)(
        weights=None, input_shape=(32, 32, 3), classes=3, classifier_activation=None
    )
    model.save_weights(weights)
    small = cut_down(name, tiny_files)
    small.teacher.model, small.teacher.weights = named, weights
    run_folder, _ = run(small, tmp_path / "run")
    assert [cut["shape"][0] for cut in run_folder.teacher_result()["cuts"]] == [8, 4, 2, 2, 1, 1]
