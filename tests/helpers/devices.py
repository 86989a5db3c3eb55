"""Which devices TensorFlow sees, for tests whose expectation is of CPUs alone."""

import pytest
import tensorflow as tf

HAS_GPU = bool(tf.config.list_physical_devices("GPU"))

of_cpus = pytest.mark.skipif(HAS_GPU, reason="what is done on CPUs alone")
