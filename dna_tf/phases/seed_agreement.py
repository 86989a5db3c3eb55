"""How far the order of a cell's paths is the same with another supernet: the ceiling of a rating.

Cells are trained once more with another seed, on the same images and the same teacher, and their
paths are rated in the same way. Kendall's tau between both ratings of a cell says how much of its
order a search can trust. Beside it stands how far the rating orders paths as their MACs and
parameters do: two ratings that both only follow size agree too.
"""

import numpy as np

from dna_tf import workdirs
from dna_tf.common import checks, files, formatting, progress, rank_correlation
from dna_tf.inheritance import replacements
from dna_tf.phases import compressing, rating, runs
from dna_tf.space import part_costs, presets, ratings, spaces
from dna_tf.supernet import cell_rating, cell_training, phase_settings

KL = "kl"
SIZES = ("macs", "params")


def measure(workdir, config, seed):
    """Trains and rates the cells of a run with another seed, and compares the ratings.

    Args:
        workdir: a `workdirs.Workdir` in which cells were trained.
        config: its config.
        seed: of the second supernet; not that of the config.

    Returns:
        The content of `WORKDIR/seeds/SEED/agreement.json`: for each cell Kendall's tau in each
        metric and by replacing, and of the run's first metric with MACs and parameters (more
        of them, the better), with their intervals.

    Raises:
        ValueError: the seed is that of the run.
    """
    checks.check_whole("The seed of the second supernet", seed, 0, 2**31 - 1)
    if seed == config.seed:
        raise ValueError(f"The run has the seed {seed} itself. Give another one.")
    folder = workdir.path / "seeds" / str(seed)
    first, first_replaced = rating.rate(workdir, config), compressing.replace(workdir, config)
    run = runs.open_run(workdir, config)
    teacher, images, space = run.teacher, run.images, presets.get_space(config.space)
    cells = cell_training.train_cells(
        space,
        teacher,
        images,
        settings=phase_settings.of_section(phase_settings.SupernetSettings, config.supernet),
        seed=seed,
        folder=folder / "supernet",
    )
    settings = compressing.rating_settings(config)
    second = cell_rating.rate_cells(
        cells, teacher, images, settings=settings, seed=config.seed, folder=folder / "ratings"
    )
    by_replacing = compressing.replacement_settings(config)
    second_replaced = replacements.rate_replacements(
        cells, teacher, images, second, by_replacing, folder / "replacements"
    )
    rows = []
    for (b, c), one in first.items():
        both = first_replaced[b, c], second_replaced[b, c]
        measured = both[0].measured & both[1].measured
        pairs = {
            name: (one.metrics[name][0], second[b, c].metrics[name][0]) for name in ratings.METRICS
        }
        costs = part_costs.all_path_costs(space, b, c, teacher.shapes)
        for name in SIZES:
            pairs[name] = one.metrics[ratings.METRICS[0]][0], -np.asarray(costs[name])
        taus = _taus(pairs)
        taus[KL] = _taus({KL: tuple(each.kl[measured] for each in both)})[KL]
        rows.append(_row(spaces.cell_name(b, c), len(one), taus))
    result = {
        "kind": workdirs.SEEDS_KIND,
        "seeds": [config.seed, seed],
        "rating_images": images.counts["rating"],
        "cells": rows,
    }
    files.write_json(folder / "agreement.json", result)
    return result


def _taus(pairs):
    """An interval of tau for each pair of arrays, a dict; pairs of one dict are resampled alike."""
    bootstrap = rank_correlation.Bootstrap(len(next(iter(pairs.values()))[0]))
    return {name: bootstrap.interval(*bootstrap.tau(*pair)) for name, pair in pairs.items()}


def _row(name, paths, taus):
    order = [*ratings.METRICS, KL, *SIZES]
    return {
        "cell": name,
        "paths": paths,
        "taus": {each: taus[each].value for each in order},
        "intervals": {
            each: [taus[each].low, taus[each].high]
            for each in order
            if not np.isnan(taus[each].low)
        },
    }


def print_table(result):
    """Prints the rows of a result."""
    names = list(result["cells"][0]["taus"])
    texts = [["cell", "paths", *names]]
    for row in result["cells"]:
        numbers = [
            rank_correlation.Interval(row["taus"][name], *row["intervals"].get(name, [np.nan] * 2))
            for name in names
        ]
        texts.append([row["cell"], str(row["paths"]), *(number.text() for number in numbers)])
    means = [np.mean([row["taus"][name] for row in result["cells"]]) for name in names]
    texts.append(["mean", "", *(f"{mean:+.2f}" for mean in means)])
    one, other = result["seeds"]
    progress.say(
        f"Kendall's tau-b between the ratings of two supernets, seeds {one} and {other}: what the "
        "order of a cell's paths can mean at most (95 % bootstrap intervals over paths). macs, "
        f"params: how far {ratings.METRICS[0]} of the first orders paths as their size does"
    )
    for line in formatting.aligned(texts, right=range(1, len(texts[0]))):
        progress.say(f"  {line}")
