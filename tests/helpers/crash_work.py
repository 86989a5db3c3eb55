"""The work that a phase of the net of crash points does, unit by unit: a step, a rated path.

After a crash a phase may repeat what was not saved, and nothing else.
"""

import contextlib
from unittest import mock

from dna_tf.space import op_costs


@contextlib.contextmanager
def counting(phase):
    """Context that counts the work of a phase: a dict with `done` and `saved`."""
    counter = {"done": 0, "saved": 0}

    def count():
        counter["done"] += 1

    def saving(function):
        def save(*arguments, **named):
            result = function(*arguments, **named)
            counter["saved"] = counter["done"]
            return result

        return save

    with contextlib.ExitStack() as stack:
        for owner, name, function in phase.work(count):
            stack.enter_context(mock.patch.object(owner, name, function))
        for owner, name in phase.saves:
            function = saving(getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, function))
        yield counter


def steps(count):
    from dna_tf.training import loop

    real = loop.run

    def run(step, **named):
        def counted(*arguments):
            count()
            return step(*arguments)

        return real(step=counted, **named)

    return [(loop, "run", run)]


def calls(owner, name):
    """Each call of a function is a unit of work."""

    def work(count):
        real = getattr(owner, name)

        def counted(*arguments, **named):
            count()
            return real(*arguments, **named)

        return [(owner, name, counted)]

    return work


def paths(count):
    from dna_tf.supernet import cell_rater

    real = cell_rater.CellRater.ratings

    def rated(self, first=0):
        for values in real(self, first):
            count()
            yield values

    return [(cell_rater.CellRater, "ratings", rated)]


class Meter:
    """Takes graphs that are latencies."""

    def conditions(self):
        return {"device": "none", "runtime": "none", "threads": 1, "cores": "any"}

    def state(self):
        return {"load_average": 0.1}

    def measure(self, latencies):
        return {key: op_costs.CostEntry(ms, 9, 0.0) for key, ms in latencies.items()}


def timed(count):
    real = Meter.measure

    def measure(self, latencies):
        for _ in latencies.keys() - {"reference"}:
            count()
        return real(self, latencies)

    return [(Meter, "measure", measure)]
