"""Keras models in several widths: channel groups, shared kernels, the export of each width.

Read in this order:

    channel_groups.py  which channels of a model belong together, and which of them a width keeps
    sliced_layers.py   layers that compute with a part of the kernel of another layer
    sliced_model.py    a model in several widths with shared kernels, each exported as a stock model
    width_training.py  all widths trained together, narrow ones on the answers of the whole one
"""
