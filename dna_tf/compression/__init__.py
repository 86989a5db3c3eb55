"""Quantisation-aware training and pruning; the only room that knows tf_keras."""
