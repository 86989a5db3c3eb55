"""Compares the speed of evaluation with that of `model.predict`, on the same model and images.

    python -m benchmarks.evaluation --json
    python -m benchmarks.evaluation --model=lite0.keras --json

Both run in turns in one process, on batches in memory. The first round of each, which compiles, is
left out. It prints:

* predict_images_per_s: `model.predict(dataset)`, which gives the scores and counts nothing.
* evaluate_images_per_s: what `tools.evaluate` does with a batch: scores and all counts.
* evaluate_over_predict: the median over rounds of the ratio of the two speeds.
"""

import contextlib
import statistics
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("model", "", "A .keras file; without one a fresh dna_a.")
flags.DEFINE_integer("images", 200, "Images of a round.", lower_bound=10)
flags.DEFINE_integer("batch_size", 50, "Images of a batch.", lower_bound=1)
flags.DEFINE_integer("rounds", 5, "Rounds of each.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds the images.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")


def main():
    """Runs the benchmark."""
    machine.check_no_workdir()
    figures = _measure(cli.FLAGS)
    machine.report(figures, cli.FLAGS.seed)


def _measure(settings):
    import tempfile

    import numpy as np
    import tensorflow as tf

    from dna_tf.evaluation import evaluation_images, measuring
    from dna_tf.models import inference, keras_files, students
    from dna_tf.space import zoo

    with tempfile.TemporaryDirectory() as folder:
        path = settings.model
        if not path:
            path = f"{folder}/dna_a.keras"
            keras_files.save_model(students.build_student(zoo.get_architecture("dna_a")), path)
        predictor = inference.open_model(path)
    shape, rng = predictor.input_shape, np.random.RandomState(settings.seed)
    pictures = rng.randint(0, 256, (settings.images, *shape)).astype(np.float32)
    labels = rng.randint(0, predictor.num_outputs, settings.images).astype(np.int32)
    dataset = tf.data.Dataset.from_tensor_slices((pictures, labels))
    dataset = dataset.batch(settings.batch_size).prefetch(2)
    images = evaluation_images.EvaluationImages(
        name="random",
        image_shape=shape,
        crop_fraction=1.0,
        interpolation="bilinear",
        num_classes=predictor.num_outputs,
        class_names=None,
        count=len(labels),
        label_range=(0, predictor.num_outputs - 1),
        fingerprint="",
        label_offset=None,
        seen_in_training=False,
        dataset=lambda batch_size: dataset,
        reading=contextlib.nullcontext,
    )
    without_labels = dataset.map(lambda image, label: image)

    def predict_s():
        started = time.perf_counter()
        predictor.model.predict(without_labels, verbose=0)
        return time.perf_counter() - started

    def evaluate_s():
        started = time.perf_counter()
        measuring.measure(predictor, images, batch_size=settings.batch_size)
        return time.perf_counter() - started

    times = [(predict_s(), evaluate_s()) for _ in range(settings.rounds + 1)][1:]
    return {
        "images": settings.images,
        "predict_images_per_s": round(settings.images / statistics.median(p for p, _ in times), 1),
        "evaluate_images_per_s": round(settings.images / statistics.median(e for _, e in times), 1),
        "evaluate_over_predict": round(statistics.median(p / e for p, e in times), 3),
    }


if __name__ == "__main__":
    cli.run(main)
