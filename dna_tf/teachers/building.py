"""Builds or loads the model that is to teach, and cuts it into blocks."""

import keras

from dna_tf.common import progress
from dna_tf.data.labelled_images import Images
from dna_tf.models import keras_files, keras_settings, plain_models
from dna_tf.models.preprocessing import check_kind, with_preprocessing
from dna_tf.space import fit
from dna_tf.space.spaces import SearchSpace
from dna_tf.teachers import (
    application_names,
    applications,
    cut_points,
    cutting,
    input_range,
    residual_cnn,
)
from dna_tf.teachers.cutting import Teacher

_RANGE_IMAGES = 64  # on which the range of a trained model's input is checked


def cut_teacher(
    model: keras.Model | str,
    images: Images,
    *,
    space: SearchSpace | None = None,
    cuts: tuple[str, ...] | None = None,
    preprocessing: str = "none",
    weights: str = "",
    seed: int = 0,
) -> Teacher:
    """Cuts a model into the blocks that the cells of a search space imitate.

    Example:

        import dna_tf

        images = dna_tf.load_images("digits", image_size=16)
        teacher = dna_tf.cut_teacher("residual_cnn", images)
        print(teacher.cuts)  # ('stage1_out', 'stage2_out', 'stage3_out')
        print(teacher.shapes[1])  # (4, 4, 32)

    Args:
        model: a functional `keras.Model`; or a `.keras` file; or the name of a model, such as
            `"efficientnet_b0"` of `keras.applications`. It takes images in 0..255, or in the
            range that `preprocessing` makes of them.
        images: the images it will see.
        space: the search space that the cut must fit; `None` checks no space.
        cuts: the name of the last layer of each block. `None` takes the paper's cut for
            EfficientNet by name, and otherwise proposes one: for the space, or at the ends of
            the model's stages.
        preprocessing: what a model or a file expects: `"none"` for images in 0..255 as they
            are, or one of `models.preprocessing.KINDS`. Models by name have theirs
            inside.
        weights: of a model by name: `"imagenet"`, or a `.weights.h5` file. `""` leaves first
            weights, which teach nothing.
        seed: seeds first weights.

    Returns:
        The cut teacher.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model cannot be loaded or cut, takes other images, or does not fit
            the space; a layer to cut at does not exist (near names are given) or is not the
            only way through the model.
    """
    shape = tuple(images.image_shape)
    if isinstance(model, keras.Model):
        if weights:
            raise ValueError(
                f"weights={weights!r} is for models by name. Received a model with its weights, "
                f"{model.name!r}: leave weights out."
            )
        name, network = "", open_teacher(model, preprocessing, cuts or ())
    else:
        name = str(model)
        network = build_teacher(
            name,
            shape,
            images.num_classes,
            weights=weights,
            preprocessing=preprocessing,
            seed=seed,
            cuts=cuts or (),
        )
    chosen = cuts or default_cuts(name, network, shape, space)
    teacher = cutting.cut_model(network, tuple(chosen), shape)
    if space is not None:
        fit.check_fit(space, teacher.shapes, teacher.cuts)
    if name and needs_training(name, weights):
        progress.warn(
            f"The teacher {name} has first weights: cells that imitate it learn nothing useful. "
            "Give weights, or a trained model."
        )
    else:
        batches = images.images("rating", batch_size=_RANGE_IMAGES, mixed=True)
        warning = input_range.check(network, next(iter(batches))[0].numpy())
        if warning:
            progress.warn(warning)
    return teacher


def open_teacher(model, preprocessing="none", cuts=()):
    """A trained model, given as one or as a file, as a model that takes images in 0..255.

    Args:
        model: a functional `keras.Model`, or a `.keras` file.
        preprocessing, cuts: as of `build_teacher`.

    Raises:
        FileNotFoundError, ValueError: as `build_teacher`.
    """
    if not isinstance(model, keras.Model):
        return build_teacher(str(model), (), 0, preprocessing=preprocessing, cuts=cuts)
    check_kind(preprocessing)
    keras_settings.settle()
    return with_preprocessing(plain_models.flat(model, cuts), preprocessing)


def build_teacher(
    name,
    image_shape,
    num_classes,
    *,
    weights="",
    preprocessing="none",
    modules=(),
    dropout=0.0,
    seed=0,
    cuts=(),
):
    """Builds or loads a model by its name.

    Args:
        name: one of `application_names.TRAINED_HERE` or `application_names.NAMES`, or the
            path of a `.keras` file.
        image_shape: `(height, width, channels)`.
        num_classes: outputs of a model that is to be trained.
        weights: of a model of `keras.applications`: as of `applications.build`.
        preprocessing: what a file expects, one of `models.preprocessing.KINDS`.
        modules: names of modules that are imported before a file is loaded; they register
            its custom layers.
        dropout: rate before the classifier of those of `application_names.TRAINED_HERE`.
        seed: seeds first weights.
        cuts: the layers at which it will be cut, if they are named: a model inside a file whose
            name is among them stays one layer, and others become part of the graph.

    Returns:
        A `keras.Model` that takes images in 0..255.

    Raises:
        FileNotFoundError: a named file does not exist.
        OSError: Keras could not get ImageNet weights.
        ValueError: the name is unknown, the file is not a Keras model that can be loaded
            safely, or weights or preprocessing do not go with the model.
    """
    check_kind(preprocessing)
    keras_settings.settle()
    if _is_file(name):
        if weights:
            raise ValueError(
                f"The file {name} holds a model with its weights. Expected "
                f"config.teacher.weights=''. Received: {weights!r}"
            )
        model = plain_models.flat(keras_files.load_model(name, modules), cuts)
        return with_preprocessing(model, preprocessing)
    trained_here = name in application_names.TRAINED_HERE
    if not trained_here:
        application_names.get(name, others=application_names.TRAINED_HERE)
    if preprocessing != "none":
        raise ValueError(
            f"config.teacher.preprocessing is for models from files: {name} has its preprocessing "
            f"inside. Expected 'none'. Received: {preprocessing!r}"
        )
    if not trained_here:
        return applications.build(name, image_shape, num_classes, weights, seed)
    if weights:
        raise ValueError(
            f"There are no weights for {name}: it is trained here. Expected "
            f"config.teacher.weights=''. Received: {weights!r}. Give a trained one as a .keras "
            "file in config.teacher.model."
        )
    return residual_cnn.build(image_shape, num_classes, dropout, seed, name)


def needs_training(name, weights=""):
    """Whether a teacher, as `build_teacher` takes it, is to be trained here, or comes trained."""
    return not _is_file(name) and not weights


def _is_file(name):
    return name.endswith(".keras") or "/" in name


def default_cuts(name, model, image_shape, space=None, cut="stages"):
    """The cut of a teacher for which no layers are named.

    Args:
        name: the teacher's name, as `build_teacher` takes it; `""` if it has none.
        model: the teacher.
        image_shape: `(height, width, channels)`.
        space: the `spaces.SearchSpace` that the cut must fit; `None` proposes the ends of
            the model's stages.
        cut: without a space, `"stages"`, or `"units"` for the end of each unit of a stage.

    Returns:
        Names of layers: the paper's for EfficientNet, otherwise the proposed ones.

    Raises:
        ValueError: no cut fits the space.
    """
    if cut == "units":
        return cut_points.propose(model, image_shape, ends_of=cut_points.unit_ends)
    paper = applications.paper_cuts(name, model)
    return tuple(paper or cut_points.propose(model, image_shape, space))
