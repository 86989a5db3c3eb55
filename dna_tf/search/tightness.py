"""The tightness of limits, and the gain from loosening each of them.

Every gain comes from an exact search under one loosened limit, with the others unchanged. The
shadow price is the multiplier of the best bound (`bounds`): the value of a little more of the
cost if architectures could be mixed. As they cannot, a loosened limit may bring less, or more at
once.
"""

import dataclasses

from dna_tf.search import bounds, exact

SHARES = (0.01, 0.05, 0.1)


@dataclasses.dataclass(frozen=True)
class Relaxed:
    """The gain from one loosened limit.

    Args:
        share: by how much it was loosened, as a share of it, such as 0.01.
        limit: the loosened limit.
        best: the best `problems.Choice` under it.
        gain: by how much its value is lower than under the original limits; 0 if the same
            choice is best.
    """

    share: float
    limit: float
    best: object
    gain: float


@dataclasses.dataclass(frozen=True)
class Tightness:
    """How tight one limit is.

    Args:
        limit: its name, such as `"max_macs"`.
        value: its value.
        used: the cost of the best architecture.
        room: the distance to the limit, as a share of it; 0 is just met.
        price: the shadow price: the decrease of the value per unit of the cost, at least 0.
        relaxed: a `Relaxed` for each share.
    """

    limit: str
    value: float
    used: float
    room: float
    price: float
    relaxed: tuple


def tightness(problem, limits, best, penalties=None, shares=SHARES):
    """Measures how tight each limit of a search is.

    Args:
        problem: the `problems.SearchProblem`.
        limits: the limits, such as `{"max_macs": 350e6}`.
        best: the optimum under them, a `problems.Choice`.
        penalties: as `exact.best` takes them.
        shares: by how much to loosen each limit, as shares of it.

    Returns:
        A list with a `Tightness` for each limit, in their order.

    Raises:
        listing.TooMany: as `exact.best`.
    """
    columns = exact.question(problem, limits, penalties)
    bound = bounds.best_bound(bounds.Program(problem, columns))
    lower, upper = problem.check_limits(limits)
    names = list(dict.fromkeys([*upper, *lower]))  # the order of the limits' columns
    rows = []
    for key, value in limits.items():
        side, _, name = key.partition("_")
        sign = 1.0 if side == "max" else -1.0
        relaxed = []
        for share in shares:
            loosened = value + sign * share * abs(value)
            other = exact.best(problem, {**limits, key: loosened}, penalties=penalties)[0]
            relaxed.append(Relaxed(share, loosened, other, max(0.0, best.value - other.value)))
        used = best.costs[name]
        room = sign * (value - used) / abs(value) if value else 0.0
        price = max(0.0, sign * float(bound.multipliers[names.index(name)]))
        rows.append(Tightness(key, value, used, room, price, tuple(relaxed)))
    return rows
