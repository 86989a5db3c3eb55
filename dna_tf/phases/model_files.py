"""Models from files of users: the images that one takes, and the config with data for it."""

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.config import run_config
from dna_tf.models import graph, keras_files, plain_models


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
