"""How far the ratings of a run add up: random networks, beside the sums of their ratings."""

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, formatting, progress
from dna_tf.inheritance import additivity
from dna_tf.phases import compressing, rating, runs
from dna_tf.space import presets, ratings
from dna_tf.supernet import cell_files, cell_rating
from dna_tf.teachers import parts


def measure(workdir, config, count=50):
    """Realises random networks of a run and compares sums of ratings with what they lose.

    Args:
        workdir: a `workdirs.Workdir` in which cells were trained.
        config: its config.
        count: how many networks.

    Returns:
        The content of `WORKDIR/additivity.json`: a row for each rating, for MACs and for
        parameters, and the networks.
    """
    identity = {"count": count, "seed": config.seed}
    path, kind = workdir.path / "additivity.json", workdirs.ADDITIVITY_KIND
    rated, replaced = rating.rate(workdir, config), compressing.replace(workdir, config)
    run = runs.open_run(workdir, config)
    teacher, images, space = run.teacher, run.images, presets.get_space(config.space)
    facts = parts.facts(teacher)
    identity |= {"teacher": facts.fingerprint, "data_fingerprint": images.fingerprint}
    result = runs.existing_result(path, kind, **identity)
    if result is not None:
        progress.say(f"It is measured already: {path}")
        return result
    cells = cell_files.load(workdir.supernet, space, teacher.shapes)
    networks = additivity.draw(space, facts, count, config.seed)
    settings = compressing.rating_settings(config)
    calibration = cell_rating.calibration_images(images, settings, config.seed)
    measured = additivity.measure(networks, teacher, cells, calibration, images)
    by_name = {
        name: {key: cell.metrics[name][0] for key, cell in rated.items()}
        for name in ratings.METRICS
    } | {additivity.KL: {key: cell.kl for key, cell in replaced.items()}}
    scores = {name: additivity.sums(networks, values) for name, values in by_name.items()}
    losses = np.array([each.kl for each in measured])
    rows = additivity.orders(networks, scores, losses, config.seed)
    result = {
        "kind": kind,
        **identity,
        "rating_images": images.counts["rating"],
        "orders": [vars(row) for row in rows],
        "networks": [
            {
                "assembly": network.describe(),
                **{name: network.costs()[name] for name in ("macs", "params")},
                "kl": each.kl,
                "accuracy": each.accuracy,
                "sums": {name: float(values[n]) for name, values in scores.items()},
            }
            for n, (network, each) in enumerate(zip(networks, measured, strict=True))
        ],
    }
    files.write_json(path, result)
    return result


def print_table(result):
    """Prints the rows of a result."""
    texts = [["rating", "tau", "95 % interval", "slope"]]
    for row in result["orders"]:
        slope = "" if row["slope"] is None else f"{row['slope']:.2f}"
        interval = f"{row['low']:+.2f} to {row['high']:+.2f}"
        texts.append([row["score"], f"{row['tau']:+.2f}", interval, slope])
    progress.say(
        f"{len(result['networks'])} random networks: Kendall's tau-b of the sum of ratings with "
        f"the realised divergence on {result['rating_images']} rating images"
    )
    for line in formatting.aligned(texts, right=(1, 2, 3)):
        progress.say(f"  {line}")
