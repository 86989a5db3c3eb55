"""Keras models: students, copies, files, costs, preprocessing, running any model file."""
