"""The settings of training and rating, of cells and of whole networks, as in the config."""

import dataclasses

from dna_tf.config import field_checks, run_config


@dataclasses.dataclass(frozen=True)
class SupernetSettings:
    """How cells are trained. The defaults are those of the config's section `supernet`.

    Args:
        features: how the teacher's maps are provided: `"memory"` or `"disk"` (computed once,
            without augmentation), or `"online"` (computed in every step).
        cache_dtype: of maps on disk: `"float16"`, `"bfloat16"` or `"float32"`.
        cache_folder: folder of maps on disk; `""` is a folder beside the trained cells.
        inputs: what a block reads: the `"teacher"`'s map (DNA), or the student's own. Then all
            blocks from the image on train together (`"S1"`), or the earlier ones are kept
            (`"S2"`), as in DNA Table 4.
        epochs: passes over the training images.
        batch_size: images of a batch, over all replicas.
        learning_rate: of Adam in the first epoch.
        first_block_learning_rate: the same for the cells of block 1.
        learning_rate_decay: factor of the learning rate from one epoch to the next.
        output_start: `"teacher"` starts each cell's output with mean and deviation of the
            teacher's map; `"identity"` starts with 0 and 1 (DNA).
        sampling: of paths: `"uniform"`, or `"fair"`, every op once in a group of steps.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        weight_decay: of convolution kernels.
        clip_norm: largest norm of a path's gradient; 0 for no limit.
        norm_images: images that share batch statistics; 0 for all of a replica.
        snapshots: epochs from one copy of the cells to the next; 0 for none. Copies lie in
            `snapshots/` beside the trained cells.
        checkpoint_seconds: time between two checkpoints: a killed training loses as much.

    Raises:
        ValueError: a value has the wrong type or is out of range.
    """

    features: str = "memory"
    cache_dtype: str = "float16"
    cache_folder: str = ""
    inputs: str = "teacher"
    epochs: int = 15
    batch_size: int = 64
    learning_rate: float = 0.01
    first_block_learning_rate: float = 0.01
    learning_rate_decay: float = 0.85
    output_start: str = "teacher"
    sampling: str = "uniform"
    precision: str = "float32"
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    norm_images: int = 0
    snapshots: int = 0
    checkpoint_seconds: float = 5.0

    def __post_init__(self):
        _check("supernet", self)


@dataclasses.dataclass(frozen=True)
class RatingSettings:
    """How paths are rated. The defaults are those of the config's section `rating`.

    Args:
        batch_size: images of a rating batch.
        batches: rating batches, at most; the rating images may be fewer.
        calibration_images: training images of a calibration batch, for batch norm.
        calibration_batches: how many such batches; their statistics are pooled.
        checkpoint_seconds: time between two savings: a killed rating loses as much.

    Raises:
        ValueError: a value has the wrong type or is out of range.
    """

    batch_size: int = 50
    batches: int = 20
    calibration_images: int = 128
    calibration_batches: int = 1
    checkpoint_seconds: float = 2.0

    def __post_init__(self):
        _check("rating", self)


@dataclasses.dataclass(frozen=True)
class WholeSettings:
    """How a whole network is trained. The defaults are those of the config's section `whole`.

    Args:
        labels: `"true"`, or `"random"`: drawn once for each training image (RLNAS).
        sampling: of paths: `"uniform"` (SPOS), `"fair_step"` (FairNAS) or `"cost_bins"`.
        macs_bins: with `"cost_bins"` the lowest and the highest MACs and the width of a bin, as
            texts such as `("290M", "360M", "10M")`.
        epochs: passes over the training images.
        batch_size: images of a batch, over all replicas.
        optimizer: `"sgd"` or `"adam"`.
        learning_rate: of the first step.
        schedule: `"linear"` or `"cosine"`, both to zero, or `"constant"`.
        weight_decay: of kernels.
        label_smoothing: share of a label that is spread over all classes.
        clip_norm: largest norm of a step's gradient; 0 for no limit.
        norm_images: images that share batch statistics; 0 for all of a replica.
        precision: `"float32"` or `"mixed_bfloat16"`.
        checkpoint_seconds: time between two checkpoints: a killed training loses as much.

    Raises:
        ValueError: a value has the wrong type or is out of range.
    """

    labels: str = "true"
    sampling: str = "uniform"
    macs_bins: tuple = ()
    epochs: int = 60
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: float = 0.2
    schedule: str = "linear"
    weight_decay: float = 4e-5
    label_smoothing: float = 0.1
    clip_norm: float = 0.0
    norm_images: int = 0
    precision: str = "float32"
    checkpoint_seconds: float = 5.0

    def __post_init__(self):
        _check("whole", self)


def of_section(settings_class, section, **changes):
    """The settings that a config section has.

    Args:
        settings_class: `SupernetSettings`, `RatingSettings` or `WholeSettings`.
        section: the config's section `supernet`, `rating` or `whole`.
        changes: fields with other values.
    """
    names = [field.name for field in dataclasses.fields(settings_class)]
    return settings_class(**{name: section[name] for name in names} | changes)


def rating_identity(settings):
    """What of `RatingSettings` decides ratings, as a dict."""
    fields = dataclasses.asdict(settings)
    del fields["checkpoint_seconds"]
    return fields


def with_changes(settings_class, settings, changes):
    """Settings with some fields changed.

    Args:
        settings_class: `SupernetSettings`, `RatingSettings` or `WholeSettings`.
        settings: settings of this class; `None` has the defaults.
        changes: a dict from fields to values.

    Raises:
        ValueError: there is no such field (near names are given), or a value is wrong.
    """
    settings = settings or settings_class()
    fields = dataclasses.asdict(settings)
    for name in changes:
        field_checks.check_known(settings_class.__name__, name, fields)
    return dataclasses.replace(settings, **changes)


def _check(section, settings):
    defaults = run_config.default_config()
    fields = dataclasses.asdict(settings)
    usual = {name: defaults[section][name] for name in fields}
    try:
        field_checks.check_like(f"config.{section}", fields, usual)
        defaults[section].update(fields)
        run_config.check_config(defaults)
    except ValueError as error:
        raise ValueError(str(error).replace(f"config.{section}.", "")) from error
