"""DOC dna_tf.training.student_training."""

from dna_tf.models import keras_files

CLASSIFIER = "classifier"


def check_fits_data(arch, images):
    """Checks that an architecture takes the data's images and tells its classes apart.

    Raises:
        ValueError: it does not; the message has both sides.
    """
    wanted = (arch.image_size, arch.image_size, arch.channels, arch.num_classes)
    given = (*images.image_shape, images.num_classes)
    if wanted != given:
        raise ValueError(
            f"The architecture {arch.name!r} takes images of {'x'.join(map(str, wanted[:3]))} and "
            f"{wanted[3]} classes, and the data gives {'x'.join(map(str, given[:3]))} and "
            f"{given[3]} classes. Set config.data.image_size, search on this data, or fine-tune a "
            "trained student of it with config.retrain.start_from."
        )


def fit_to_data(arch, images):
    """Returns an architecture for the data's image size and classes, for fine-tuning.

    Raises:
        ValueError: it takes another number of channels.
    """
    size, _, channels = images.image_shape
    if channels != arch.channels:
        raise ValueError(
            f"The architecture {arch.name!r} takes images of {arch.channels} channels, and the "
            f"data gives {channels}. Set config.data.channels={arch.channels}."
        )
    return arch.adapted(images.num_classes, size)


def copy_weights(path, model):
    """Gives a student the weights of a trained one, all but the classifier's.

    Args:
        path: a `.keras` file of a student, of the same architecture but for image size and
            classes.
        model: the student to start.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such student; the message names the first layer that differs.
    """
    trained = {layer.name: layer for layer in keras_files.load_model(path).layers}
    for layer in model.layers:
        if not layer.weights or layer.name == CLASSIFIER:
            continue
        shapes = [tuple(w.shape) for w in layer.weights]
        known = trained.get(layer.name)
        found = [tuple(w.shape) for w in known.weights] if known is not None else None
        if found != shapes:
            raise ValueError(
                f"config.retrain.start_from={path} is no student of the architecture "
                f"{model.name!r}: its layer {layer.name!r} was expected to have weights of "
                f"{shapes}. Found: {found or 'no such layer'}. Give the model.keras of a student "
                "of this architecture."
            )
        for weight, value in zip(layer.weights, known.weights, strict=True):
            weight.assign(value)
    expected = {layer.name for layer in model.layers if layer.weights}
    extra = sorted(
        name for name, layer in trained.items() if layer.weights and name not in expected
    )
    if extra:
        raise ValueError(
            f"config.retrain.start_from={path} is no student of the architecture {model.name!r}: "
            f"it has {len(extra)} layers more, such as {extra[0]!r}. Give the model.keras of a "
            "student of this architecture."
        )
