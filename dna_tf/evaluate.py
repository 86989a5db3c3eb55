"""Evaluation of any model on the test split: Keras files, TFLite files, a workdir's own."""

import numpy as np

from dna_tf import accuracy, data, determinism, files, keras_files, litert, progress

KIND = "dna_tf.evaluation"


def evaluate(workdir, config, model_path):
    """Measures the accuracy of a model file on the test split of the config's data.

    Images go in as everywhere in this project: 0..255, resized and cropped as the
    config says; the model does its own rescaling.

    Args:
        workdir: a `workdir.Workdir`; the result goes to its `evaluations/`.
        config: its config.
        model_path: a `.keras` or `.tflite` file.

    Returns:
        The content of the result file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be loaded, or does not fit the data.
    """
    path = files.as_path(model_path)
    if path.suffix not in (".keras", ".tflite"):
        raise ValueError(f"A model to evaluate is a .keras or .tflite file. Received: {path}")
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    determinism.enable(config.seed)
    predict = _tflite(path) if path.suffix == ".tflite" else _keras(path)
    images = data.load(config.data, config.seed, workdir.path)
    check_shapes(predict, images, path)
    count = images.counts["test"]
    correct = total = 0
    with images.reading(), progress.bar("evaluate", count, "image") as shown:
        for batch, labels in images.images("test", batch_size=100).as_numpy_iterator():
            correct += int(np.sum(predict.scores(batch).argmax(-1) == labels))
            total += len(labels)
            shown.update(len(labels))
    result = {
        "kind": KIND,
        "model": str(path),
        "test_accuracy": correct / total,
        "test_correct": correct,
        "test_images": total,
        "data_fingerprint": images.fingerprint,
    }
    name = "_".join(path.with_suffix("").parts[-3:]) + path.suffix.replace(".", "_")
    files.write_json(workdir.evaluations / f"{name}.json", result)
    progress.say(f"{path}: accuracy {accuracy.describe(correct, total)}")
    return result


class _KerasPredictor:
    """Scores of a Keras model, with the shapes that a check needs."""

    def __init__(self, model):
        self._model = model
        self.input_shape = tuple(model.input_shape[1:])
        self.num_outputs = int(model.output_shape[-1])

    def scores(self, batch):
        return self._model.predict_on_batch(batch)


def _keras(path):
    return _KerasPredictor(keras_files.load_model(path))


def _tflite(path):
    return litert.Predictor(path.read_bytes(), str(path))


def check_shapes(predict, images, path):
    """Checks that a model takes the data's images and has one output per class.

    Raises:
        ValueError: it does not; the message has both sides.
    """
    takes, gives = predict.input_shape, predict.num_outputs
    fits = len(takes) == len(images.image_shape) and all(
        a is None or a == b for a, b in zip(takes, images.image_shape, strict=True)
    )
    if not fits or gives != images.num_classes:
        raise ValueError(
            f"The model {path} takes {takes} and gives {gives} scores, and the data has images "
            f"of {images.image_shape} and {images.num_classes} classes. Choose the data that the "
            "model was trained for."
        )
