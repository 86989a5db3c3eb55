"""Weights of blocks from the trained networks of a run."""

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.phases import drawn_networks, network_scores, search_inputs, weight_fitting
from dna_tf.space import presets
from dna_tf.truth import block_weights
from tests.helpers import ranked_runs


def test_weights_are_those_of_the_ratings_and_mean_accuracies(tmp_path, capsys):
    question = drawn_networks.Draw(20)
    workdir, config = ranked_runs.ranked_run(tmp_path / "run", question, noise=0.01)
    content = weight_fitting.fit(workdir, config, question)
    space = presets.get_space(config.space)
    measured = search_inputs.SearchInputs(workdir, config).problem.measured
    archs = drawn_networks.load(workdir, question)
    ratings = np.array([network_scores.block_ratings(measured, arch, space) for arch in archs])
    sums = [network_scores.network_rating(measured, arch, space) for arch in archs]
    np.testing.assert_allclose(ratings.sum(axis=1), sums, rtol=1e-12)
    accuracies = [
        np.mean([workdir.student_result(arch.name, seed)["test_accuracy"] for seed in range(2)])
        for arch in archs
    ]
    fit = block_weights.fit_block_weights(ratings, 100 * np.array(accuracies))
    np.testing.assert_allclose(content["weights"], fit.weights, rtol=1e-9)
    assert [each["accuracy"] for each in content["networks"]] == pytest.approx(accuracies)
    path = workdir.ranking / "rank_weights.json"
    assert files.read_json(path, workdirs.BLOCK_WEIGHTS_KIND, "") == content
    text = capsys.readouterr().out
    assert "Weights of the blocks: " in text and "predicted without it" in text
    # The weights are a setting of the search.
    weighted = search_inputs.SearchInputs(workdir, config, content["weights"])
    assert weighted.problem.weights == tuple(content["weights"])


def test_too_few_networks_and_missing_ones_are_refused(tmp_path):
    question = drawn_networks.Draw(6)
    workdir, config = ranked_runs.ranked_run(tmp_path / "run", question)
    with pytest.raises(ValueError, match=r"trained networks\. Received: 6"):
        weight_fitting.fit(workdir, config, question)
    (workdir.student(question.names[0], 1) / "result.json").unlink()
    with pytest.raises(FileNotFoundError):
        weight_fitting.fit(workdir, config, question)
    assert not (workdir.ranking / "rank_weights.json").exists()
