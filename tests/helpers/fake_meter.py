"""A meter with invented latencies, and measurements made with it."""

from dna_tf.latency import measurements
from dna_tf.space import op_costs, presets, tasks

SPACE = presets.PRESETS["digits"]
TASK = tasks.Task(32, 3, 10)
KEYS = op_costs.space_keys(SPACE, TASK)
CONDITIONS = {"device": "made up", "runtime": "none 1.0", "threads": 1, "cores": [0]}


class FakeMeter:
    """Returns invented latencies, and counts what it was asked for."""

    def __init__(self, truth, spread=lambda key, time: 0.0, fails_at=None):
        self.truth, self.spread, self.fails_at = truth, spread, fails_at
        self.asked, self.calls = [], 0

    def conditions(self):
        return CONDITIONS

    def state(self):
        return {"load_average": 0.5}

    def measure(self, graphs):
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        entries = {}
        for key, content in graphs.items():
            assert content == str(key).encode()
            self.asked.append(key)
            times = self.asked.count(key)
            value = self.truth(key)
            entries[key] = op_costs.CostEntry(value, 30, value * self.spread(key, times))
        return entries


def graph_of(key):
    """In place of a TFLite file."""
    return str(key).encode()


def part_ms(key):
    """An invented latency of a part timed alone: 2 us of every call do not occur in a network."""
    return 0.002 + 0.01 * key.expand * key.kernel + 0.001 * key.out_width


def measured_parts(path, meter):
    """Measures all parts of the space."""
    measured = measurements.Measurements(path, CONDITIONS)
    measured.measure_parts(KEYS, meter, graph_of, noise=0.1)
    return measured
