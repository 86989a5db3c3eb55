"""Made-up ratings, for comparing and timing searches where nothing is trained. Not results.

`plausible` ratings fall with the logarithm of a path's MACs and have noise for each path, as
real ones do; `smooth` ones have a third of the noise; `noise` has no relation to any cost.

Source: our choice.
"""

import numpy as np

NOISE = {"plausible": 0.01, "smooth": 0.003}
KINDS = (*NOISE, "noise")


def make(space, table, kind="plausible", seed=0):
    """Makes up ratings of all paths of a space.

    Args:
        space: a `search_space.SearchSpace`.
        table: its `cost.CostTable`.
        kind: one of `KINDS`.
        seed: an int; one seed gives the same ratings.

    Returns:
        A dict from `(block, cell)` to a float64 array with one rating per path.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"Made-up ratings are of a kind of {KINDS}. Received: {kind!r}")
    rng, made = np.random.default_rng(seed), {}
    for b, c, _ in space.cells():
        macs = table.paths[b, c, space.input_widths(b)[0]]["macs"]
        if kind == "noise":
            made[b, c] = rng.random(len(macs))
        else:
            noise = NOISE[kind] * rng.standard_normal(len(macs))
            made[b, c] = 0.35 + 0.05 * b - 0.06 * np.log(macs / 1e7) + noise
    return made
