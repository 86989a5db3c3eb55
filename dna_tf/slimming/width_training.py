"""Trains all widths together: the whole model on labels, narrow ones on its answers.

Each step shows one batch to all widths. The whole model learns the labels; each narrow one learns
the present answers of the whole one. Kernels are shared, so their gradients add up.

Source: joint training and shared kernels, slimmable networks (Yu et al., 2019); narrow widths that
learn from the whole one's answers, Yu and Huang, 2019 ("in-place distillation"). PWKD trains the
sub-networks of its teacher jointly; its losses are not published, so these are our choice.
"""

import tempfile

import keras
import numpy as np
import tensorflow as tf

from dna_tf.common import checks, files, seeding
from dna_tf.config import training_sections
from dna_tf.data import augmentation
from dna_tf.models import inference
from dna_tf.training import determinism, loop, optimizers

_EVALUATED_BATCH = 100  # images


def train_widths(sliced, images, recipe=None, *, seed=0, folder=None, keep_whole=False):
    """Trains all widths of a model in place.

    Args:
        sliced: a `sliced_model.SlicedModel` from images in 0..255 to logits.
        images: a `labelled_images.Images`.
        recipe: fields of the config's section `retrain`, such as `{"epochs": 5}`. Averages of
            weights, mixed labels, parts of batches and other precisions than float32 are not
            taken.
        seed: decides the order and the augmentation of the images.
        folder: keeps checkpoints and the history; a killed training resumes. `None` keeps
            nothing.
        keep_whole: whether the whole model stays as it is, to the bit. Then only the private batch
            norms of narrow widths learn, which is far less.

    Returns:
        The history: for each epoch a dict of `loss` (of the whole model), `accuracy`, and the mean
        divergence from its answers, in nats, of each narrow width, such as `divergence_0.5`.

    Raises:
        ValueError: the recipe cannot be taken, model and images do not fit, or a loss is not
            finite.
    """
    recipe = training_sections.complete(recipe)
    checks.check_whole("seed", seed, 0)
    _check(sliced, images, recipe)
    determinism.enable(seed)
    trainer = WidthTrainer(sliced, images, recipe, keep_whole)
    if folder is not None:
        return trainer.train(seed, files.as_path(folder))
    with tempfile.TemporaryDirectory() as temporary:
        return trainer.train(seed, temporary)


class WidthTrainer:
    """The step that trains all widths.

    Args:
        sliced, images, keep_whole: as of `train_widths`.
        recipe: a complete recipe.
    """

    def __init__(self, sliced, images, recipe, keep_whole=False):
        self._sliced, self._images, self._recipe = sliced, images, recipe
        self._keeps = keep_whole
        kept = {id(v) for v in sliced.whole.trainable_variables} if keep_whole else set()
        self.variables = [v for v in sliced.trainable_variables if id(v) not in kept]
        steps = images.steps_per_epoch(recipe.batch_size)
        self._optimizer = optimizers.make_optimizer(recipe, steps)
        self._optimizer.build(self.variables)
        self._labels_loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing
        )
        self._step = tf.function(self._update)

    def train(self, seed, folder):
        """Trains, or resumes a killed training; see `train_widths`."""
        recipe, images = self._recipe, self._images
        order_seed = seeding.derive_seed("classifier", seed)
        changes = augmentation.of_recipe(recipe, images.num_classes)
        state = {}
        for model in self._sliced.models.values():
            state |= {id(variable): variable.value for variable in model.variables}
        trained = [*state.values(), *(v.value for v in self._optimizer.variables)]
        with images.reading():
            return loop.run(
                step=lambda batch, _: self.update_batch(*batch),
                batches=lambda epoch, skip: images.epoch(
                    recipe.batch_size,
                    epoch,
                    order_seed,
                    augment=True,
                    skip_batches=skip,
                    augmentation=changes,
                ),
                epochs=recipe.epochs,
                steps_per_epoch=images.steps_per_epoch(recipe.batch_size),
                keep=loop.Keep(folder, trained, recipe.checkpoint_seconds, images.fingerprint),
                show=loop.Show(f"{self._sliced.whole.name} in {len(self._sliced.widths)} widths",
                               recipe.batch_size),
            )  # fmt: skip

    def update_batch(self, images, labels):
        """Trains on a batch and returns its figures."""
        return self._step(images, labels)

    def _update(self, images, labels):
        figures, gradients = self.gradients(images, labels)
        gradients = optimizers.add_l2(self._recipe, gradients, self.variables)
        self._optimizer.apply(gradients, self.variables)
        return figures

    def gradients(self, images, labels):
        """Figures of a batch, and the gradients of the sum of all losses.

        Args:
            images: float tensor `(batch, height, width, channels)` in 0..255.
            labels: int tensor `(batch,)`.

        Returns:
            `(figures, gradients)`, the gradients in the order of `variables`.
        """
        sliced, divergences = self._sliced, {}
        with tf.GradientTape() as tape:
            whole = sliced.whole(images, training=not self._keeps)
            targets = tf.one_hot(labels, sliced.whole.output_shape[-1])
            loss = self._labels_loss(targets, whole)
            answers = tf.stop_gradient(whole)
            for width in sliced.widths[:-1]:
                narrow = sliced.models[width](images, training=True)
                divergences[f"divergence_{width:g}"] = _divergence(answers, narrow)
            total = tf.add_n([*([] if self._keeps else [loss]), *divergences.values()])
        values = [variable.value for variable in self.variables]
        gradients = tape.gradient(total, values, unconnected_gradients="zero")
        right = tf.equal(tf.argmax(whole, -1, tf.int32), tf.cast(labels, tf.int32))
        accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
        figures = {"loss": loss, "accuracy": accuracy, **divergences}
        return figures, [tf.convert_to_tensor(gradient) for gradient in gradients]


