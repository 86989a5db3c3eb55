"""Small tables of made-up networks."""

import numpy as np

from dna_tf.truth import choice_tables


def table(seed=0, options=(3, 2, 4, 3), name="drawn", additive=False):
    """A table with a signal, a truth near it, MACs that are a sum, and a latency that is none."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=count) for count in options]
    truth = sum(np.meshgrid(*parts, indexing="ij")) + 90.0
    if not additive:
        truth = truth + rng.normal(size=options)
    macs = sum(np.meshgrid(*[rng.integers(1, 9, n) for n in options], indexing="ij"))
    columns = {"signal": truth + 0.3 * rng.normal(size=options), "truth": truth}
    functions = np.arange(truth.size).reshape(options) // 2
    costs = {"macs": macs, "latency_ms": rng.random(options)}
    return choice_tables.ChoiceTable(name, options, columns, costs, functions)
