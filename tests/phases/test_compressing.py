"""Compression in a workdir: from a model file and a folder of images to a student and its files."""

import json

import keras
import pytest
import scipy.stats

from dna_tf import workdirs
from dna_tf.config import run_config
from dna_tf.inheritance import replacement_rating
from dna_tf.models import keras_files, model_costs
from dna_tf.phases import (
    additivity,
    compressing,
    latency_of_parts,
    least_size,
    seed_agreement,
)
from dna_tf.report import report_page, run_data
from dna_tf.space import assemblies, assembly_costs, presets, ratings
from dna_tf.supernet import stage_training
from tests.helpers import data_files, part_tables, report_runs

layers = keras.layers


def _model(end=lambda x: layers.Dense(3, activation="softmax")(x), size=16, name="plain"):
    """A model of two stages, as plain Keras code builds it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(image)
    for width in (8, 16):
        x = layers.Conv2D(width, 3, 2, "same", activation="relu")(x)
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    return keras.Model(image, end(layers.GlobalAveragePooling2D()(x)), name=name)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `model.keras` and `images/`."""
    folder = tmp_path_factory.mktemp("compress")
    _model().save(folder / "model.keras")
    data_files.write_folder(folder / "images", ["ant", "bee", "cat"], 30)
    return folder


def _config(place, **changes):
    base = run_config.default_config()
    base.data.rating_per_class = 6
    config = compressing.new_config(base, place / "model.keras", f"folder:{place / 'images'}")
    plain = run_config.to_plain(config)
    plain["space"]["ops"] = plain["space"]["ops"][:2]
    for block in plain["space"]["blocks"]:
        block["cells"] = block["cells"][:1]
    plain["supernet"] |= {"epochs": 1, "tensorboard": False}
    plain["fine_tune"] |= {"epochs": 1, "tensorboard": False}
    plain["rating"] |= {"batch_size": 6, "batches": 2, "calibration_images": 16}
    plain["compress"] |= {"realised": 2, "measured_paths": 3}
    plain["export"] |= {"precisions": ["float32"], "test_images": 6}
    for name, value in changes.items():
        plain[name] |= value
    return run_config.from_plain(plain)


@pytest.fixture(scope="module")
def run(place):
    workdir, config = workdirs.open_workdir(place / "run", _config(place))
    compressing.check(workdir, config, {"max_macs": "80%"})
    compressing.train_and_rate(workdir, config)
    name, result = compressing.compress(workdir, config, {"max_macs": "80%"})
    return workdir, config, name, result


def test_a_config_for_any_model(place):
    base = run_config.default_config()
    base.data.rating_per_class = 6
    config = compressing.new_config(base, place / "model.keras", f"folder:{place / 'images'}")
    assert config.data.image_size == 16 and config.data.channels == 3
    space = presets.get_space(run_config.to_plain(config)["space"])
    assert space.name == "for_plain" and len(space.blocks) == len(config.teacher.cuts)
    # 54 images for training: 15 epochs, and at least 8 steps in each.
    assert (config.supernet.epochs, config.supernet.batch_size) == (15, 6)
    assert config.fine_tune.batch_size == 6


def test_the_student_and_its_files(run):
    workdir, _, name, result = run
    assert name == "max_macs_80pct"
    folder = workdir.compressed(name)
    model = keras_files.load_model(folder / "model.keras")
    teacher, assembled, tuned = result["table"]
    assert tuned["costs"]["macs"] == model_costs.count_macs(model) <= result["limits"]["max_macs"]
    assert result["limits"]["max_macs"] == int(0.8 * teacher["costs"]["macs"])
    assert assembled["costs"] == tuned["costs"] == assemblies.load(folder / "assembly.json").costs()
    assert [row["images"] for row in result["table"]] == [18] * 3
    assert len(result["realised"]) == 2
    assert result["realised"][0]["kl"] <= result["realised"][1]["kl"]
    exported = json.loads((folder / "exports/result.json").read_text())
    assert exported["architecture"] == name and exported["files"]["float32"]["agreement"] == 1.0
    names = {path.name for path in workdir.replacements.iterdir()}
    assert names == {"block1_cell1.json", "block2_cell1.json"}


