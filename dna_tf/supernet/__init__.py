"""The cells and the whole networks: their training, and the rating of their paths.

Read in this order:

    packed_ops.py      an op as a pure function of its packed weights
    output_start.py    cells start at the mean and deviation of the teacher's map
    cell_models.py     TrainableCell: a chain of layers in which every layer has all ops
    sampling.py        the path that a step trains
    row_adam.py        Adam that moves only the rows of the drawn ops
    cell_trainer.py    one training step of one cell
    trained_cells.py   TrainedCell: weights and curves, the result of a training
    cell_files.py      trained cells in a folder
    snapshots.py       untrained cells, and copies during the training
    phase_settings.py  the settings of training and rating, with their defaults
    stage_folders.py   the stages of a training, and the folders of their checkpoints
    stage_training.py  trains the cells of a stage together
    cell_training.py   train_cells: all cells of a space
    cell_angles.py     how far training turned the weights of a cell, and controls
    metrics.py         distance between a cell's output and the teacher's map
    cell_rater.py      rates the paths of one cell
    cell_rating.py     rate_cells: all paths of all cells, on several devices
    whole_network.py   WholeNetwork: all networks of a space as one, from image to classes
    row_momentum.py    SGD with momentum that moves only the rows of the drawn ops
    cost_bins.py       paths drawn from bins of a cost
    whole_trainer.py   one training step of a whole network: one path, or a fair group
    whole_files.py     a trained whole network, and its files
    whole_training.py  train_whole: on labels or on random labels
    whole_rater.py     accuracy and cross-entropy of a path with calibrated batch norm
    whole_scores.py    scores of rated networks, so that a killed search resumes
    whole_angles.py    how far training turned the weights of whole networks
"""
