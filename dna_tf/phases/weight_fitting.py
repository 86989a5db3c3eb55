"""The weights of the blocks, fitted on the drawn and trained networks of a run (DONNA)."""

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, formatting, progress
from dna_tf.phases import drawn_networks, network_scores, search_inputs
from dna_tf.truth import block_weights


def fit(workdir, config, question):
    """Fits the weight of each block on a set of networks.

    Args:
        workdir: a `workdirs.Workdir` with all ratings.
        config: its config.
        question: a `drawn_networks.Draw`, whose networks are trained.

    Returns:
        The content of `ranking/NAME_weights.json`.

    Raises:
        FileNotFoundError: networks are not drawn or trained, or cells are not rated.
        ValueError: there are too few networks, or their ratings cannot be weighted.
    """
    archs = drawn_networks.load(workdir, question)
    inputs = search_inputs.SearchInputs(workdir, config)
    seeds = range(config.retrain.seeds)
    accuracies = np.array(
        [
            [workdir.student_result(arch.name, seed)["test_accuracy"] for seed in seeds]
            for arch in archs
        ]
    ).mean(axis=1)
    ratings = np.array(
        [network_scores.block_ratings(inputs.problem.measured, a, inputs.space) for a in archs]
    )
    fitted = block_weights.fit_block_weights(ratings, 100 * accuracies)
    content = {
        "kind": workdirs.BLOCK_WEIGHTS_KIND,
        "metric": inputs.metric,
        "ratings": inputs.made_from,
        "weights": list(fitted.weights),
        "intercept": fitted.intercept,
        "slope": fitted.slope,
        "ridge": fitted.ridge,
        "tau": fitted.tau,
        "tau_equal": fitted.tau_equal,
        "networks": [
            {
                "name": arch.name,
                **{cost: arch.costs()[cost] for cost in ("macs", "params")},
                "accuracy": float(accuracy),
                "predicted": float(predicted) / 100,
            }
            for arch, accuracy, predicted in zip(archs, accuracies, fitted.left_out, strict=True)
        ],
    }
    files.write_json(workdir.ranking / f"{question.set_name}_weights.json", content)
    for line in lines(content):
        progress.say(line)
    for block in fitted.against:
        progress.warn(
            f"The ratings of block {block + 1} rise with accuracy: its weight is 0, and a search "
            "with these weights takes any path there."
        )
    return content


def lines(content):
    """Weights, and what they are worth, as lines of text.

    Args:
        content: of `ranking/NAME_weights.json`.
    """
    head = ["network", "MACs", "params", "accuracy", "predicted without it"]
    rows = [
        [
            each["name"],
            formatting.format_count(each["macs"]),
            formatting.format_count(each["params"]),
            f"{100 * each['accuracy']:.2f} %",
            f"{100 * each['predicted']:.2f} %",
        ]
        for each in content["networks"]
    ]
    weights = ", ".join(f"{weight:.2f}" for weight in content["weights"])
    return [
        *formatting.aligned([head, *rows], right=range(1, len(head))),
        f"Weights of the blocks: {weights} (ridge {content['ridge']:.2g}).",
        f"Tau-b with the accuracies, each network predicted without it: {content['tau']:+.2f}; "
        f"with equal weights {content['tau_equal']:+.2f}.",
    ]
