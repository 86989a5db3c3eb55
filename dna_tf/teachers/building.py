"""DOC dna_tf.teachers.building."""

from dna_tf.models import keras_files, preprocessing
from dna_tf.teachers import application_names, applications, cut_points, residual_cnn


def build_teacher(section, image_shape, num_classes, dropout=0.0, seed=0):
    """Builds or loads the model that a config names.

    Args:
        section: the config's `teacher` section: `model`, `weights`, `preprocessing` and
            `modules`.
        image_shape: `(height, width, channels)`.
        num_classes: outputs of a model that is to be trained.
        dropout: rate before the classifier of those of `application_names.TRAINED_HERE`.
        seed: seeds first weights.

    Returns:
        A `keras.Model` that takes images in 0..255.

    Raises:
        FileNotFoundError: a named file is not there.
        OSError: Keras could not get ImageNet weights.
        ValueError: the name is unknown, the file is no Keras model that can be loaded
            safely, or weights or preprocessing do not go with the model.
    """
    name = section.model
    kind = section.preprocessing
    preprocessing.check_kind(kind)
    if _is_file(name):
        if section.weights:
            raise ValueError(
                f"The file {name} holds a model with its weights. Expected "
                f"config.teacher.weights=''. Received: {section.weights!r}"
            )
        model = keras_files.load_model(name, section.modules)
        return preprocessing.with_preprocessing(model, kind)
    trained_here = name in application_names.TRAINED_HERE
    if not trained_here:
        application_names.get(name, others=application_names.TRAINED_HERE)
    if kind != "none":
        raise ValueError(
            f"config.teacher.preprocessing is for models from files: {name} has its preprocessing "
            f"inside. Expected 'none'. Received: {kind!r}"
        )
    if not trained_here:
        return applications.build(name, image_shape, num_classes, section.weights, seed)
    if section.weights:
        raise ValueError(
            f"There are no weights for {name}: it is trained here. Expected "
            f"config.teacher.weights=''. Received: {section.weights!r}. Give a trained one as a "
            ".keras file in config.teacher.model."
        )
    return residual_cnn.build(image_shape, num_classes, dropout, seed, name)


def needs_training(section):
    """Whether the config's teacher is to be trained here, or comes trained."""
    return not _is_file(section.model) and not section.weights


def _is_file(name):
    return name.endswith(".keras") or "/" in name


def own_cuts(name, model, image_shape, space):
    """The cut of a teacher for which the config names none.

    Args:
        name: `config.teacher.model`.
        model: the teacher.
        image_shape: `(height, width, channels)`.
        space: the `spaces.SearchSpace` whose blocks it must have.

    Returns:
        Names of layers: the paper's for EfficientNet, else what is proposed.

    Raises:
        ValueError: no cut fits the space.
    """
    paper = applications.paper_cuts(name, model)
    return tuple(paper or cut_points.propose(model, image_shape, space))
