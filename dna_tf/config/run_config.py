"""The config of a run: its sections and fields with their defaults, and the check of all values.

A config file has a function `get_config()` that starts from `default_config()` and changes
some fields. The config is locked: setting a field that does not exist is an error at that
line.
"""

import math

import ml_collections

from dna_tf.common import files
from dna_tf.config import (
    export_sections,
    field_checks,
    training_sections,
    whole_section,
    without_effect,
)
from dna_tf.space import cost_limits, presets, ratings

# The input range of a model; "none" is 0..255, the last three are modes of keras.applications.
# Room models, preprocessing.py builds the layers.
PREPROCESSING_KINDS = ("none", "zero_one", "minus_one_one", "caffe", "torch")

INTERPOLATIONS = ("bilinear", "bicubic")
FEATURE_MODES = ("memory", "disk", "online")
CACHE_DTYPES = ("float16", "bfloat16", "float32")
INPUTS = ("teacher", "S1", "S2")
STARTS = ("teacher", "identity")
SAMPLINGS = ("uniform", "fair")
CONTROLLED = ("chosen", "all")

# Fields that are newer than saved fingerprints, with the value that results of before were made
# with: with that value they do not count, so that these results stay up to date.
_ADDED_FIELDS = (("data", "interpolation", "bilinear"), ("supernet", "snapshots", 0))

_ANY = math.inf
# (section, field, lowest, highest)
_RANGES = (
    ("data", "rating_per_class", 1, _ANY),
    ("data", "image_size", 0, _ANY),
    ("data", "num_classes", 0, _ANY),
    ("data", "rating_fraction", 0.0, 0.9),
    ("data", "shuffle_buffer", 1, _ANY),
    ("data", "max_broken_images", 0, _ANY),
    ("data", "test_fraction", 0.01, 0.9),
    ("data", "crop_fraction", 0.1, 1.0),
    ("data", "shift", 0.0, 0.5),
    ("supernet", "epochs", 1, _ANY),
    ("supernet", "batch_size", 2, _ANY),
    ("supernet", "learning_rate", 1e-8, 10.0),
    ("supernet", "first_block_learning_rate", 1e-8, 10.0),
    ("supernet", "learning_rate_decay", 0.01, 1.0),
    ("supernet", "weight_decay", 0.0, 1.0),
    ("supernet", "clip_norm", 0.0, _ANY),
    ("supernet", "norm_images", 0, _ANY),
    ("supernet", "snapshots", 0, _ANY),
    ("supernet", "checkpoint_seconds", 0.0, _ANY),
    ("rating", "batch_size", 1, _ANY),
    ("rating", "batches", 1, _ANY),
    ("rating", "calibration_images", 2, _ANY),
    ("rating", "calibration_batches", 1, _ANY),
    ("rating", "checkpoint_seconds", 0.0, _ANY),
    *whole_section.RANGES,
    ("search", "controls", 0, 1000),
    ("search", "control_tolerance", 0.0, 1.0),
    *export_sections.COMPRESSION_RANGES,
    *(("retrain", *limits_of) for limits_of in training_sections.RETRAIN_RANGES),
    *(("fine_tune", *limits_of) for limits_of in training_sections.FINE_TUNE_RANGES),
    ("compress", "measured_paths", 2, _ANY),
    ("compress", "realised", 1, 1000),
    *(
        (section, *limits_of)
        for section in training_sections.SECTIONS
        for limits_of in training_sections.RANGES
    ),
)


