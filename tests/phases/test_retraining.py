"""Retraining: which seeds a student is trained for."""

import dataclasses

import pytest

from dna_tf import workdirs
from dna_tf.phases import retraining
from dna_tf.space import zoo
from tests.helpers import tiny_config


@pytest.mark.parametrize("seeds, control_seeds, expected", [(3, 0, (3, 3)), (3, 1, (3, 1))])
def test_controls_may_have_fewer_seeds(tmp_path, monkeypatch, seeds, control_seeds, expected):
    made = {"seed": 0, "test_correct": 1, "test_images": 2}
    monkeypatch.setattr(retraining, "_finished", lambda workdir, arch, seed: {**made, "seed": seed})
    config = tiny_config.get_config()
    config.retrain.update(seeds=seeds, control_seeds=control_seeds)
    searched = zoo.get_architecture("dna_a")
    control = dataclasses.replace(searched, origin={"by": "control", "control_of": "dna_a"})
    found = [retraining.retrain(workdirs.Workdir(tmp_path), config, a) for a in (searched, control)]
    assert tuple(map(len, found)) == expected
    assert [one["seed"] for one in found[0]] == list(range(seeds))
