"""The loop, checkpoints, strategies, optimizers, and the trainer of classifiers."""
