"""A run with one trained student of digits, for tests of compression."""

from dna_tf import workdirs
from dna_tf.phases import retraining
from dna_tf.space import architectures, spaces, tasks
from tests.helpers import tiny_config


def trained_run(folder, epochs=4):
    """Trains a tiny student.

    Args:
        folder: the workdir.
        epochs: epochs of the training.

    Returns:
        `(Workdir, config, name of the architecture)`.
    """
    config = tiny_config.get_config()
    config.retrain.epochs = epochs
    config.retrain.learning_rate = 0.01
    config.quantize.epochs = 2
    config.quantize.calibration_images = 50
    config.prune.epochs = 2
    workdir, config = workdirs.open_workdir(folder, config)
    arch = tiny_architecture()
    architectures.save(arch, workdir.architecture(arch.name))
    retraining.retrain(workdir, config, arch, seeds=[0])
    return workdir, config, arch.name


def tiny_architecture(num_classes=10):
    """An architecture of three layers for images of 16x16, as the tiny config has them."""
    ops = (spaces.Op(3, 3), spaces.Op(5, 3))
    blocks = (architectures.BlockChoice(2, 8, ops), architectures.BlockChoice(2, 12, ops[:1]))
    frame = spaces.Frame(8, 1, 8, 32)
    return architectures.Architecture("tiny", blocks, frame, tasks.Task(16, 3, num_classes))
