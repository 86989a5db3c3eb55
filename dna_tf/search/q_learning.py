"""Q-learning: the worth of each option after the one before, learned from whole architectures."""

from dna_tf.common import checks
from dna_tf.search import decisions, reinforce, trial_search

START_VALUE = 0.5
PARTS = 10  # epsilon falls in so many steps, from 1 to 1 / PARTS


class QTable:
    """The worth of each option, by position and by the option before; higher is better.

    Args:
        sizes: the number of options of each position.
        start: the worth of what was not tried.
    """

    def __init__(self, sizes, start=START_VALUE):
        self._sizes, self._start, self._worths = sizes, start, {}

    def worths(self, position, before):
        """The worths of the options at a position after an option, a list."""
        state = (position, before)
        if state not in self._worths:
            self._worths[state] = [self._start] * self._sizes[position]
        return self._worths[state]

    def best(self, position, before):
        """The option of the highest worth; of equals the first."""
        worths = self.worths(position, before)
        return worths.index(max(worths))

    def learn(self, steps, reward, rate):
        """Learns from one architecture, its last decision first.

        Args:
            steps: the decisions, as in `decisions.Walk`.
            reward: of the whole architecture; decisions before the last one have none.
            rate: how far a worth moves towards its target, from 0 to 1.
        """
        target = reward
        for position, before, option in reversed(steps):
            worths = self.worths(position, before)
            worths[option] += rate * (target - worths[option])
            target = max(worths)


def q_learning(
    problem, limits=None, budget=1000, seed=0, objective=None, learning_rate=0.1, replays=20
):
    """Searches by Q-learning with replay.

    With the probability epsilon an option is drawn, otherwise the one of the highest worth is
    taken. Epsilon falls from 1 to 0.1 in ten equal parts of the budget. A draw that was seen
    before counts no evaluation. After each draw, `replays` of the architectures seen so far are
    learned from. Rewards are scaled by the range of values seen: 1 for the best, 0 for the worst,
    below 0 beyond the limits.

    Args:
        problem: a `problems.SearchProblem`.
        limits: a dict such as `{"max_macs": 350e6, "min_params": 4e6}`.
        budget: how many different architectures within the limits to evaluate. At most 100 times
            as many are drawn (10,000 at least), and 1,000 repeats in a row end it.
        seed: an int of at least 0; one seed gives one result.
        objective: `f(cells, path_indices) -> float` to minimise; `None` is the problem's rating.
        learning_rate: how far a worth moves towards its target, above 0, up to 1.
        replays: architectures learned from after each draw.

    Returns:
        A `trial_search.Outcome`; `best` is `None` if no draw met the limits.

    Raises:
        ValueError: an argument is invalid, or the objective does not return a number.

    Source: Watkins, 1989, applied to architectures by Baker et al., 2017. The settings are
    our choice.
    """
    if not checks.is_number(learning_rate) or not 0 < learning_rate <= 1:
        raise ValueError(
            f"learning_rate must be a number above 0, up to 1. Received: {learning_rate!r}"
        )
    checks.check_whole("replays", replays, 1)
    trials = trial_search.Trials(problem, limits, budget, seed, objective)
    positions = decisions.Decisions(problem)
    table, worst, uniform = QTable(positions.sizes), reinforce.Worst(), trials.uniform
    memory, places = [], {}

    def pick(position, before):
        if uniform() < epsilon:
            return int(uniform() * positions.sizes[position])
        return table.best(position, before)

    while not (trials.is_over or trials.is_stale):
        epsilon = 1 - trials.evaluations * PARTS // budget / PARTS
        walk = positions.walk(pick, trials.rng)
        value, excess = trials.value_of(walk.cells, walk.path_indices)
        worst.value(value, excess)
        if places.setdefault((walk.cells, walk.path_indices), len(memory)) == len(memory):
            memory.append((walk.steps, value, excess))
        for _ in range(replays):
            steps, value, excess = memory[int(uniform() * len(memory))]
            table.learn(steps, _reward(value, excess, worst), learning_rate)
    return trials.outcome()


def _reward(value, excess, worst):
    """1 for the best value seen, 0 for the worst, down to -1 for what must not be."""
    if excess:
        return -min(excess, 1.0)
    if value > worst.high:  # the objective ruled it out
        return -1.0
    return (worst.high - value) / (worst.high - worst.low) if worst.high > worst.low else 1.0
