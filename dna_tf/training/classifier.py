"""The trainer of classifiers on labels, for teachers and for students."""

import itertools

import keras
import tensorflow as tf

from dna_tf.common import seeding
from dna_tf.data import augmentation, pipelines, source_base
from dna_tf.models import copies, inference
from dna_tf.training import kept_weights, loop, optimizers, strategies, training_twin

_EVALUATED_BATCH = 100  # images that a device measures at a time


class ClassifierTrainer:
    """Trains a classifier; one compiled step serves several trainings of one model.

    Create it, and the model, in the scope of the strategy. A batch is split among the
    replicas, and on each of them into `recipe.accumulate` parts that are computed one
    after another, with one update at their end. Batch norm sees one part on one replica at a
    time: with it, smaller parts are another training; everything else is the same. Its moving
    statistics are averaged over replicas in each step, and over the parts of an update they
    move as far as in one step.

    Args:
        model: a Keras model from images in 0..255 to logits.
        images: a `labelled_images.Images`; the training split is trained on, the rating split
            is measured after epochs.
        recipe: a config section such as `retrain`.
        evaluated: a model of the same architecture, in float32 and outside of the scope,
            that gets the weights to evaluate. `None` takes `model`, unless
            `needs_second_model`.
        learns_from: a `distillation.Distillation`, or `None` to learn from labels only.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Attributes:
        model: the model that trains, a `training_twin` of the argument.
        evaluated: after `train`, the model with the weights that `recipe.take` says:
            averaged ones with `recipe.ema_decay` above 0.
        predict: compiled function from images to the classes that `evaluated` chooses; all
            devices of this machine that the strategy has share the images.
        evaluated_batch: how many images to give to `predict` at a time.
        loss: the `keras.losses.Loss` of labels and logits, summed over a batch.
        average: a `kept_weights.WeightAverage`, or `None`.

    Raises:
        ValueError: the batch does not divide among the replicas, or the recipe needs
            an argument that is missing.
    """

    def __init__(self, model, images, recipe, evaluated=None, learns_from=None, strategy=None):
        self.evaluated = model if evaluated is None else evaluated
        self.model = model = training_twin.make(model)
        self._images, self._recipe, self._learns_from = images, recipe, learns_from
        self._with_maps = model
        if learns_from is not None and learns_from.layers:
            maps = [model.get_layer(name).output for name in learns_from.layers]
            self._with_maps = keras.Model(model.input, [model.output, *maps])
        self._strategy = strategy or tf.distribute.get_strategy()
        self._replicas, self._parts = self._strategy.num_replicas_in_sync, recipe.accumulate
        self._steps = images.steps_per_epoch(recipe.batch_size)
        _check(recipe, self._strategy, evaluated)
        self._augmentation = augmentation.of_recipe(recipe, images.num_classes)
        self._schedule = optimizers.make_schedule(recipe, self._steps)
        self._optimizer = optimizers.make_optimizer(recipe, self._steps)
        self._optimizer.build(model.trainable_variables)
        # Keras would divide a mean by the number of replicas.
        self.loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing, reduction="sum"
        )
        self.average, averages = None, []
        if recipe.ema_decay:
            self.average = kept_weights.WeightAverage(model, recipe.ema_decay)
            averages = self.average.variables
        weights = model.trainable_variables if self._parts > 1 else ()
        # They are zero between updates, so checkpoints do not need them.
        self._sums = [tf.Variable(tf.zeros(w.shape), trainable=False) for w in weights]
        self._statistics = [w for w in model.weights if not w.trainable]
        self._whole = tf.function(self._train_step)
        self._part, self._finish = tf.function(self._add_part), tf.function(self._finish_parts)
        devices = strategies.local_devices(self._strategy)
        self.predict = inference.class_function(self.evaluated, devices)
        self.evaluated_batch = _EVALUATED_BATCH * max(1, len(devices))
        trained = [v.value for v in [*model.variables, *self._optimizer.variables]]
        self._variables = [*trained, *averages]
        self._first_state = [v.numpy() for v in self._optimizer.variables]

    def train(self, seed, folder, label, start=None, watcher=None, chief=True):
        """Trains from the first weights, or resumes a killed training.

        Args:
            seed: seeds the order and the augmentation of the images.
            folder: of checkpoints and history.
            label: text of the progress line.
            start: a model of the same architecture with the first weights; `None`
                takes those that the model has now.
            watcher: a `tensorboard.Watcher` for TensorBoard, or `None`.
            chief: `False` for the other workers of a run of several.

        Returns:
            The history: for each epoch the means of `loss` and `accuracy`, the
            `learning_rate` of its last step, and every `recipe.rating_every` epochs the
            `rating_accuracy`.

        Raises:
            ValueError: as `loop.run`.
        """
        if start is not None:
            for variable, first in zip(self.model.variables, start.variables, strict=True):
                variable.assign(first.value)
        for variable, first in zip(self._optimizer.variables, self._first_state, strict=True):
            variable.assign(first)
        if self.average is not None:
            self.average.start()
        recipe = self._recipe
        best = kept_weights.BestWeights(folder, self.evaluated)
        order_seed = seeding.derive_seed("classifier", seed)
        history = loop.run(
            step=self.update,
            batches=lambda epoch, skip: self._batches(epoch, skip, order_seed),
            epochs=recipe.epochs,
            steps_per_epoch=self._steps,
            keep=loop.Keep(
                folder,
                self._variables,
                recipe.checkpoint_seconds,
                self._images.fingerprint,
                same_data=self._images.take_up,
            ),
            show=loop.Show(label, recipe.batch_size, watcher),
            on_epoch=lambda epoch: self.figures_of(epoch, best if chief else None),
            chief=chief,
        )
        # The chief may still be writing the weights of its last epoch.
        strategies.wait_for_all(self._strategy)
        self.take_last()
        if recipe.take == "best":
            best.load()
        return history

    def take_last(self):
        """Gives `evaluated` the weights of the last epoch, averaged or not."""
        values = [weight.value for weight in self.model.weights]
        if self.average is not None:
            values = self.average.variables
        for weight, value in zip(self.evaluated.weights, values, strict=True):
            weight.assign(value.numpy())

    def _batches(self, epoch, skip, seed):
        """Yields for each update an iterable of its parts."""
        size = self._recipe.batch_size // self._parts

        def dataset_of(shard):
            dataset = self._images.epoch(
                size,
                epoch,
                seed,
                augment=True,
                skip_batches=skip * self._parts,
                shard=shard,
                augmentation=self._augmentation,
            )
            if answers is None:
                return dataset
            part = answers[skip * self._parts :, pipelines.part_of_batch(size, shard)]
            beside = tf.data.Dataset.from_tensor_slices(source_base.on_cpu(part))
            return tf.data.Dataset.zip(dataset, beside).map(lambda batch, answer: (*batch, answer))

        answers = None
        if self._learns_from is not None:
            self._learns_from.begin_epoch(epoch)
        if self._learns_from is not None and self._learns_from.kept is not None:
            kept = self._learns_from.kept
            answers = kept.of_epoch(self._images, self._recipe, epoch, seed)
        parts = iter(strategies.distribute(self._strategy, dataset_of, size))
        for _ in range(skip, self._steps):
            yield itertools.islice(parts, self._parts)

    def update(self, parts, _):
        """Trains on a batch and returns its figures.

        Args:
            parts: iterable of the parts of the batch, each `(images, labels)`, or with the
                teacher's answers as a third if they are kept.
        """
        if self._parts == 1:
            return self._whole(*next(parts))
        means = {}
        for part in parts:
            for name, value in self._part(*part).items():
                means[name] = means.get(name, 0.0) + value / self._parts
        self._finish()
        return means

    def _train_step(self, *batch):
        def in_replica(*batch):
            figures, gradients = self._gradients(*batch)
            self._apply(gradients)
            return figures, [weight.value for weight in self._statistics]

        figures, statistics = self._run(in_replica, *batch)
        self._end_update(statistics)
        return figures

    def _add_part(self, *batch):
        def in_replica(*batch):
            with training_twin.norm_momentum(self.model, self._parts):
                figures, gradients = self._gradients(*batch)
            for total, gradient in zip(self._sums, gradients, strict=True):
                total.assign_add(gradient)
            return figures, []

        return self._run(in_replica, *batch)[0]

    def _finish_parts(self):
        def in_replica():
            self._apply([total.read_value() for total in self._sums])
            for total in self._sums:
                total.assign(tf.zeros(total.shape))
            return {}, [weight.value for weight in self._statistics]

        self._end_update(self._run(in_replica)[1])

    def _run(self, function, *arguments):
        """Runs a function in all replicas; its figures are averaged."""
        figures, rest = self._strategy.run(function, arguments)
        if self._replicas == 1:
            return figures, rest
        mean = {
            name: self._strategy.reduce("MEAN", value, axis=None) for name, value in figures.items()
        }
        return mean, rest

    def _gradients(self, images, labels, answers=None):
        """Returns figures of a replica's images, and its share of the gradient of an update."""
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._with_maps(images, training=True)
            logits, *maps = outputs if self._with_maps is not self.model else [outputs]
            logits = tf.cast(logits, tf.float32)
            targets = labels
            if labels.shape.rank == 1:
                targets = tf.one_hot(labels, self._images.num_classes)
            loss = self.loss(targets, logits) / tf.cast(tf.shape(images)[0], tf.float32)
            figures = {"loss": loss}
            if self._learns_from is not None:
                loss, figures = self._learns_from.loss(images, loss, logits, maps, answers)
            shares = self._replicas * self._parts
            scaled = loss * self._loss_scale() / shares if self._scales(shares) else loss
        gradients = tape.gradient(scaled, weights)
        classes = labels if labels.shape.rank == 1 else tf.argmax(labels, -1, tf.int32)
        right = tf.cast(tf.argmax(logits, -1, tf.int32) == classes, tf.float32)
        return {**figures, "accuracy": tf.reduce_mean(right)}, gradients

    def _scales(self, shares):
        return shares > 1 or self._recipe.precision == "mixed_float16"

    def _loss_scale(self):
        half = self._recipe.precision == "mixed_float16"
        return self._optimizer.scale_loss(tf.constant(1.0)) if half else 1.0

    def _apply(self, gradients):
        """One update in a replica; the optimizer adds the gradients of all replicas."""
        weights = self.model.trainable_variables
        # Each replica adds its share of the weight decay too.
        factor = self._loss_scale() / self._replicas
        gradients = optimizers.add_l2(self._recipe, gradients, weights, factor)
        self._optimizer.apply(gradients, weights)

    def _end_update(self, statistics):
        """Ends an update, in cross-replica context: statistics of batch norm, averages."""
        if self._replicas > 1:
            for weight, values in zip(self._statistics, statistics, strict=True):
                mean = self._strategy.reduce("MEAN", values, axis=None)
                self._strategy.extended.update(weight.value, _assign, args=(mean,), group=False)
        if self.average is not None:
            self.average.update(self._optimizer.iterations.value)

    def figures_of(self, epoch, best):
        """Returns the figures of an epoch; with `best` the best weights so far are kept."""
        rate = self._schedule((epoch + 1) * self._steps - 1)
        figures = {"learning_rate": float(rate)}
        every = self._recipe.rating_every
        if best is not None and every and ((epoch + 1) % every == 0 or self._is_last(epoch)):
            self.take_last()
            batches = self._images.images("rating", batch_size=self.evaluated_batch)
            correct, total = inference.count_correct(self.predict, batches)
            best.offer(epoch + 1, correct / total)
            figures["rating_accuracy"] = correct / total
        return figures

    def _is_last(self, epoch):
        return epoch + 1 == self._recipe.epochs


