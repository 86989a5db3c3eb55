"""REINFORCE: a policy with one logit per option, moved by the values of what it draws.

There is no recurrent controller: the positions of a space are fixed, so a table of logits says
all that a controller could say about independent decisions.
"""

import math
import operator

from dna_tf.common import checks
from dna_tf.search import decisions, trial_search


class Policy:
    """Independent probabilities of the options of each position.

    Args:
        sizes: the number of options of each position.
    """

    def __init__(self, sizes):
        self._logits = [[0.0] * size for size in sizes]
        self._shares = [None] * len(sizes)

    def probabilities(self, position):
        """The probabilities of the options of a position, a list."""
        if self._shares[position] is None:
            logits = self._logits[position]
            largest = max(logits)
            weights = [math.exp(logit - largest) for logit in logits]
            total = sum(weights)
            self._shares[position] = [weight / total for weight in weights]
        return self._shares[position]

    def pick(self, position, uniform):
        """The option at a number drawn uniformly from [0, 1)."""
        shares = self._shares[position] or self.probabilities(position)
        for option, share in enumerate(shares):
            uniform -= share
            if uniform < 0:
                return option
        return len(shares) - 1

    def gradient(self, position, option):
        """The gradient of the log probability of an option, by the logits of its position."""
        shares = self.probabilities(position)
        return [(i == option) - share for i, share in enumerate(shares)]

    def learn(self, steps, amount, entropy=0.0):
        """Moves the logits of the positions of `steps`, as in `decisions.Walk`.

        Args:
            steps: the decisions.
            amount: the learning rate times the advantage.
            entropy: the learning rate times the weight of the entropy.
        """
        for position, _, option in steps:
            slopes = [amount * slope for slope in self.gradient(position, option)]
            if entropy:
                shares = self.probabilities(position)
                logs = [math.log(share) if share else 0.0 for share in shares]
                mean = sum(map(operator.mul, shares, logs))
                extra = [-entropy * p * (log - mean) for p, log in zip(shares, logs, strict=True)]
                slopes = list(map(operator.add, slopes, extra))
            self._logits[position] = list(map(operator.add, self._logits[position], slopes))
            self._shares[position] = None


class Advantages:
    """How much better than a running mean values are, in units of their running deviation.

    Args:
        decay: of the running mean, the baseline.
    """

    def __init__(self, decay):
        self._decay, self._baseline = decay, None
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    def of(self, value):
        """The advantage of a value, 0 of the first; lower values are better."""
        self._count += 1
        change = value - self._mean
        self._mean += change / self._count
        self._squares += change * (value - self._mean)
        before = value if self._baseline is None else self._baseline
        self._baseline = self._decay * before + (1 - self._decay) * value
        deviation = math.sqrt(self._squares / self._count)
        return (before - value) / deviation if deviation else 0.0


def reinforce(
    problem,
    limits=None,
    budget=1000,
    seed=0,
    objective=None,
    learning_rate=0.1,
    baseline=0.9,
    entropy=0.0,
):
    """Searches by REINFORCE.

    Each draw moves the logits of its decisions by

        learning_rate * (running mean - value) / running deviation * (one-hot - probabilities).

    A draw that was seen before counts no evaluation; its remembered value is learned from again.
    A draw beyond the limits is not evaluated: it counts as the worst value seen so far plus its
    excess, in units of the range seen. A policy that draws nothing new 1,000 times in a
    row has converged, and the search ends before its budget.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many different architectures within the limits to evaluate. At most 100 times
            as many are drawn (10,000 at least).
        seed: an int of at least 0; one seed gives one result.
        objective: `f(cells, path_indices) -> float` to minimise; `None` is the problem's rating.
        learning_rate: of the logits.
        baseline: the decay of the running mean, from 0 to below 1.
        entropy: the weight of the entropy, which keeps the policy from ending early.

    Returns:
        A `trial_search.Outcome`; `best` is `None` if no draw met the limits.

    Raises:
        ValueError: an argument is invalid, or the objective does not return a number.

    Source: Williams, 1992, applied to architectures by Zoph and Le, 2017. The settings are
    our choice.
    """
    for name, number in (("learning_rate", learning_rate), ("entropy", entropy)):
        if not checks.is_number(number) or number < 0:
            raise ValueError(f"{name} must be a finite number of at least 0. Received: {number!r}")
    if not checks.is_number(baseline) or not 0 <= baseline < 1:
        raise ValueError(f"baseline must be a number from 0 to below 1. Received: {baseline!r}")
    trials = trial_search.Trials(problem, limits, budget, seed, objective)
    positions = decisions.Decisions(problem)
    policy, inside, outside = Policy(positions.sizes), Advantages(baseline), Advantages(baseline)
    uniform, worst = trials.uniform, Worst()
    while not (trials.is_over or trials.is_stale):
        walk = positions.walk(lambda p, _: policy.pick(p, uniform()), trials.rng)
        value, excess = trials.value_of(walk.cells, walk.path_indices)
        value = worst.value(value, excess)
        # Until a draw keeps within the limits, excesses alone are learned from.
        advantage = outside.of(excess) if value is None else inside.of(value)
        policy.learn(walk.steps, learning_rate * advantage, learning_rate * entropy)
    return trials.outcome()


class Worst:
    """Finite values for all draws: beyond the limits, the worst seen plus a penalty.

    Attributes:
        low: the lowest value seen.
        high: the highest finite value seen.
    """

    def __init__(self):
        self.low, self.high = math.inf, -math.inf

    def value(self, value, excess):
        """The value to learn from; `None` while no finite one was seen.

        Args:
            value: of the architecture, infinite beyond the limits or where the objective rules
                it out.
            excess: how far it is beyond the limits; 0 within.
        """
        if math.isfinite(value):
            self.low, self.high = min(self.low, value), max(self.high, value)
            return value
        if self.low > self.high:
            return None
        return self.high + (self.high - self.low or 1.0) * min(excess, 1.0)
