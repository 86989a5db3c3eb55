"""Settings that must stand before any test imports TensorFlow; imports none itself."""

import os

# Warnings and errors only: 0 is everything, 3 is errors alone.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
