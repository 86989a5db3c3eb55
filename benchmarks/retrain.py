"""How fast students train, beside Keras' own EfficientNet-B0, and what the recipe costs.

    python -m benchmarks.retrain --json

Trains DNA-b with the paper's recipe by this project's loop, the same without averaged weights,
label smoothing and TensorBoard, and `keras.applications.EfficientNetB0` by stock `fit`, all in one
process at equal batch and image size, by turns. Images lie in memory: only training is timed. The
first steps of each turn are left out; figures are medians over the turns.

macs_rate_over_keras_b0: multiply-accumulates a second of the first by those of the last, from the
networks' own counts. recipe_overhead: time of the first over the second, less one.
"""

import statistics
import tempfile
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_integer("batch_size", 16, "Images of a step.", lower_bound=2)
flags.DEFINE_integer("image_size", 224, "Height and width.", lower_bound=32)
flags.DEFINE_integer("steps", 5, "Timed steps of a turn.", lower_bound=1)
flags.DEFINE_integer("turns", 5, "How often each is timed.", lower_bound=1)
flags.DEFINE_string("precision", "float32", "Of all three: float32, mixed_bfloat16.")
flags.DEFINE_integer("seed", 0, "Seeds images and weights.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

LEFT_OUT = 2  # first steps of a turn
CLASSES = 1000


def main():
    """Times the three trainings by turns."""
    machine.check_no_workdir()
    from dna_tf.space import zoo

    arch = zoo.get_architecture("dna_b")
    images = _Images()
    with tempfile.TemporaryDirectory() as folder:
        timed = {
            "ours": _Ours(arch, images, folder, plain=False),
            "plain": _Ours(arch, images, folder, plain=True),
            "keras_b0": _Keras(images),
        }
        seconds = {name: [] for name in timed}
        for turn in range(cli.FLAGS.turns + 1):
            for name, training in timed.items():
                taken = training.turn(turn)
                if turn:  # the first one compiles
                    seconds[name].append(taken / cli.FLAGS.steps)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    overheads = [a / b for a, b in zip(seconds["ours"], seconds["plain"], strict=True)]
    rates = {name: timed[name].macs * cli.FLAGS.batch_size / medians[name] for name in timed}
    figures = {
        "batch_size": cli.FLAGS.batch_size,
        "image_size": cli.FLAGS.image_size,
        **{f"{name}_step_s": round(median, 4) for name, median in medians.items()},
        **{f"{name}_gmacs_per_s": round(rate / 1e9, 2) for name, rate in rates.items()},
        "macs_rate_over_keras_b0": round(rates["ours"] / rates["keras_b0"], 3),
        "recipe_overhead": round(statistics.median(overheads) - 1, 4),
    }
    machine.report(figures, cli.FLAGS.seed)


class _Images:
    """One batch in memory, repeated, with the methods of `labelled_images.Images` in use."""

    num_classes = CLASSES
    fingerprint = "one batch"

    def __init__(self):
        import tensorflow as tf

        size, batch = cli.FLAGS.image_size, cli.FLAGS.batch_size
        seed = (cli.FLAGS.seed, 0)
        images = tf.random.stateless_uniform((batch, size, size, 3), seed, maxval=255.0)
        labels = tf.range(batch) * 7 % CLASSES
        self.batches = tf.data.Dataset.from_tensors((images, labels)).repeat()

    def steps_per_epoch(self, _):
        """Steps of a turn."""
        return cli.FLAGS.steps + LEFT_OUT

    def epoch(self, *_, **__):
        """The batches of a turn."""
        return self.batches.take(self.steps_per_epoch(0)).prefetch(1)


class _Ours:
    """A student trained by `ClassifierTrainer` and the loop, with the paper's recipe or less."""

    def __init__(self, arch, images, folder, plain):

        from dna_tf.config import recipes, run_config
        from dna_tf.models import students
        from dna_tf.training import classifier

        config = run_config.default_config()
        recipes.paper(config)
        recipe = config.retrain
        recipe.update(epochs=1, batch_size=cli.FLAGS.batch_size, accumulate=1, rating_every=0)
        recipe.update(crop_area=0.0, color_jitter=0.0, precision=cli.FLAGS.precision)
        if plain:
            recipe.update(ema_decay=0.0, label_smoothing=0.0)
        arch = arch.adapted(image_size=cli.FLAGS.image_size)
        rates = recipe.dropout, recipe.drop_connect
        evaluated = students.build_student(arch, *rates)
        model = classifier.copy_in(evaluated, recipe.precision)
        self.macs = arch.costs()["macs"]
        self._trainer = classifier.ClassifierTrainer(model, images, recipe, evaluated)
        self._folder, self._plain = folder, plain
        self._marks = []
        for name in ("update", "figures_of"):
            setattr(self._trainer, name, self._marking(getattr(self._trainer, name)))

    def _marking(self, function):
        """Returns the function with a note of the time before each call."""

        def marked(*arguments):
            self._marks.append(time.perf_counter())
            return function(*arguments)

        return marked

    def turn(self, number):
        """Trains one epoch; returns the seconds of its timed steps."""
        from dna_tf.training import tensorboard

        self._marks.clear()
        name = f"{self._folder}/{'plain' if self._plain else 'ours'}{number}"
        watcher = None if self._plain else tensorboard.Watcher(f"{name}/tensorboard", seconds=1.0)
        self._trainer.train(cli.FLAGS.seed, name, "dna_b", watcher=watcher)
        # The last mark is before the figures of the epoch, after the loop has read its sums.
        return self._marks[-1] - self._marks[LEFT_OUT]


class _Keras:
    """EfficientNet-B0 of Keras under stock compile and fit."""

    def __init__(self, images):
        import keras

        from dna_tf.models import model_costs
        from dna_tf.training import classifier

        shape = (cli.FLAGS.image_size, cli.FLAGS.image_size, 3)
        network = keras.applications.EfficientNetB0(
            weights=None, input_shape=shape, classes=CLASSES
        )
        self._model = classifier.copy_in(network, cli.FLAGS.precision)
        self._model.compile(
            keras.optimizers.RMSprop(0.001, momentum=0.9),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        self.macs = model_costs.count_macs(self._model)
        self._images = images
        self._marks = []
        mark = self._marks.append
        self._callback = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs: mark(time.perf_counter())
        )

    def turn(self, _):
        """Fits one epoch; returns the seconds of its timed steps."""
        self._marks.clear()
        self._model.fit(
            self._images.epoch(),
            steps_per_epoch=self._images.steps_per_epoch(0),
            callbacks=[self._callback],
            verbose=0,
        )
        return time.perf_counter() - self._marks[LEFT_OUT]


if __name__ == "__main__":
    cli.run(main)
