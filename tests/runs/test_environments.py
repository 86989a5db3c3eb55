"""Commands under the settings that a user's machine may have: the same figures, or one sentence.

The settings are those of Keras, TensorFlow, Python and the shell. `python -m pytest -m slow` with
this file runs a small training under each of them; the fast suite runs a command that loads no
TensorFlow under a few.
"""

import dataclasses
import json
import random
import re
import shlex
import subprocess
import sys

import pytest

from tests.helpers import tool_runs


@dataclasses.dataclass(frozen=True)
class Setting:
    """What differs from a usual environment.

    Args:
        variables: dict from the name of a variable to its value; `None` takes it away. `{home}`
            is a new folder.
        keras: content of `keras.json` in `{home}`.
        folder: name of the folder that has the config file and the workdir.
        redirect: what the shell adds to the command.
        config: lines that the config file begins with.
        error: what the one sentence on standard error matches; `""` expects equal figures.
        plain: whether a command that loads no TensorFlow ends in the same way.
        rounds: whether floats are added in another order, so that figures agree to rounding only.
    """

    variables: dict = dataclasses.field(default_factory=dict)
    keras: str = ""
    folder: str = "run"
    redirect: str = ""
    config: str = ""
    error: str = ""
    plain: bool = True
    rounds: bool = False


def _keras_json(**fields):
    return Setting({"KERAS_HOME": "{home}"}, keras=json.dumps(fields))


def _refused(error, **fields):
    return dataclasses.replace(_keras_json(**fields), error=f"keras.json. Expected {error}")


def _variables(**variables):
    return Setting(variables)


