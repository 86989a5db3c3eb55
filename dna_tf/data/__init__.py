"""Labelled images: sources, splits, augmentation, seeded batches."""
