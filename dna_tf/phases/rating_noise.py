"""Says which runner-ups of a search cannot be told from the best by their ratings."""

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
    gaps = [noise.gap(inputs.problem, choices[0], c, spreads, batches) for c in choices[1:]]
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
        "but rating files have no single batches. Another supernet moves ratings, too: see "
        "tools.additivity."
    )


def _spreads(inputs):
    """Standard deviations between batches, and numbers of batches, by `(block, cell)`."""
    spreads, batches = {}, {}
    for b, c, _ in inputs.space.cells():
        path = inputs.workdir.ratings / f"{spaces.cell_name(b, c)}.json"
        if path.exists():
            rated = ratings.load_cell(path, inputs.space, b, c)
            spreads[b, c], batches[b, c] = rated.metrics[inputs.metric][1], rated.batches
    return spreads, batches
