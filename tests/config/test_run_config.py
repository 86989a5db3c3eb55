"""The config: round trips, and messages for what is wrong. Few field names are pinned."""

import json

import ml_collections
import pytest

from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.search import exact, problem_building
from dna_tf.space import cost_limits, cost_tables, presets, spaces, tasks

OWN_SPACE = {
    "name": "own",
    "ops": ["k3e6", "k5e3"],
    "blocks": [
        {"stride": 2, "cells": [[1, 8], [2, 4]]},
        {"stride": 2, "cells": [[1, 8]]},
        {"stride": 1, "cells": [[3, 8]]},
    ],
    "frame": {"se_ratio": 0.0},
}


def _changed(**changes):
    """A default config with `section__field=value` changed."""
    config = run_config.default_config()
    for name, value in changes.items():
        config.update_from_flattened_dict({name.replace("__", "."): value})
    return config


def _plain(change):
    """The plain default config, changed in place."""
    plain = json.loads(json.dumps(run_config.to_plain(run_config.default_config())))
    change(plain)
    return plain


def test_defaults_pass_and_stay_as_they_are():
    config = run_config.default_config()
    run_config.check_config(config)
    assert run_config.to_plain(config) == run_config.to_plain(run_config.default_config())


def test_default_budgets_are_feasible_and_do_not_allow_everything():
    config = run_config.default_config()
    space = presets.get_space(config.space)
    table = cost_tables.cost_table(
        space, tasks.Task(config.data.image_size, config.data.channels, 10)
    )
    ratings = {
        (b, c): -table.paths[b, c, space.input_widths(b)[-1]]["macs"].astype(float)
        for b, c, _ in space.cells()
    }
    problem = problem_building.build_problem(space, ratings, table)
    largest = exact.best(problem)[0].costs["macs"]
    for budget in config.search.budgets:
        for key, limit in cost_limits.Limits(budget).items():
            assert problem.lowest(key.removeprefix("max_")) < limit
            assert key != "max_macs" or limit < largest


def test_each_default_config_is_a_fresh_one():
    run_config.default_config().data.image_size = 64
    assert run_config.default_config().data.image_size == 32


def test_a_misspelt_field_is_an_error_where_it_is_set():
    config = run_config.default_config()
    with pytest.raises(AttributeError, match="image_size"):
        config.data.image_sise = 64
    with pytest.raises(TypeError):
        config.data.image_size = "64"


@pytest.mark.parametrize(
    "config",
    [
        run_config.default_config(),
        _changed(seed=3, data__shift=0, search__weights=(1, 0.5, 2.0)),
        _changed(space=OWN_SPACE),
        _changed(space=ml_collections.ConfigDict(OWN_SPACE)),
    ],
    ids=["default", "changed", "own space", "own space as ConfigDict"],
)
def test_plain_form_survives_json_and_gives_an_equal_config(config, tmp_path):
    run_config.check_config(config)
    plain = run_config.to_plain(config)
    files.write_json(tmp_path / "config.json", {"kind": "k", "config": plain})
    read = files.read_json(tmp_path / "config.json", "k", "")["config"]
    assert read == plain
    back = run_config.from_plain(read)
    assert run_config.to_plain(back) == plain
    assert run_config.config_fingerprint(back) == run_config.config_fingerprint(config)
    assert run_config.differences(plain, run_config.to_plain(back)) == []
    assert back.is_locked
    assert type(back.teacher.cuts) is tuple
    assert presets.get_space(back.space) == presets.get_space(config.space)


def test_a_config_file_may_hold_a_space_as_a_dict():
    config = run_config.default_config()
    config.space = OWN_SPACE
    run_config.check_config(config)
    assert presets.get_space(config.space) == spaces.SearchSpace.from_dict(OWN_SPACE)
    config.space = "digits"
    assert presets.get_space(config.space) is presets.PRESETS["digits"]


def test_fingerprints_tell_sections_apart():
    one, other = run_config.default_config(), _changed(retrain__epochs=7)
    assert run_config.config_fingerprint(one) != run_config.config_fingerprint(other)
    sections = ("seed", "data", "space")
    assert run_config.config_fingerprint(one, sections) == run_config.config_fingerprint(
        other, sections
    )
    moved = _changed(seed=1)
    assert run_config.config_fingerprint(one, sections) != run_config.config_fingerprint(
        moved, sections
    )


def test_fields_that_were_added_later_count_only_with_another_value():
    config = run_config.default_config()
    plain = run_config.to_plain(config)["data"]
    del plain["interpolation"]  # as an earlier version wrote and fingerprinted it
    assert run_config.config_fingerprint(config, ["data"]) == files.fingerprint({"data": plain})
    bicubic = _changed(data__interpolation="bicubic")
    fingerprints = [run_config.config_fingerprint(c, ["data"]) for c in (config, bicubic)]
    assert fingerprints[0] != fingerprints[1]


