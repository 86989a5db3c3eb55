"""What can be chosen, and the tables over it: spaces, architectures, costs, limits, ratings.

Read in this order:

    spaces.py          search spaces: ops, cells, blocks, stem and head; paths and their indices
    presets.py         the ready-made spaces by name, their variants, and spaces from data
    tasks.py           what a network is for: size of the images and number of classes
    layer_specs.py     the MBConv and the convolution as data: weights, shapes, costs
    network_layers.py  the walk over stem, layers of the cells and head, with sizes
    architectures.py   networks as data, and their files
    zoo.py             published networks, and finding an architecture by name or file
    published_tables.py  DNA's Tables 4 and 5 as published
    scaling.py         makes an architecture wider, deeper and larger
    cost_tables.py     parameters and MACs of networks and of all paths of a space
    part_costs.py      costs of paths that stand in a teacher's place
    assemblies.py      networks of such paths and of a teacher's own blocks, and their files
    teacher_parts.py   parts of a teacher as keys of a cost table
    part_keys.py       parts of any network as such keys, and in files
    op_costs.py        files with the cost of each part of a network, such as its latency
    assembly_costs.py  the costs of assemblies by such a file
    cost_limits.py     limits on costs, as text and as values
    ratings.py         rating files of cells, and summaries of them
    angle_sums.py      what the angles of all networks follow from, and its files
    replaced_cells.py  files of ratings by replacing: what a teacher loses with a path in a block
    fit.py             whether a cut teacher fits the blocks of a space
    space_table.py     a space as a table for people
"""
