"""From a Keras model to checked TFLite files."""
