"""The sections `teacher_training`, `retrain` and `fine_tune`: the fields of a training recipe."""

import math

import ml_collections

from dna_tf.common import checks
from dna_tf.config import field_checks

OPTIMIZERS = ("adamw", "lamb", "rmsprop", "sgd")
DECOUPLED = ("adamw", "lamb")  # decay and step size do not grow with the gradient
SCHEDULES = ("cosine", "cyclic_cosine", "constant", "exponential")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
TAKES = ("last", "best")

SECTIONS = ("teacher_training", "retrain", "fine_tune")
# (field, values)
CHOICES = (
    ("optimizer", OPTIMIZERS),
    ("schedule", SCHEDULES),
    ("precision", PRECISIONS),
    ("take", TAKES),
)
# (field, lowest, highest)
RANGES = (
    ("epochs", 1, math.inf),
    ("batch_size", 2, math.inf),
    ("accumulate", 1, math.inf),
    ("learning_rate", 1e-8, 100.0),
    ("reference_batch_size", 0, math.inf),
    ("warmup_epochs", 0.0, 1e6),
    ("decay_factor", 0.01, 1.0),
    ("decay_epochs", 1e-3, math.inf),
    ("weight_decay", 0.0, 10.0),
    ("label_smoothing", 0.0, 0.99),
    ("dropout", 0.0, 0.99),
    ("drop_connect", 0.0, 0.99),
    ("ema_decay", 0.0, 0.999999),
    ("crop_area", 0.0, 1.0),
    ("color_jitter", 0.0, 1.0),
    ("randaugment_ops", 0, 10),
    ("randaugment_magnitude", 0.0, 10.0),
    ("erase", 0.0, 1.0),
    ("mixup", 0.0, 10.0),
    ("cutmix", 0.0, 10.0),
    ("rating_every", 0, math.inf),
    ("checkpoint_seconds", 0.0, math.inf),
)
RETRAIN_RANGES = (
    ("seeds", 1, math.inf),
    ("control_seeds", 0, math.inf),
    ("distill_weight", 0.0, 1.0),
    ("distill_temperature", 0.1, 100.0),
    ("cycles", 1, math.inf),
)
FINE_TUNE_RANGES = (
    ("labels", 0.0, 1e6),
    ("answers", 0.0, 1e6),
    ("temperature", 0.1, 100.0),
    ("maps", 0.0, 1e6),
)


def default_recipe(epochs, learning_rate):
    """The fields that both sections have.

    Args:
        epochs: the number of epochs.
        learning_rate: the peak rate.
    """
    recipe = ml_collections.ConfigDict()
    recipe.epochs = epochs
    recipe.batch_size = 64  # images of an update, over all replicas and parts
    recipe.accumulate = 1  # equal parts of an update's batch, one after another, to save memory
    recipe.optimizer = "adamw"  # of OPTIMIZERS
    recipe.learning_rate = learning_rate  # peak, after warm-up
    # The batch size that the rate is for. Another batch scales the rate: in proportion for sgd
    # and rmsprop, by the square root for adamw and lamb. 0 does not scale it.
    recipe.reference_batch_size = 0
    recipe.schedule = "cosine"  # of SCHEDULES; cosine falls to zero
    recipe.decay_factor = 0.97  # exponential: factor of each stair (EfficientNet)
    recipe.decay_epochs = 2.4  # exponential: epochs of a stair (EfficientNet)
    recipe.warmup_epochs = 2.0  # linear, from zero
    recipe.weight_decay = 0.01  # of kernels; decoupled for adamw and lamb, L2 otherwise
    recipe.label_smoothing = 0.1
    recipe.dropout = 0.1  # before the classifier
    recipe.drop_connect = 0.0  # of residual branches, rising with depth (students only)
    recipe.ema_decay = 0.0  # above 0: the moving average of the weights is evaluated
    recipe.precision = "float32"  # of PRECISIONS; weights stay float32
    # Random-resized crops of at least this share of the image; 0 shifts by data.shift instead.
    recipe.crop_area = 0.0
    recipe.color_jitter = 0.0  # largest change of brightness, contrast and saturation
    recipe.randaugment_ops = 0  # operations of RandAugment for each image
    recipe.randaugment_magnitude = 9.0  # their strength, 0 to 10, +- 0.5 for each image
    recipe.erase = 0.0  # probability to erase a rectangle of an image
    recipe.mixup = 0.0  # alpha; above 0 two images are mixed
    recipe.cutmix = 0.0  # alpha; above 0 a rectangle comes from another image
    recipe.rating_every = 1  # epochs between two measurements on rating images; 0: never
    recipe.take = "last"  # epoch whose weights are kept; best: on the rating images
    recipe.tensorboard = True  # curves in the workdir's tensorboard/
    recipe.checkpoint_seconds = 5.0  # a killed run loses at most this much
    return recipe


def default_retraining(epochs, learning_rate):
    """The fields of `retrain`: a recipe, and fields for students only."""
    recipe = default_recipe(epochs, learning_rate)
    recipe.seeds = 3  # each student is trained this many times
    recipe.control_seeds = 0  # each control is trained this many times; 0: as many as others
    recipe.start_from = ""  # a student's .keras file to fine-tune; its classifier is replaced
    recipe.distill_weight = 0.0  # weight of the distance to the teacher's logits in the loss
    recipe.distill_temperature = 1.0  # by which both logits are divided for that distance
    # .keras files to distil one after another, such as those of tools.slim, narrow first (PWKD);
    # () takes the run's teacher.
    recipe.teachers = ()
    recipe.teacher_ends = ()  # shares of the epochs at which each ends: (0.25, 0.5, 1.0); () equal
    recipe.cycles = 1  # of the schedule cyclic_cosine: falls to zero, each from the peak
    return recipe