def default_config() -> ml_collections.ConfigDict:
    """Returns the default config, for the data set digits, locked.

    A config has sections, and a section has fields. Each is explained where it is set here.

    Example:

        >>> import dna_tf
        >>> config = dna_tf.default_config()
        >>> config.supernet.epochs
        15
        >>> config.data.source = "folder:flowers"
    """
    config = ml_collections.ConfigDict()
    config.seed = 0  # one seed gives one result

    config.data = ml_collections.ConfigDict()
    # digits | tfds:NAME[/VERSION] | tfrecord:GLOB | folder:DIR | list:FILE
    config.data.source = "digits"
    config.data.test_source = ""  # another source; "" takes the source's own split or holds out
    config.data.test_fraction = 0.2  # of each class, when the source has no test split
    config.data.rating_per_class = 20  # images of each class taken out of training (DNA: 50)
    config.data.rating_fraction = 0.0  # above 0: instead that share of all images
    config.data.image_size = 32  # height and width in pixels; 0 takes the space's
    config.data.channels = 3  # 3 (RGB) or 1 (grey)
    config.data.num_classes = 0  # 0 counts them in the data
    config.data.image_feature = "image"  # tfrecord: name of the encoded image
    config.data.label_feature = "label"  # tfrecord: name of the int64 label
    config.data.label_offset = 0  # tfrecord: subtracted from labels (1 if they start at 1)
    config.data.tfds_data_dir = ""  # "" is the default of tensorflow-datasets
    config.data.crop_fraction = 1.0  # central part of the resized image that is kept
    config.data.interpolation = "bilinear"  # bilinear | bicubic, where images are resized
    config.data.shift = 0.1  # largest random shift in training, as a fraction of the image
    config.data.flip = False  # random left-right flip in training
    config.data.shuffle_buffer = 10_000  # images, for data that does not fit in memory
    # Above 0: all images are decoded once, and up to this many broken ones are left out.
    config.data.max_broken_images = 0

    config.teacher = ml_collections.ConfigDict()
    # residual_cnn, .._medium, .._wide (all trained here), a model of keras.applications (names
    # in teachers/application_names.py), or a .keras file
    config.teacher.model = "residual_cnn"
    config.teacher.weights = ""  # models by name: "imagenet" or a weights file; "" trains
    # Last layer of each block; () takes the paper's for EfficientNet, and proposals for others.
    config.teacher.cuts = ("stage1_out", "stage2_out", "stage3_out")
    config.teacher.preprocessing = "none"  # input range of a .keras file; none: 0..255
    config.teacher.modules = ()  # imported before a .keras file, to register its layers

    config.teacher_training = training_sections.default_recipe(epochs=15, learning_rate=3e-3)

    # A name of presets.PRESETS, or in a config file a dict as SearchSpace.from_dict takes it.
    # A FieldReference, because ConfigDict otherwise refuses to change the type from str to dict.
    config.space = ml_collections.FieldReference("digits", field_type=object)

    config.supernet = ml_collections.ConfigDict()
    # Teacher features: memory or disk (computed once, no augmentation) | online (in each step)
    config.supernet.features = "memory"
    config.supernet.cache_dtype = "float16"  # of features on disk; bfloat16 | float32
    config.supernet.cache_folder = ""  # of features on disk; "" is inside the workdir
    # Input of a block: the "teacher"'s map (DNA), or the map of the student's block before. Then
    # all blocks up to it are trained together ("S1") or only the last ("S2"), as in DNA Table 4.
    config.supernet.inputs = "teacher"
    config.supernet.cells = ()  # names such as block1_cell2: trains these only; () is all
    config.supernet.epochs = 15  # DNA: 20, of a thousand times as many steps
    config.supernet.batch_size = 64  # images (DNA: 64 on each of 8 GPUs)
    config.supernet.learning_rate = 0.01  # Adam (DNA: 0.005)
    config.supernet.first_block_learning_rate = 0.01  # block 1 (DNA: 0.002)
    config.supernet.learning_rate_decay = 0.85  # factor of each epoch (DNA: 0.9)
    # "teacher": the last batch norm of a cell starts with mean and deviation of the teacher's
    # map, which saves epochs. "identity": it starts as the identity (DNA).
    config.supernet.output_start = "teacher"
    config.supernet.sampling = "uniform"  # of paths; fair: each op once in a group of steps
    config.supernet.precision = "float32"  # float32 | mixed_bfloat16 | mixed_float16
    config.supernet.weight_decay = 0.0  # of convolution kernels (the authors' code: 1e-4)
    config.supernet.clip_norm = 0.0  # largest norm of a path's gradient; 0 does not limit it
    config.supernet.norm_images = 0  # images with common batch statistics; 0: all of a replica
    config.supernet.snapshots = 0  # above 0: epochs from one copy of the cells to the next
    config.supernet.tensorboard = True  # curves and maps in the workdir's tensorboard/
    config.supernet.checkpoint_seconds = 5.0  # a killed run loses at most this much

    config.rating = ml_collections.ConfigDict()
    config.rating.batch_size = 50  # images
    config.rating.batches = 20  # at most; the rating split may have fewer (DNA: about 20)
    config.rating.calibration_images = 128  # of training data, for batch norm: one batch
    config.rating.calibration_batches = 1  # of that many images, statistics pooled (DNA: 1)
    config.rating.checkpoint_seconds = 2.0  # a killed run loses at most this much

    config.whole = whole_section.default_whole()  # for tools/train_whole.py

    config.search = ml_collections.ConfigDict()
    config.search.budgets = ("max_macs=1.1M", "max_macs=1.5M", "max_macs=1.9M")  # one student each
    config.search.metric = "relative_l1"  # of ratings.METRICS: relative_l1 | mse | noise_to_signal
    config.search.chosen = 1  # index of the budget whose student is the run's
    config.search.controls = 1  # random architectures of a student's cost, to compare with
    config.search.controls_of = "chosen"  # budgets for which they are drawn: chosen | all
    config.search.weights = ()  # lambda of each block; () is 1 for all
    config.search.control_tolerance = 0.02  # largest relative distance in MACs
    config.search.cost_files = ()  # further costs, such as ("latency.json",)

    config.retrain = training_sections.default_retraining(epochs=15, learning_rate=3e-3)

    config.compress = ml_collections.ConfigDict()  # for tools/compress.py
    config.compress.measured_paths = 64  # of a cell in the teacher's place; others are fitted
    config.compress.realised = 5  # best networks that are put together and compared
    config.fine_tune = training_sections.default_fine_tuning()

    config.export = export_sections.default_export()
    config.quantize = export_sections.default_quantize()
    config.prune = export_sections.default_prune()
    return config.lock()


