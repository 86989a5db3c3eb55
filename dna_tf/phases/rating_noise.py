"""Says which runner-ups of a search cannot be told from the best by their ratings."""

import numpy as np

from dna_tf.common import progress
from dna_tf.search import noise
from dna_tf.space import ratings, spaces


def print_gaps(inputs, names, choices):
    """Prints how far the runner-ups are from the best, beside the noise of the ratings.

    Args:
        inputs: the `search_inputs.SearchInputs` that were searched.
        names: the names of the architectures, the best first.
        choices: their `problems.Choice`s.
    """
    if len(choices) < 2:
        return
    spreads, batches = _spreads(inputs)
    seeds, supernets = _supernets(inputs)
    gaps = [
        noise.gap(inputs.problem, choices[0], choice, spreads, batches, supernets)
        for choice in choices[1:]
    ]
    if any(gap.error is None for gap in gaps):
        progress.say(
            "Whether the runner-ups can be told from the best is unknown: the ratings are from a "
            "single batch of images. Rate on more (rating.batches)."
        )
        return
    progress.say(f"How far the runner-ups are from {names[0]}, with 95 % intervals:")
    for name, gap in zip(names[1:], gaps, strict=False):
        verdict = "" if gap.is_clear else f": cannot be told from {names[0]}"
        progress.say(f"  {name}: {gap.value:+.4f} ± {gap.error:.4f}{verdict}")
    unclear = sum(not gap.is_clear for gap in gaps)
    progress.say(f"  {unclear} of {len(gaps)} cannot be told from it by their ratings.")
    progress.say(
        "  The intervals are from the spread between batches of rating images, taken as "
        "independent. All paths see the same batches: differences batch by batch would be surer, "
        "but rating files have no single batches."
    )
    if supernets is None:
        progress.say(
            "  Another supernet moves ratings, too: tools.additivity --supernet_seed=1 trains one, "
            "and then its spread is in the intervals."
        )
    else:
        progress.say(
            f"  The spread between {len(seeds) + 1} supernets is in them as well (seeds "
            f"{', '.join(map(str, (inputs.seed, *seeds)))})."
        )


def _supernets(inputs):
    """Seeds of further supernets of the run, and the noise between all, by `(block, cell)`.

    Returns:
        `((), None)` if no other supernet is rated.
    """
    folders = {}
    for folder in (inputs.workdir.path / "seeds").glob("*/ratings"):
        if folder.parent.name.isdecimal():
            folders[int(folder.parent.name)] = folder
    values, seeds = {}, set(folders)
    for b, c, _ in inputs.space.cells():
        name = f"{spaces.cell_name(b, c)}.json"
        rows = {}
        for seed, folder in folders.items():
            if (folder / name).exists():
                rated = ratings.load_cell(folder / name, inputs.space, b, c)
                if len(rated) == inputs.space.num_paths(b, c):
                    rows[seed] = rated.metrics[inputs.metric][0]
        seeds &= set(rows)
        values[b, c] = rows
    measured = inputs.problem.measured
    if not seeds or any(np.isnan(each).any() for each in measured.values()):
        return (), None
    seeds = sorted(seeds)
    noises = {
        key: noise.of_supernets([measured[key], *(rows[seed] for seed in seeds)])
        for key, rows in values.items()
    }
    return seeds, noises


def _spreads(inputs):
    """Standard deviations between batches, and numbers of batches, by `(block, cell)`."""
    spreads, batches = {}, {}
    for b, c, _ in inputs.space.cells():
        path = inputs.workdir.ratings / f"{spaces.cell_name(b, c)}.json"
        if path.exists():
            rated = ratings.load_cell(path, inputs.space, b, c)
            spreads[b, c], batches[b, c] = rated.metrics[inputs.metric][1], rated.batches
    return spreads, batches