def test_the_report_has_the_results_of_the_files(run):
    workdir, _, name, result = run
    page = report_runs.Page(report_page.write_report(workdir.path).read_text())
    compression = run_data.read_run(workdir.path).compression
    (student,) = [student for student in compression.students if student.name == name]
    assert [row.kl for row in student.rows] == [row["kl"] for row in result["table"]]
    assert student.candidates[0].costs == result["table"][1]["costs"]
    front = [choice for choice, _ in compression.front()]
    assert front[0].costs["macs"] == result["table"][0]["costs"]["macs"]
    within = [choice for choice in front if choice.costs["macs"] <= result["limits"]["max_macs"]]
    assert within[0].rating == min(each["rating"] for each in result["realised"])
    assert f"The student {name} has" in page.texts["compressed"]
    assert f"{len(front)} are the best" in page.texts["assemblies"]
    assert "rating images" in page.texts["replacing"]


def test_the_same_command_again_does_nothing_twice(run, monkeypatch, capsys):
    workdir, config, name, result = run
    monkeypatch.setattr(stage_training.StageTraining, "train", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(replacement_rating, "rate_cell", lambda *_, **__: pytest.fail("rated"))
    compressing.train_and_rate(workdir, config)
    again = compressing.compress(workdir, config, {"max_macs": "80%"})
    assert again == (name, result)
    compressing.print_table(result, config)
    text = capsys.readouterr().out
    assert f"The student {name} is there already" in text
    assert "is exported already" in text and "fine-tuned" in text


def test_another_budget_shares_cells_and_ratings(run, monkeypatch):
    workdir, config, _, first = run
    kept = sorted(workdir.answers.iterdir())
    assert len(kept) == config.fine_tune.epochs
    monkeypatch.setattr(stage_training.StageTraining, "train", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(replacement_rating, "rate_cell", lambda *_, **__: pytest.fail("rated"))
    name, result = compressing.compress(workdir, config, {"max_int8_kb": "60%"})
    assert name == "max_int8_kb_60pct"
    assert sorted(workdir.answers.iterdir()) == kept  # the teacher answered once for both
    share = result["table"][2]["costs"]["int8_kb"] / result["table"][0]["costs"]["int8_kb"]
    assert (
        share <= 0.6 < first["table"][2]["costs"]["int8_kb"] / first["table"][0]["costs"]["int8_kb"]
        or result["assembly"] == first["assembly"]
    )


def test_a_limit_on_the_latency(run, monkeypatch, capsys):
    workdir, config, *_ = run
    part_tables.replace_graphs(monkeypatch)
    meter, limits = part_tables.Meter(), {"max_latency_ms": "75%"}
    tables = latency_of_parts.tables_for(workdir, config, limits, meter=meter)
    compressing.check(workdir, config, limits, tables)
    name, result = compressing.compress(workdir, config, limits, tables)
    assert name == "max_latency_ms_75pct" and result["limits"] == {"max_latency_ms": 1.5}
    teacher, assembled, tuned = (row["costs"]["latency_ms"] for row in result["table"])
    assembly = assemblies.load(workdir.compressed(name) / "assembly.json")
    assert teacher == 2.0 and assembled == tuned <= 1.5
    assert tuned == pytest.approx(assembly_costs.network_cost(tables[0], assembly))
    assert tuned == pytest.approx(assembly.origin["costs"]["latency_ms"])
    again = latency_of_parts.tables_for(workdir, config, limits, meter=part_tables.Meter())
    assert compressing.compress(workdir, config, limits, again) == (name, result)
    timed = latency_of_parts.time_student(workdir, name, result, meter=meter)
    assert timed["measured_latency"]["latency_ms"]["measured_ms"] == 1.5
    compressing.print_table(timed, config)
    assert "peak kB  latency ms  accuracy" in capsys.readouterr().out


def test_another_recipe_in_the_same_place_is_another_training(run):
    workdir, config, name, first = run
    plain = run_config.to_plain(config)
    plain["fine_tune"]["epochs"] = 2
    again, result = compressing.compress(workdir, run_config.from_plain(plain), first["asked"])
    assert again == name
    histories = sorted(
        len(json.loads(path.read_text())["epochs"])
        for path in workdir.compressed(name).glob("fine_tuning_*/history.json")
    )
    assert histories == [1, 2] and result["fine_tune"]["epochs"] == 2


def test_the_smallest_student_within_a_drop(run, capsys, monkeypatch):
    workdir, config, *_ = run
    name, result = least_size.find(workdir, config, 99.0, {"max_params": "90%"})
    assert f"The smallest student within 99 points: {name}" in capsys.readouterr().out
    tried = [
        json.loads(path.read_text())["table"][2]["costs"]["macs"]
        for path in workdir.path.glob("compressed/max_params_90pct_max_macs_*/result.json")
    ]
    assert result["table"][2]["costs"]["macs"] == min(tried)
    assert (workdir.compressed(name) / "exports/result.json").exists()
    monkeypatch.setattr(compressing, "settled", lambda *_: pytest.fail("searched again"))
    assert least_size.find(workdir, config, 99.0, {"max_params": "90%"}) == (name, result)
    with pytest.raises(ValueError, match="points of accuracy.*Received: -1"):
        least_size.find(workdir, config, -1.0)


def test_settings_that_the_ratings_depend_on_cannot_be_changed(place, run):
    changed = _config(place, compress={"realised": 2, "measured_paths": 4})
    with pytest.raises(ValueError, match=r"compress\.measured_paths: 3 there, 4 now"):
        workdirs.open_workdir(run[0].path, changed)
    # Fine-tuning may be done otherwise: another student in its place.
    workdirs.open_workdir(run[0].path, _config(place, fine_tune={"epochs": 2}))
    workdirs.open_workdir(run[0].path, run[1])


def test_sums_of_ratings_are_compared_with_what_networks_lose(run, monkeypatch, capsys):
    workdir, config, *_ = run
    result = additivity.measure(workdir, config, count=5)
    assert [row["score"] for row in result["orders"]] == [*ratings.METRICS, "kl", "macs", "params"]
    assert len(result["networks"]) == 5
    for network in result["networks"]:
        assert network["kl"] >= 0 and set(network["sums"]) == {*ratings.METRICS, "kl"}
    additivity.print_table(result)
    assert "5 random networks: Kendall's tau-b" in capsys.readouterr().out
    monkeypatch.setattr(additivity.additivity, "measure", lambda *_: pytest.fail("measured"))
    assert additivity.measure(workdir, config, count=5) == result


@pytest.mark.slow
def test_ratings_are_compared_with_those_of_another_supernet(run, capsys):
    workdir, config, *_ = run
    result = seed_agreement.measure(workdir, config, 1)
    assert result["seeds"] == [0, 1]
    for number, row in enumerate(result["cells"], 1):
        assert row["cell"] == f"block{number}_cell1"
        pair = []
        for folder in (workdir.path, workdir.path / "seeds/1"):
            data = json.loads((folder / f"ratings/{row['cell']}.json").read_text())
            pair.append(data["metrics"]["mse"]["mean"])
        expected = scipy.stats.kendalltau(*pair).statistic
        assert row["taus"]["mse"] == pytest.approx(expected)
        assert list(row["taus"]) == [*ratings.METRICS, "kl", "macs", "params"]
        for name, (low, high) in row["intervals"].items():
            assert low - 1e-12 <= row["taus"][name] <= high + 1e-12
    seed_agreement.print_table(result)
    assert "seeds 0 and 1" in capsys.readouterr().out
    with pytest.raises(ValueError, match="The run has the seed 0 itself"):
        seed_agreement.measure(workdir, config, 0)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_macs": "1%"}, "No architecture of the space 'for_plain' meets"),
        ({"max_macs": "200%"}, "There is nothing to compress"),
    ],
)
def test_budgets_are_checked_first(run, limits, message):
    with pytest.raises(ValueError, match=message):
        compressing.check(*run[:2], limits)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: _model(lambda x: layers.Dense(3, "sigmoid")(x)), {}, "no distribution over cla"),
        (lambda: _model(lambda x: layers.Dense(1)(x)), {}, "two or more classes"),
        (lambda: _model(size=None), {}, "images of any size. Say .*--image_size=224"),
        (lambda: _model(), {"image_size": 32}, "square images of 32. Received: .*16x16"),
        (lambda: _model(), {"preprocessing": "zero"}, "zero.*zero_one"),
    ],
)
def test_models_that_cannot_be_compressed(tmp_path, place, model, options, message):
    model().save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=message):
        compressing.new_config(
            run_config.default_config(),
            tmp_path / "other.keras",
            f"folder:{place / 'images'}",
            **options,
        )


def test_files_that_are_not_there(place, tmp_path):
    base = run_config.default_config()
    with pytest.raises(FileNotFoundError, match=r"none\.keras"):
        compressing.new_config(base, tmp_path / "none.keras", "folder:images")
    with pytest.raises((FileNotFoundError, ValueError), match="nowhere"):
        compressing.new_config(base, place / "model.keras", f"folder:{tmp_path / 'nowhere'}")
