"""Tables of op costs computed by a function, in place of measured ones."""

from dna_tf.space import op_costs


def from_function(name, function, space, task, fixed=0.0):
    """Makes the `op_costs.OpCosts` of a space, with the cost `function(key)` for each part."""
    keys = op_costs.space_keys(space, task)
    entries = {key: op_costs.CostEntry(float(function(key))) for key in keys}
    return op_costs.OpCosts(name, entries, fixed)
