"""DNA from nothing to a TFLite file on scikit-learn's 1,797 handwritten digits.

What: a small residual teacher (three blocks), eight cells of four ops (1.1 million
architectures), three budgets, a control, and a student that inherits. It runs every part of the
pipeline on real data; digits are too easy to rank architectures. --config.retrain.seeds=3 trains
each student three times.

Command: python -m tools.quickstart --workdir=runs/digits
Hardware and cost: two CPU cores, five to ten minutes, under 2 GiB. No download.
Result (seed 0): a teacher of 99.4 %; students from scratch of 98.6 to 99.2 % at a ninth to a fifth
of its MACs, and an inherited one of 98.6 % after 5 epochs in place of 15. No difference is shown.
"""

import dna_tf


def get_config():
    """Returns the embedded default, with one seed for each student."""
    config = dna_tf.default_config()
    config.retrain.seeds = 1
    config.compress.measured_paths = 16
    config.compress.realised = 3
    return config
