"""The tool that compresses a model: what it refuses, before any work and with nothing written."""

import re

import keras
import pytest

from tests.helpers import data_files, tool_runs

NEW = ["--workdir={new}", "--model={model}", "--data=folder:{images}"]
# Arguments, and what the message must say.
WRONG = {
    "no workdir": (["--model={model}", "--data=digits"], r"--workdir=FOLDER"),
    "nothing to compress": (["--workdir={new}"], r"--model=my\.keras .*{new} is no run"),
    "a model without data": (["--workdir={new}", "--model={model}"], r"needs both --model and"),
    "no such model": (
        ["--workdir={new}", "--model={new}.keras", "--data=folder:{images}"],
        r"{new}\.keras",
    ),
    "no folder of images": (
        ["--workdir={new}", "--model={model}", "--data=images:{new}"],
        r"There is no folder '{new}'",
    ),
    "another size": ([*NEW, "--image_size=64"], r"square images of 64.*16x16"),
    "an unknown preprocessing": ([*NEW, "--preprocessing=zero"], r"zero_one"),
    "a budget that cannot be read": ([*NEW, "--max_macs=half"], r"such as 350M.*'half'"),
    "a budget below the cheapest": ([*NEW, "--max_macs=1k"], r"No architecture .* macs >= |macs"),
    "a budget above the model": ([*NEW, "--max_params=10M"], r"nothing to compress"),
    "a latency of a phone without its table": (
        [*NEW, "--max_phone_ms=8"],
        r"no cost 'phone_ms' without a table.*tools\.latency_table --workdir={new} --teacher_parts",
    ),
    "a latency that cannot be read": ([*NEW, "--max_latency_ms=fast"], r"max_latency_ms .*'fast'"),
    "no such table": ([*NEW, "--cost_file={new}.json"], r"{new}\.json"),
    "a field that is none": ([*NEW, "--config.compress.paths=3"], r"measured_paths|paths"),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compress")
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(image)
    for width in (8, 16):
        x = layers.Conv2D(width, 3, 2, "same", activation="relu")(x)
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, x, name="plain").save(folder / "model.keras")
    data_files.write_folder(folder / "images", ["ant", "bee", "cat"], 40)
    return {"new": folder / "new", "model": folder / "model.keras", "images": folder / "images"}


@pytest.fixture(scope="module")
def results(paths):
    filled = [tool_runs.filled(paths, *case) for case in WRONG.values()]
    runs = tool_runs.run_all([["compress", *arguments] for arguments, _ in filled])
    return dict(zip(WRONG, zip(runs, filled, strict=True), strict=True))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_message(results, name):
    run, (_, message) = results[name]
    lines = [line for line in run["stderr"].splitlines() if line.startswith("error: ")]
    assert run["returncode"] == 1 and len(lines) == 1, run["stderr"]
    assert "Traceback" not in run["stderr"]
    assert re.search(message, lines[0]), lines[0]


def test_help_teaches(paths):
    run = tool_runs.run("compress", "--help")
    assert run.returncode == 0
    for words in (
        "--max_int8_kb",
        "--max_peak_kb",
        "--max_latency_ms",
        "a share: 50%",
        "--data=folder:images",
    ):
        assert words in run.stdout
