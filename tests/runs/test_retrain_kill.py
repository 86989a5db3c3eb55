"""A student with a whole recipe, killed with SIGKILL, ends as one that was not."""

import pytest

from dna_tf.space import architectures
from tests.helpers import run_files, tool_runs
from tests.helpers.data_files import write_folder
from tests.helpers.noise_training import tiny_architecture

CHANGES = (
    "batch_size=8",
    "epochs=6",
    "accumulate=2",
    "optimizer=rmsprop",
    "schedule=exponential",
    "learning_rate=0.01",
    "ema_decay=0.9",
    "drop_connect=0.3",
    "crop_area=0.3",
    "randaugment_ops=2",
    "erase=0.3",
    "mixup=0.2",
    "cutmix=1.0",
    "take=best",
    "checkpoint_seconds=0.0",
    "seeds=1",
)


@pytest.mark.slow
def test_a_killed_student_ends_with_the_same_bits(tmp_path):
    write_folder(tmp_path / "images", ["ant", "bee", "cat"], 24)
    architectures.save(tiny_architecture(), tmp_path / "tiny.json")

    def words(run):
        data = {"source": f"folder:{tmp_path}/images", "image_size": 16, "rating_per_class": 4}
        flags = [f"--config.data.{name}={value}" for name, value in data.items()]
        flags += [f"--config.retrain.{change}" for change in CHANGES]
        return [f"--workdir={tmp_path / run}", f"--arch={tmp_path}/tiny.json", *flags]

    whole = tool_runs.run("retrain", *words("whole"))
    assert whole.returncode == 0, whole.stderr
    command = tool_runs.command("retrain", *words("killed"))
    student = tmp_path / "killed" / "students" / "tiny" / "seed0"
    checkpoints, over = student / "checkpoints", (student / "result.json").exists
    for wanted in (2, 11):
        begun = (checkpoints / f"ckpt-{wanted}.index").exists
        tool_runs.kill_in_the_middle(command, begun, over)
    again = tool_runs.run("retrain", *words("killed"))
    assert again.returncode == 0, again.stderr
    one, other = (run_files.results(tmp_path / run) for run in ("whole", "killed"))
    assert run_files.differing(one, other) == []
    names = {name.rpartition("/")[2] for name in one}
    assert {"model.keras", "last.keras", "result.json"} <= names
