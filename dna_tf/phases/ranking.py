"""Ratings held against trained networks: random ones are trained, and both orders compared.

`drawn_networks` draws them and `network_scores` rates them. DNA Figure 4 has such a set of 16
networks, and no number.
"""

import math

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, progress
from dna_tf.phases import drawn_networks, network_scores, retraining
from dna_tf.report import ranking_page
from dna_tf.space import presets
from dna_tf.truth import ranking

_ENDS = ("tau", "spearman", "pearson")


def retrain(workdir, config, question, strategy=None):
    """Trains the drawn networks with the config's recipe; finished ones are not trained again.

    Args:
        workdir, config, question: as of `drawn_networks.draw`.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Raises:
        FileNotFoundError: the networks are not drawn yet.
    """
    for arch in drawn_networks.load(workdir, question):
        retraining.retrain(workdir, config, arch, strategy=strategy)


def compare(workdir, config, question):
    """Compares the order of the ratings with that of the accuracies, beside controls.

    Args:
        workdir, config, question: as of `drawn_networks.draw`; the networks are trained and rated.

    Returns:
        The content of `ranking/NAME.json`; the page is `NAME.html` beside it.

    Raises:
        FileNotFoundError: a network is not drawn, trained or rated.
        ValueError: the scores are of other ratings or networks, or nothing can be ranked because
            all scores or all accuracies are equal.
    """
    archs, scores = (
        drawn_networks.load(workdir, question),
        network_scores.load(workdir, config, question),
    )
    seeds = range(config.retrain.seeds)
    results = {a.name: [workdir.student_result(a.name, seed) for seed in seeds] for a in archs}
    largest = max(op.expand for op in presets.get_space(config.space).ops)
    networks = [
        {
            "name": arch.name,
            "blocks": arch.describe(),
            **{cost: arch.costs()[cost] for cost in ("params", "macs")},
            "expanded": sum(op.expand == largest for block in arch.blocks for op in block.ops),
            "rating": scores["scores"][arch.name]["rating"],
            "untrained": scores["scores"][arch.name]["untrained"],
            "accuracies": [result["test_accuracy"] for result in results[arch.name]],
        }
        for arch in archs
    ]
    compared, left_out = _ranked(networks, f"layers with expansion {largest}", config.seed)
    content = {
        "kind": workdirs.RANKING_KIND,
        "name": question.set_name,
        "space": presets.get_space(config.space).name,
        "metric": scores["metric"],
        "draw": question.text(),
        "seeds": len(seeds),
        "test_images": next(iter(results.values()))[0]["test_images"],
        "networks": networks,
        "rows": [
            _row(name, row)
            for name, row in {compared.name: compared.score, **compared.controls}.items()
        ],
        "left_out": left_out,
        "lines": ranking.lines(compared),
    }
    files.write_json(workdir.ranking / f"{question.set_name}.json", content)
    page = workdir.ranking / f"{question.set_name}.html"
    files.write_text(page, ranking_page.page_html(content))
    for line in content["lines"]:
        progress.say(line)
    for text in left_out:
        progress.say(text)
    progress.say(f"{page}")
    return content


def _ranked(networks, expanded_name, seed):
    """A `ranking.Ranking` of networks, and sentences about controls that were left out."""
    accuracies = np.array([network["accuracies"] for network in networks])
    columns = {"macs": "macs", "params": "params", expanded_name: "expanded"}
    if networks[0]["untrained"] is not None:
        columns["untrained cells"] = "untrained"
    controls, left_out = {}, []
    for name, field in columns.items():
        values = np.array([network[field] for network in networks], np.float64)
        if (values == values[0]).all():
            left_out.append(f"Not compared with {name}: all networks have {values[0]:g}.")
        else:
            controls[name] = -values if field == "untrained" else values
    compared = ranking.rank_score(
        accuracies.mean(axis=1),
        np.array([network["rating"] for network in networks]),
        controls,
        seed,
        name="rating",
        lower_is_better=True,
        trainings=accuracies if accuracies.shape[1] > 1 else None,
    )
    return compared, left_out


def _row(name, row):
    """A row of a ranking as JSON-able data; NaN becomes `None`."""
    return {
        "score": name,
        **{field: _ends(getattr(row, field)) for field in _ENDS},
        "ahead": {control: _ends(interval) for control, interval in row.ahead.items()},
        "partial": {control: _ends(interval) for control, interval in row.partial.items()},
        "bands": {
            cost: {"tau": _ends(band.tau), "right": band.right, "pairs": band.pairs}
            for cost, band in row.bands.items()
        },
    }


def _ends(interval):
    ends = (interval.value, interval.low, interval.high)
    return [None if math.isnan(end) else float(end) for end in ends]