def check_config(config):
    """Checks keys, types and ranges of a whole config before any work.

    Args:
        config: an `ml_collections.ConfigDict` such as `get_config()` returns.

    Raises:
        ValueError: a key is missing or unknown (the message has near names), or a value has the
            wrong type or is out of range.
    """
    field_checks.check_like("config", config, default_config())
    plain = to_plain(config)
    space = presets.get_space(plain["space"])
    if not 0 <= config.seed < 2**31:  # more are derived from it, below 2**32
        raise ValueError(f"config.seed must be in [0, {2**31 - 1}]. Received: {config.seed}")
    for section, field, lowest, highest in _RANGES:
        field_checks.check_range(config, section, field, lowest, highest)
    field_checks.check_choice("data.channels", config.data.channels, (1, 3))
    field_checks.check_choice("data.interpolation", config.data.interpolation, INTERPOLATIONS)
    if 0 < config.data.image_size < 8:
        raise ValueError(
            "config.data.image_size must be at least 8, or 0 for the size of the space. "
            f"Received: {config.data.image_size}"
        )
    field_checks.check_choice(
        "teacher.preprocessing", config.teacher.preprocessing, PREPROCESSING_KINDS
    )
    for field, choices in (
        ("features", FEATURE_MODES),
        ("cache_dtype", CACHE_DTYPES),
        ("inputs", INPUTS),
        ("output_start", STARTS),
        ("sampling", SAMPLINGS),
        ("precision", training_sections.PRECISIONS),
    ):
        field_checks.check_choice(f"supernet.{field}", config.supernet[field], choices)
    if config.supernet.snapshots and config.supernet.inputs != "teacher":
        raise ValueError(
            "config.supernet.snapshots needs cells that train together: set "
            f"config.supernet.inputs='teacher', or snapshots=0. Received: "
            f"snapshots={config.supernet.snapshots}, inputs={config.supernet.inputs!r}"
        )
    field_checks.check_choice("search.metric", config.search.metric, ratings.METRICS)
    field_checks.check_choice("search.controls_of", config.search.controls_of, CONTROLLED)
    for section in training_sections.SECTIONS:
        for field, choices in training_sections.CHOICES:
            field_checks.check_choice(f"{section}.{field}", config[section][field], choices)
    training_sections.check(config)
    export_sections.check(config.export)
    whole_section.check(config.whole)
    _check_weights(plain["search"]["weights"], space)
    names = [cost_limits.Limits(budget).name() for budget in config.search.budgets]
    if len(set(names)) < len(names):
        raise ValueError(
            "config.search.budgets must differ: each one names a student. Received: "
            f"{tuple(config.search.budgets)}"
        )
    if not config.search.budgets or not 0 <= config.search.chosen < len(config.search.budgets):
        raise ValueError(
            "config.search.chosen must be the index of one of config.search.budgets. Received: "
            f"chosen={config.search.chosen}, budgets={tuple(config.search.budgets)}"
        )