_POLICY = "import keras\nkeras.config.set_dtype_policy('mixed_float16')\n"
_BACKEND = (
    "import os, sys\nos.environ['KERAS_BACKEND'] = 'numpy'\nsys.modules.pop('keras', 0)\n"
    "import keras\n"
)
SETTINGS = {
    "backend jax": _variables(KERAS_BACKEND="jax"),
    "backend torch in keras.json": _keras_json(backend="torch"),
    "floatx float16": _keras_json(floatx="float16"),
    "floatx float64": _keras_json(floatx="float64"),
    "channels first": _keras_json(image_data_format="channels_first"),
    "epsilon": _keras_json(epsilon=0.01),
    "all of keras.json": _keras_json(
        floatx="float16", epsilon=1e-2, backend="jax", image_data_format="channels_first"
    ),
    "an unknown floatx": _refused('floatx to be one of .*"float8"', floatx="float8"),
    "an epsilon without a point": _refused("epsilon to be a number .* 1\\.", epsilon=1),
    "an unknown order of axes": _refused("image_data_format to be", image_data_format="first"),
    "a list in keras.json": Setting(
        {"KERAS_HOME": "{home}"}, keras="[1]", error="keras.json. Expected an object"
    ),
    "a broken keras.json": Setting({"KERAS_HOME": "{home}"}, keras='{"floatx":'),
    "legacy Keras": _variables(TF_USE_LEGACY_KERAS="1"),
    "legacy Keras off": _variables(TF_USE_LEGACY_KERAS="0"),
    "few steps": _variables(KERAS_MAX_STEPS_PER_EPOCH="1", KERAS_MAX_EPOCHS="1"),
    "nnx": _variables(KERAS_NNX_ENABLED="true"),
    "a global policy": Setting(
        config=_POLICY, error="global dtype policy is 'mixed_float16'.*precision", plain=False
    ),
    # Keras' backend for NumPy needs the package of another one, which may not be installed.
    "another backend in the config": Setting(
        config=_BACKEND, error="imported with 'numpy'|No module named 'jax'", plain=False
    ),
    "one thread": dataclasses.replace(
        _variables(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1"),
        rounds=True,
    ),
    "many threads": dataclasses.replace(
        _variables(OMP_NUM_THREADS="7", TF_NUM_INTRAOP_THREADS="7"), rounds=True
    ),
    "no HOME": _variables(HOME=None),
    "a HOME that is missing": _variables(HOME="/nonexistent/home"),
    "a HOME that cannot be written": _variables(HOME="/dev/null"),
    "a Keras home that cannot be written": _variables(KERAS_HOME="/dev/null/keras"),
    "no user": _variables(USER=None, LOGNAME=None),
    "locale C": _variables(LANG="C", LC_ALL="C"),
    "locale POSIX without UTF-8": _variables(
        LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    ),
    "an unknown locale": _variables(LC_ALL="xx_XX.UTF-8"),
    "ASCII output": _variables(PYTHONIOENCODING="ascii"),
    "Latin-1 output": _variables(PYTHONIOENCODING="latin-1"),
    "no standard input": Setting(redirect="<&-"),
    "no standard output": Setting(redirect=">&-"),
    "no standard error": Setting(redirect="2>&-"),
    "spaces": Setting(folder="my run "),
    "umlauts": Setting(folder="Läufe é 画像"),
    "umlauts in locale C": Setting({"LC_ALL": "C"}, folder="Läufe"),
    "umlauts without UTF-8": Setting(
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        folder="Läufe",
        error=r"L.*ufe.* cannot be read in this shell's encoding \(ascii\). Set PYTHONUTF8=1",
        plain=False,
    ),
    "percent and hash": Setting(folder="50% #1 %s"),
    "quotes": Setting(folder='it\'s "mine"'),
    "braces and a dollar": Setting(folder="{run} $HOME [a] *?"),
    "a line break": Setting(folder="two\nlines"),
    "a dash first": Setting(folder="-run"),
    "TensorFlow talks": _variables(TF_CPP_MIN_LOG_LEVEL="0"),
    "no GPU": _variables(CUDA_VISIBLE_DEVICES=""),
    "GPU -1": _variables(CUDA_VISIBLE_DEVICES="-1"),
    "optimised Python": _variables(PYTHONOPTIMIZE="1"),
    "Python without docstrings": _variables(PYTHONOPTIMIZE="2"),
    "a hash seed": _variables(PYTHONHASHSEED="7"),
    "no temporary folder": _variables(TMPDIR="/nonexistent/tmp"),
    "no bytecode": _variables(PYTHONDONTWRITEBYTECODE="1"),
    "a narrow terminal": _variables(COLUMNS="1", LINES="1", TERM="dumb"),
    "no progress bars": _variables(TQDM_DISABLE="1"),
    "another time": _variables(TZ="Asia/Kathmandu"),
    "developer mode": _variables(PYTHONDEVMODE="1"),
}
# A few, and others in each release of this list.
_FAST = random.Random("environments").sample(sorted(SETTINGS), 3)


def _run(setting, folder, tool, *arguments):
    """Runs a tool under a setting; the shell's redirections apply to it."""
    home = folder / "home"
    home.mkdir()
    if setting.keras:
        (home / "keras.json").write_text(setting.keras)
    environment = dict(tool_runs.ENVIRONMENT)
    for name, value in setting.variables.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value.format(home=home)
    words = [sys.executable, "-m", f"tools.{tool}", *arguments]
    return subprocess.run(
        f"{shlex.join(words)} {setting.redirect}",
        shell=True,
        cwd=tool_runs.ROOT,
        env=environment,
        capture_output=True,
    )


def _config_file(setting, folder):
    """Writes the tiny config into the setting's folder, and returns the folder."""
    place = folder / setting.folder
    place.mkdir()
    text = (tool_runs.ROOT / "tests/helpers/tiny_config.py").read_text()
    (place / "tiny.py").write_text(setting.config + text, encoding="utf-8")
    return place


def _check_error(process, pattern):
    errors = process.stderr.decode(errors="replace")
    assert process.returncode == 1 and "Traceback" not in errors, errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("error: "), errors
    assert re.search(pattern, last), errors


def _space(setting, folder):
    place = _config_file(setting, folder)
    return _run(setting, folder, "space", f"--config={place}/tiny.py", "--json")


def _marked(names):
    return [name if name in _FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", _marked(n for n in SETTINGS if SETTINGS[n].plain))
def test_a_command_without_tensorflow(name, tmp_path):
    process = _space(SETTINGS[name], tmp_path)
    assert process.returncode == 0, process.stderr.decode(errors="replace")
    if ">&-" not in SETTINGS[name].redirect.split():
        printed = json.loads(process.stdout)
        assert printed["name"] == "tiny" and len(printed["blocks"]) == 2


def test_keras_is_imported_with_tensorflow():
    script = "import dna_tf, os; print(os.environ['KERAS_BACKEND'])"
    environment = tool_runs.ENVIRONMENT | {"KERAS_BACKEND": "jax"}
    words = [sys.executable, "-c", script]
    assert subprocess.check_output(words, cwd=tool_runs.ROOT, env=environment) == b"tensorflow\n"


def _train(setting, folder):
    place = _config_file(setting, folder)
    process = _run(
        setting,
        folder,
        "train_teacher",
        f"--config={place}/tiny.py",
        f"--workdir={place}/work",
        "--config.teacher_training.batch_size=256",
    )
    return process, place / "work" / "teacher" / "result.json"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The result of a small training in a usual environment."""
    process, path = _train(Setting(), tmp_path_factory.mktemp("usual"))
    assert process.returncode == 0, process.stderr.decode()
    return json.loads(path.read_text())


_REFUSED = [name for name in SETTINGS if SETTINGS[name].error]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n != "an unknown floatx")) for n in _REFUSED],
)
def test_a_training_that_is_refused(name, tmp_path):
    _check_error(_train(SETTINGS[name], tmp_path)[0], SETTINGS[name].error)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in _REFUSED])
def test_a_training(name, usual, tmp_path):
    process, path = _train(SETTINGS[name], tmp_path)
    assert process.returncode == 0, process.stderr.decode(errors="replace")
    # All figures, and the fingerprints of the weights and of the images.
    result, expected = json.loads(path.read_text(encoding="utf-8")), dict(usual)
    if SETTINGS[name].rounds:
        assert abs(result["test_correct"] - usual["test_correct"]) <= 0.02 * usual["test_images"]
        for field in ("test_correct", "test_accuracy", "fingerprint"):
            expected[field] = result[field]
    assert result == expected
