"""How far ratings of single blocks add up to what a whole network loses.

A search minimises a sum of ratings. Here random networks are realised, and the sums are compared
with the divergence that is measured: by rank (Kendall's tau-b with a bootstrap interval), and for
ratings in nats by the slope, which is 1 if they add up. MACs and parameters are the baselines: a
rating that orders no better than the size of a network is worth nothing.
"""

import dataclasses

import numpy as np

from dna_tf.common import progress, rank_correlation
from dna_tf.inheritance import answers, realising
from dna_tf.models import logits
from dna_tf.space import assemblies, part_costs, spaces

KL = "kl"
COSTS = ("macs", "params")


@dataclasses.dataclass(frozen=True)
class Order:
    """How a score orders networks by what they lose.

    Args:
        score: the rating, or `"macs"` or `"params"` (more of them, less lost).
        tau: Kendall's tau-b with the realised divergence; 1 orders alike.
        low, high: its 95 % bootstrap interval over networks.
        slope: realised divergence over the sum of ratings, a line through 0; only for `kl`.
    """

    score: str
    tau: float
    low: float
    high: float
    slope: float | None = None


def draw(space, facts, count, seed, share_own=0.2):
    """Draws random assemblies, all different.

    Args:
        space: the `spaces.SearchSpace` of the cells.
        facts: the `assemblies.TeacherFacts`.
        count: how many.
        seed: an int.
        share_own: probability of the teacher's own block in each place.

    Returns:
        A list of `assemblies.Assembly`, named `random_1`, `random_2`, ... with ratings of 0;
        fewer than `count` if the space has no more.
    """
    draws, choices = np.random.default_rng(seed), {}
    for _ in range(100 * count):
        chosen = tuple(_draw_block(space, b, draws, share_own) for b in range(len(space.blocks)))
        if any(choice is not None for choice in chosen):
            choices.setdefault(chosen)
        if len(choices) == count:
            break
    return [
        assemblies.Assembly(f"random_{n}", space, facts, _parts(space, facts, chosen))
        for n, chosen in enumerate(choices, 1)
    ]


def _draw_block(space, block, draws, share_own):
    if draws.random() < share_own:
        return None
    cell = int(draws.integers(len(space.blocks[block].cells)))
    index = int(draws.integers(space.num_paths(block, cell)))
    return cell, spaces.path(space, block, cell, index)


def _parts(space, facts, chosen):
    own = [assemblies.Part(None, None, 0.0, costs) for costs in facts.blocks]
    return tuple(
        own[b]
        if choice is None
        else assemblies.Part(*choice, 0.0, part_costs.path_costs(space, b, *choice, facts.shapes))
        for b, choice in enumerate(chosen)
    )


def measure(networks, teacher, cells, calibration, images):
    """Realises networks and measures what they lose on the rating images.

    Args:
        networks: a list of `assemblies.Assembly`.
        teacher, cells, calibration, images: as of `choosing.settle`.

    Returns:
        A list of `answers.Answers`.
    """
    whole, measured = logits.with_logits(teacher.model), []
    with images.reading(), progress.bar("realising", len(networks), "network") as bar:
        for network in networks:
            model = realising.realise(network, teacher, cells, calibration)
            measured.append(answers.compare(model, whole, images))
            bar.update(1)
    return measured


def sums(networks, ratings):
    """The sum of ratings of each network; the teacher's own block has 0.

    Args:
        networks: a list of `assemblies.Assembly`.
        ratings: `ratings[block, cell]`, one rating per path.

    Returns:
        A float64 array `(networks,)`.
    """
    return np.array(
        [
            sum(
                0.0
                if part.is_own
                else ratings[b, part.cell][network.space.path_index(b, part.cell, part.path)]
                for b, part in enumerate(network.parts)
            )
            for network in networks
        ]
    )


def orders(networks, scores, realised, seed=0):
    """Compares scores with the realised divergence.

    Args:
        networks: a list of `assemblies.Assembly`.
        scores: a dict from the name of a rating to `(networks,)`; that of the ratings by
            replacing is `KL`.
        realised: the divergence of each network in nats, `(networks,)`.
        seed: of the bootstrap.

    Returns:
        A list of `Order`, MACs and parameters last.
    """
    realised = np.asarray(realised, np.float64)
    costs = [network.costs() for network in networks]
    sizes = {name: [-each[name] for each in costs] for name in COSTS}
    bootstrap, rows = rank_correlation.Bootstrap(len(realised), seed), []
    for name, values in {**scores, **sizes}.items():
        values = np.asarray(values, np.float64)
        tau = bootstrap.interval(*bootstrap.tau(values, realised))
        slope = float(values @ realised / (values @ values)) if name == KL else None
        rows.append(Order(name, tau.value, tau.low, tau.high, slope))
    return rows