def needs_second_model(recipe, strategy):
    """Whether a model that is built for training cannot be evaluated in float32 on one device."""
    return recipe.precision != "float32" or strategy.num_replicas_in_sync > 1


def copy_in(model, precision):
    """Copies a float32 model, with layers that compute in a precision of the config.

    Args:
        model: a functional or sequential `keras.Model`.
        precision: one of `training_sections.PRECISIONS`; weights stay float32.
    """

    def copied(layer):
        settings = layer.get_config()
        if not isinstance(layer, keras.layers.InputLayer):
            settings["dtype"] = precision
        return type(layer).from_config(settings)

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copies.copy_variables(model, copy)
    return copy


def _assign(variable, value):
    variable.assign(value)


def _check(recipe, strategy, evaluated):
    """Checks that a recipe and a strategy fit together."""
    replicas = strategy.num_replicas_in_sync
    strategies.check_batch(strategy, "the recipe's batch_size / accumulate", _part_size(recipe))
    if (recipe.mixup or recipe.cutmix) and _part_size(recipe) // replicas % 2:
        raise ValueError(
            f"mixup and cutmix mix pairs of images, and each of {replicas} replicas has "
            f"{_part_size(recipe) // replicas} of them. Choose an even number for each."
        )
    if replicas > 1 and recipe.precision == "mixed_float16":
        raise ValueError(
            "mixed_float16 scales the loss on one device only. Set precision to mixed_bfloat16, "
            f"or train on one device. Received: {replicas} replicas"
        )
    if evaluated is None and needs_second_model(recipe, strategy):
        raise ValueError(
            "Mixed precision and several replicas need a second model to evaluate: give "
            "ClassifierTrainer one as `evaluated`."
        )


def _part_size(recipe):
    return recipe.batch_size // recipe.accumulate