def count_correct(sliced, images, split):
    """Right answers of each width.

    Args:
        sliced: a `sliced_model.SlicedModel`.
        images: a `labelled_images.Images`.
        split: such as `"test"`.

    Returns:
        A dict from width to `(correct, total)`.
    """
    with images.reading():
        return {
            width: inference.count_correct(model, images.images(split, batch_size=_EVALUATED_BATCH))
            for width, model in sliced.models.items()
        }


def check_teachers(accuracies, num_classes):
    """Checks that the widths of a model can teach, narrow ones first.

    Args:
        accuracies: a dict from width to its accuracy in [0, 1].
        num_classes: of the data.

    Raises:
        ValueError: a wider one is worse than a narrower one, or the narrowest is below twice what
            guessing has.
    """
    widths = sorted(accuracies)
    values = [accuracies[width] for width in widths]
    text = ", ".join(f"{width:g}: {100 * accuracies[width]:.1f} %" for width in widths)
    least = min(1.0, 2.0 / num_classes)
    if values[0] < least:
        raise ValueError(
            f"The width {widths[0]:g} answers {100 * values[0]:.1f} % right, and guessing has "
            f"{100 / num_classes:.1f} %: it would teach noise. Train the widths longer, and "
            f"without keep_whole. Received: {text}"
        )
    if any(b < a for a, b in zip(values, values[1:], strict=False)):
        raise ValueError(
            "Teachers in stages must be better the wider they are. Train the widths longer, or "
            f"leave one out. Received: {text}"
        )


def _divergence(answers, logits):
    """Mean divergence of logits from answers, in nats."""
    target = tf.nn.softmax(answers)
    distance = tf.nn.log_softmax(answers) - tf.nn.log_softmax(logits)
    return tf.reduce_mean(tf.reduce_sum(target * distance, axis=-1))


def _check(sliced, images, recipe):
    taken = tuple(sliced.whole.input_shape[1:])
    if taken != tuple(images.image_shape) or sliced.whole.output_shape[-1] != images.num_classes:
        raise ValueError(
            f"Expected a model for images {tuple(images.image_shape)} and {images.num_classes} "
            f"classes. Received: {sliced.whole.name!r} from {taken} to "
            f"{sliced.whole.output_shape[-1]} scores."
        )
    others = {
        "ema_decay": 0.0, "mixup": 0.0, "cutmix": 0.0, "accumulate": 1, "precision": "float32",
        "take": "last", "distill_weight": 0.0,
    }  # fmt: skip
    for field, value in others.items():
        if recipe[field] != value:
            raise ValueError(
                f"The widths of a model train with recipe.{field}={value!r} only. Received: "
                f"{recipe[field]!r}"
            )
    if not np.isfinite(recipe.learning_rate):
        raise ValueError(f"recipe.learning_rate must be finite. Received: {recipe.learning_rate}")