def with_image_size(config):
    """Returns the config with the space's image size where it asks for that with 0."""
    if config.data.image_size:
        return config
    resolved = config.copy_and_resolve_references()
    resolved.data.image_size = presets.get_space(config.space).image_size
    return resolved


def check_field(name):
    """Checks that a config has a field of this name, such as `"retrain.epochs"`.

    Returns:
        The field's default.

    Raises:
        ValueError: it does not; the message has near names.
    """
    what, value = "config", default_config()
    for part in name.split("."):
        if not isinstance(value, ml_collections.ConfigDict):
            raise ValueError(f"{what} is one value and has no part {part!r}. Set it as a whole.")
        field_checks.check_known(what, part, value)
        what, value = f"{what}.{part}", value[part]
    return value


def to_plain(config):
    """The config as JSON-able dicts and lists, equal after it is written and read."""
    return _plain(config.to_dict() if hasattr(config, "to_dict") else config)


def config_fingerprint(config, sections=None):
    """Identifies a config, or the sections of it that a result depends on."""
    plain = without_added_fields(to_plain(config))
    return files.fingerprint({k: plain[k] for k in (sections or plain)})


def result_fingerprint(config, sections):
    """Identifies what a result depends on: sections without the fields that do not change it.

    These fields are those of `without_effect`. For a config in which they have their defaults it
    is the `config_fingerprint`.
    """
    plain = to_plain(config)
    chosen = {section: plain[section] for section in sections}
    chosen = without_effect.with_defaults(chosen, to_plain(default_config()))
    return files.fingerprint(without_added_fields(chosen))


def without_added_fields(plain):
    """Returns a plain config without the added fields that have the value from before."""
    kept = dict(plain)
    for section, field, default in _ADDED_FIELDS:
        if kept.get(section, {}).get(field) == default:
            kept[section] = {k: v for k, v in kept[section].items() if k != field}
    return kept


def with_defaults(plain):
    """Adds the fields that are newer than a plain config, with their defaults.

    Args:
        plain: a dict from `to_plain`, of this version or an earlier one.

    Returns:
        A new dict.
    """
    filled = dict(plain)
    for key, value in to_plain(default_config()).items():
        if key != "space" and isinstance(value, dict) and isinstance(filled.get(key, {}), dict):
            filled[key] = {**value, **filled.get(key, {})}
        else:
            filled.setdefault(key, value)
    return filled


def from_plain(plain):
    """Makes a locked config from the result of `to_plain`, and checks its values.

    Raises:
        ValueError: as `check_config`.
    """
    config = default_config()
    field_checks.check_like("config", plain, config)
    with config.unlocked():
        for key, value in plain.items():
            if isinstance(value, dict) and key != "space":
                for field, field_value in value.items():
                    old = config[key][field]
                    config[key][field] = (
                        tuple(field_value) if isinstance(old, tuple) else field_value
                    )
            else:
                config[key] = value
    check_config(config)
    return config


def differences(one, other):
    """Lists the fields in which two plain configs differ, as `section.field`."""
    fields = []
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict) and key != "space":
            fields += [f"{key}.{f}" for f in sorted({*a, *b}) if a.get(f) != b.get(f)]
        elif a != b:
            fields.append(key)
    return fields


def _plain(value):
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _check_weights(weights, space):
    numbers = all(isinstance(w, int | float) and 0 <= w < math.inf for w in weights)
    if not numbers or len(weights) not in (0, len(space.blocks)):
        raise ValueError(
            f"config.search.weights must be () or {len(space.blocks)} finite numbers of at least "
            f"0, one for each block of the space {space.name!r}. Received: {tuple(weights)}"
        )