def default_fine_tuning():
    """The fields of `fine_tune`: a recipe, and what an assembled student learns from.

    Nothing is dropped while seams heal, and labels are not smoothed: the teacher's answers are.
    """
    recipe = default_recipe(epochs=5, learning_rate=1e-3)
    recipe.warmup_epochs = 0.5
    recipe.label_smoothing = 0.0
    recipe.dropout = 0.0
    recipe.labels = 0.5  # weight of the loss on the labels; 0 for images without labels
    recipe.answers = 0.5  # weight of the divergence from the teacher's answers
    recipe.temperature = 1.0  # by which both logits are divided for that divergence
    recipe.maps = 0.0  # weight of the distance from the teacher's maps at the cuts
    return recipe


def check(config):
    """Checks that the fields of each recipe agree with each other.

    Args:
        config: the config, whose fields were checked one by one.

    Raises:
        ValueError: two fields contradict each other.
    """
    for section in SECTIONS:
        _check_together(f"config.{section}", config[section])


def complete(recipe=None):
    """Returns a student's recipe with defaults for missing fields, after checking all values.

    Args:
        recipe: a dict or a `ConfigDict` with fields of the section `retrain`; `None` takes all
            defaults.

    Returns:
        A locked `ConfigDict`.

    Raises:
        ValueError: a field is unknown, has the wrong type or is out of range, or two fields
            contradict one another.
    """
    defaults = default_retraining(epochs=15, learning_rate=3e-3)
    return _complete(recipe, defaults, RETRAIN_RANGES)


def complete_fine_tuning(recipe=None):
    """As `complete`, for the fields of the section `fine_tune`."""
    return _complete(recipe, default_fine_tuning(), FINE_TUNE_RANGES)


def _complete(recipe, defaults, more_ranges):
    values = {**defaults, **(recipe or {})}
    field_checks.check_like("recipe", values, defaults)
    for field, lowest, highest in (*RANGES, *more_ranges):
        if not lowest <= values[field] <= highest:
            raise ValueError(
                f"recipe.{field} must be in [{lowest}, {highest}]. Received: {values[field]!r}"
            )
    for field, choices in CHOICES:
        if values[field] not in choices:
            raise ValueError(
                f"recipe.{field} must be one of {list(choices)}."
                f"{checks.near_names(values[field], choices)} Received: {values[field]!r}"
            )
    defaults.update(values)
    _check_together("recipe", defaults)
    return defaults.lock()


def _check_together(name, recipe):
    """Checks that fields of a recipe agree with each other; messages start with its `name`."""
    if recipe.batch_size % recipe.accumulate:
        size = recipe.batch_size
        near = [parts for parts in range(1, size + 1) if size % parts == 0]
        near = sorted(near, key=lambda parts: abs(parts - recipe.accumulate))[:3]
        raise ValueError(
            f"{name}.accumulate={recipe.accumulate} does not divide the batch of "
            f"{size} images. Near ones that do: {sorted(near)}."
        )
    if recipe.take == "best" and not recipe.rating_every:
        raise ValueError(
            f"{name}.take='best' needs the accuracy on the rating images after "
            f"epochs: set {name}.rating_every=1. Received: rating_every=0"
        )
    if "answers" in recipe and not (recipe.labels or recipe.answers or recipe.maps):
        raise ValueError(
            f"{name}.labels, {name}.answers and {name}.maps are all 0: there is nothing to learn "
            "from. Set one of them above 0."
        )
    if "teachers" in recipe:
        _check_teachers(name, recipe)
    mixes = recipe.mixup or recipe.cutmix
    if mixes and recipe.batch_size // recipe.accumulate % 2:
        raise ValueError(
            f"{name}.mixup and cutmix mix pairs of images, and the batch of "
            f"{recipe.batch_size} in {recipe.accumulate} parts is odd. Take an even batch."
        )


def _check_teachers(name, recipe):
    """Checks the fields of several teachers of a student."""
    ends, count = tuple(recipe.teacher_ends), len(recipe.teachers)
    if recipe.teachers and not recipe.distill_weight:
        raise ValueError(
            f"{name}.teachers are distilled with {name}.distill_weight above 0. Received: "
            f"distill_weight=0 and {count} teachers"
        )
    if not ends:
        return
    numbers = all(checks.is_number(end) for end in ends)
    if not numbers or sorted(set(ends)) != list(ends) or not 0 < ends[0] or ends[-1] != 1:
        raise ValueError(
            f"{name}.teacher_ends must be shares of the epochs that rise to 1, such as "
            f"(0.25, 0.5, 1.0). Received: {ends}"
        )
    if count not in (0, len(ends)):
        raise ValueError(
            f"{name}.teacher_ends has {len(ends)} shares for {count} teachers. Give one for each."
        )
    if len(ends) > recipe.epochs:
        raise ValueError(
            f"{len(ends)} teachers need as many epochs at least. Received: epochs={recipe.epochs}"
        )