def test_differences():
    one = run_config.to_plain(run_config.default_config())
    other = _changed(seed=1, data__image_size=64, space=OWN_SPACE, retrain__epochs=7)
    other = run_config.to_plain(other)
    expected = ["data.image_size", "retrain.epochs", "seed", "space"]
    assert run_config.differences(one, other) == run_config.differences(other, one) == expected
    assert run_config.differences(one, {**one, "extra": 1}) == ["extra"]
    del other["data"]["shift"]
    assert "data.shift" in run_config.differences(one, other)
    assert run_config.differences(one, one) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(sed=1), r"Unknown key config\.sed\. Did you mean 'seed'"),
        (lambda p: p["data"].update(image_sise=8), r"config\.data\.image_sise\..*'image_size'"),
        (lambda p: p.pop("retrain"), r"config\.retrain is missing\. Start from default_config"),
        (lambda p: p["data"].pop("flip"), r"config\.data\.flip is missing"),
        (lambda p: p.update(data=3), r"config\.data must be a section\. Received: 3"),
        (lambda p: p.update(seed="0"), r"config\.seed must be of type int, .*'0' of type str"),
        (lambda p: p.update(seed=True), r"config\.seed must be of type int"),
        (lambda p: p.update(seed=1.0), r"config\.seed must be of type int"),
        (lambda p: p["data"].update(flip=1), r"config\.data\.flip must be of type bool"),
        (lambda p: p["data"].update(shift="a"), r"config\.data\.shift must be of type float"),
        (lambda p: p["teacher"].update(cuts="stage1"), r"config\.teacher\.cuts .*type tuple"),
        (lambda p: p.update(space="digit"), r"no search space 'digit'\. Did you mean 'digits'"),
        (lambda p: p.update(space=7), r"search space must be a mapping.*Received: 7"),
        (lambda p: p.update(space={"name": "own"}), "search space is missing 'ops'"),
    ],
)
def test_from_plain_names_keys_and_types(change, message):
    with pytest.raises(ValueError, match=message):
        run_config.from_plain(_plain(change))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, r"config\.seed must be in \[0, 2147483647\]\. Received: -1"),
        ({"seed": 2**31}, r"config\.seed must be in .*Received: 2147483648"),
        ({"data__image_size": 4}, r"image_size must be at least 8, or 0 .*Received: 4"),
        ({"teacher__preprocessing": "tf"}, r"config\.teacher\.preprocessing must be one of"),
        ({"data__channels": 4}, r"config\.data\.channels must be one of \[1, 3\].*Received: 4"),
        ({"data__shift": 0.6}, r"config\.data\.shift must be in \[0\.0, 0\.5\]\. Received: 0\.6"),
        ({"data__shift": float("nan")}, r"config\.data\.shift must be in .*Received: nan"),
        ({"data__test_fraction": 0.0}, r"config\.data\.test_fraction must be in"),
        ({"supernet__epochs": 0}, r"config\.supernet\.epochs must be at least 1"),
        ({"supernet__learning_rate": -0.1}, r"config\.supernet\.learning_rate must be in"),
        ({"supernet__features": "memroy"}, r"Did you mean 'memory'\? Received: 'memroy'"),
        ({"retrain__optimizer": "adam"}, r"config\.retrain\.optimizer must be one of \['adamw'"),
        ({"retrain__seeds": 0}, r"config\.retrain\.seeds must be at least 1"),
        ({"export__precisions": ("int4",)}, r"config\.export\.precisions must be .*'int8'"),
        ({"search__budgets": ("macs=1M",)}, "Did you mean 'max_macs'"),
        ({"search__budgets": ()}, r"config\.search\.chosen must be the index"),
        ({"search__chosen": 3}, r"config\.search\.chosen must be the index .*chosen=3"),
        ({"search__chosen": -1}, r"config\.search\.chosen must be the index"),
        (
            {"search__budgets": ("max_macs=1M", "max_macs = 1M")},
            r"config\.search\.budgets must differ: each one names a student",
        ),
        (
            {"search__weights": (1.0, 2.0)},
            r"config\.search\.weights must be \(\) or 3 finite numbers .* Received: \(1\.0, 2\.0\)",
        ),
        ({"search__weights": (1.0, 2.0, -1.0)}, r"config\.search\.weights must be"),
        ({"search__weights": (1.0, 2.0, "3")}, r"config\.search\.weights must be"),
        ({"space": {**OWN_SPACE, "ops": ["k4e6"]}}, "kernel must be odd"),
    ],
)
def test_check_config_names_ranges_and_choices(changes, message):
    with pytest.raises(ValueError, match=message):
        run_config.check_config(_changed(**changes))


def test_image_size_zero_is_that_of_the_space():
    config = _changed(data__image_size=0, space="dna")
    assert run_config.with_image_size(config).data.image_size == 224
    assert config.data.image_size == 0  # the argument is not changed
    with config.unlocked():
        config.space = dict(OWN_SPACE, image_size=40)
    assert run_config.with_image_size(config).data.image_size == 40
    assert run_config.with_image_size(_changed(data__image_size=64)).data.image_size == 64


def test_a_config_from_before_a_field_was_added_takes_its_default():
    plain = run_config.to_plain(run_config.default_config())
    plain["rating"]["batches"] = 3
    older = {k: dict(v) if isinstance(v, dict) else v for k, v in plain.items()}
    del older["rating"]["calibration_batches"], older["search"], older["seed"]
    kept = {k: dict(v) if isinstance(v, dict) else v for k, v in older.items()}
    assert run_config.with_defaults(older) == plain
    assert older == kept  # it makes a new one
    assert run_config.with_defaults({"retrain": 3})["retrain"] == 3  # refused by from_plain
