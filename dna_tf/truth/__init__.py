"""Public tables of trained networks, and how well a score ranks them.

Read in this order:

    choice_tables.py    a table: the accuracies and costs of every network of a small space, dense
    table_files.py      reads the tables of a folder, and checks them
    nas_bench_macro.py  which networks of NAS-Bench-Macro our cells can express
    expected_best.py    the closed form of random search on a table
    block_weights.py    the weight of each block, fitted on trained networks (DONNA)
    ranking.py          how well a score ranks networks, beside MACs and parameters
"""
