"""Quantisation-aware training and pruning; only this room imports tf_keras.

Read in this order:

    tf_keras_bridge.py  rebuilds Keras 3 models in tf_keras, and carries weights back
    integer_graph.py    rewrites a model as the graph that its int8 file computes
    quantized_model.py  a model that rounds as its int8 file will
    pruned_model.py     a model whose smallest weights are held at zero
    fine_tuning.py      trains either for a few epochs
"""
