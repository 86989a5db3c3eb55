"""DNA from nothing to a TFLite file on scikit-learn's 1,797 handwritten digits.

What: a small residual teacher (three blocks), eight cells of four ops (1.1 million
architectures), three budgets, a control, three seeds each. It shows every part of the
pipeline on real data; digits are too easy to rank architectures by.

Command: python -m tools.quickstart --workdir=runs/digits
Hardware and cost: two CPU cores, a few minutes, under 3 GiB. No download.
Expect: a teacher of 98 % or better, students of 97 to 99 % with about a tenth of its cost,
and no clear difference between the searched student and the control.
"""

from dna_tf import config


def get_config():
    """Returns the embedded default."""
    return config.default_config()
