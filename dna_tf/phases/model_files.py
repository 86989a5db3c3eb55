"""Models from files of users: the images that one takes, and the config with data for it."""

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.data import loading
from dna_tf.evaluation import model_checks
from dna_tf.export import prepare
from dna_tf.models import copies, graph, keras_files, logits, plain_models
from dna_tf.training import determinism


def load(path, config, workdir=None):
    """Loads a classifier from a file of any Keras code, in float32 and in one flat graph.

    Args:
        path: a `.keras` file of a functional model.
        config: the config; the modules that it or the command line names are imported first.
        workdir: the `workdirs.Workdir` of the config, or `None`.

    Returns:
        A functional `keras.Model`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no `.keras` file, or the model cannot be loaded or copied.
    """
    path = files.as_path(path)
    if path.suffix != ".keras":
        raise ValueError(f"The model must be a .keras file. Received: {path}")
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    model = keras_files.load_model(path, workdirs.modules(workdir, config))
    return graph.functional(plain_models.flat(model))


def classifier(path, config, workdir=None, source="", image_size=0):
    """The classifier of a file, giving logits at the size of its images, and its config.

    Args:
        path, config, workdir: as of `load`.
        source, image_size: as of `config_for`.

    Returns:
        `(keras.Model, config)`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `load` and `config_for`; or the answers are no distribution over classes.
    """
    model = logits.with_logits(load(path, config, workdir))
    config = config_for(config, model, path, source, image_size)
    size = config.data.image_size
    if model.input.shape[1:3] != (size, size):
        model = copies.resized(model, size)
    return model, config


def images_for(model, path, config, workdir=None):
    """The images of a config, checked to fit a model; makes TensorFlow deterministic.

    Raises:
        ValueError: the images do not fit the model.
    """
    determinism.enable(config.seed)
    images = loading.load(config.data, config.seed, workdir and workdir.path)
    model_checks.check_shapes(prepare.Prepared(model, model), images, files.as_path(path).name)
    return images


def image_of(network, image_size, path):
    """Height (and width) and channels of the images that a model takes.

    Args:
        network: a functional `keras.Model`.
        image_size: height and width in pixels for a model that takes any size; 0 for others.
        path: of the model, for messages.

    Raises:
        ValueError: the model takes any size and none was named, another size was named, or its
            images are not square.
    """
    height, width, channels = network.input.shape[1:]
    if None in (height, width) and not image_size:
        raise ValueError(
            f"The model {path} takes images of any size. Say which one it is to have, such as "
            "--image_size=224."
        )
    height, width = height or image_size, width or image_size
    if height != width or image_size not in (0, height):
        raise ValueError(
            f"Expected a model for square images{f' of {image_size}' if image_size else ''}. "
            f"Received: {path}, which takes {height}x{width}."
        )
    return int(height), int(channels)


def config_for(config, model, path, source="", image_size=0):
    """A config whose images are those that a model takes.

    Args:
        config: the config to start from.
        model: the functional `keras.Model`.
        path: of the model, for messages.
        source: of labelled images, such as `"folder:images"`; `""` keeps the config's data, but
            for their size.
        image_size: as of `image_of`.

    Returns:
        A copy of the config.

    Raises:
        ValueError: as `image_of`.
    """
    if not source and None in model.input.shape[1:3]:
        image_size = image_size or config.data.image_size
    size, channels = image_of(model, image_size, path)
    plain = run_config.to_plain(config)
    plain["data"]["image_size"] = size
    if source:
        plain["data"] |= {"source": source, "channels": channels}
    config = run_config.from_plain(plain)
    run_config.check_config(config)
    return config
