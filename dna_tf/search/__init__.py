"""The best architectures under limits: exact, fronts, and the searches these are compared with.

Inside this room a path has three forms. Everywhere it is an index into `SearchSpace.paths`;
`trial_search` numbers the open paths of all cells of a block (a row has one number per block);
`trails` numbers cells and paths together (a code).

Read in this order:

    problems.py           what is searched: a rating and costs of every path, as arrays
    problem_building.py   builds a problem from ratings and cost tables, and checks them
    assembly_problem.py   the same for assemblies of paths and of a teacher's own blocks
    finding.py            the public functions: search_problem, find_best, find_front
    exact.py              the k best under limits, exactly
    bounds.py             the lower bounds that it uses
    listing.py            lists all architectures up to a threshold, for it
    diverse.py            the k best that differ
    angle_search.py       the networks with the largest angle, exactly, though it is no sum
    tightness.py          how tight limits are
    noise.py              whether a runner-up differs by more than the noise of ratings
    fronts.py             the Pareto front of rating and costs
    pareto.py             filters of dominated points
    trails.py             the choices behind the states of listing and fronts
    drawing.py            networks drawn uniformly, also in a band of equal cost
    control.py            random architectures of a given cost
    table_problems.py     tables of trained networks (`truth`) as problems
    trial_search.py       random search, and what it shares with evolution
    evolution.py          evolutionary search
    decisions.py          an architecture as a chain of decisions
    aging.py              regularised evolution
    reinforce.py          REINFORCE
    q_learning.py         Q-learning
    op_trees.py           trees of ops, for TNAS
    tree_search.py        the tree search of TNAS, with any value of a group
    tnas.py               TNAS as a search like the others
    beam.py               beam search
    authors_traversal.py  the search of the DNA authors
    comparison.py         compares all searches on one problem
    table_comparison.py   compares searches on a table of trained networks
    table_runs.py         runs that comparison, into a file that resumes
"""
