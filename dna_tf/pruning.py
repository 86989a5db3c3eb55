"""Magnitude pruning: half of a student's weights become zero, and it learns to do without.

Zeros save no time in an int8 or float32 file on a phone by themselves; they save bytes
where the file is sent or stored compressed. That is what is measured here.
"""

import gzip

import numpy as np
import tensorflow as tf

from dna_tf import (
    accuracy,
    compression_runs,
    data,
    determinism,
    export_images,
    files,
    fine_tuning,
    keras_files,
    progress,
    quantization_graph,
    tf_keras_bridge,
    tflite_convert,
    tflite_failures,
)

KIND = "dna_tf.pruned"
VERSION = 1
# When the sparsity is reached, as a share of the training, and in how many rises: the
# rest of the steps repairs what the last rise broke. Source: our choice.
_RISE = 0.6
_RISES = 20


def prune(workdir, config, name, seed=0):
    """Prunes a trained student and measures what that costs and saves.

    Args:
        workdir: a `workdir.Workdir` with the trained student.
        config: its config; the settings are its `prune` section.
        name: the architecture's name.
        seed: which of its students.

    Returns:
        The content of `pruned.json` in the folder of the student's exports, beside which
        `pruned.keras` lies.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a package is missing, nothing can be pruned, or there are too few
            images.
    """
    section, folder = config.prune, workdir.exported(name, seed)
    start = compression_runs.start(
        workdir, config, name, seed, "prune", VERSION,
        calibration_images=config.export.calibration_images,
    )  # fmt: skip
    model, result_path = start.model, folder / "pruned.json"
    known = compression_runs.finished(result_path, KIND, start.made_from, f"{name} is pruned")
    if known is not None:
        return known
    determinism.enable(config.seed)
    images = data.load(config.data, config.seed, workdir.path)
    count = export_images.calibration_count(images, config.export.calibration_images)
    steps = section.epochs * images.steps_per_epoch(section.batch_size)
    pruned = PrunedModel(model, section.sparsity, steps)
    training = folder / f"pruning_{start.made_from}"
    run_seed = determinism.derive_seed("prune", config.seed, seed)
    label = f"{name} seed {seed} pruned"
    history = fine_tuning.fine_tune(label, training, pruned.model, images, section, run_seed)
    made = pruned.strip()
    with images.reading():
        counts = [
            accuracy.count_correct(each, images.images("test", batch_size=100))
            for each in (model, made)
        ]
    (correct_before, total), (correct_after, _) = counts
    calibration = export_images.calibration(config, images, count)
    progress.say(f"Converting {name} before and after, to measure bytes")
    result = {
        "kind": KIND,
        "architecture": name,
        "seed": seed,
        "student": start.fingerprint,
        "data_fingerprint": images.fingerprint,
        "made_from": start.made_from,
        "file": "pruned.keras",
        "fingerprint": keras_files.weights_fingerprint(made),
        "target_sparsity": section.sparsity,
        "epochs": section.epochs,
        "batch_size": section.batch_size,
        "learning_rate": section.learning_rate,
        "sparsity": layer_sparsity(made, pruned.names),
        "sparsity_of_all_weights": _share_of_zeros(made.get_weights()),
        "test_images": total,
        "accuracy_before": correct_before / total,
        "accuracy_after": correct_after / total,
        "bytes_before": file_bytes(model, calibration),
        "bytes_after": file_bytes(made, calibration),
        "history": history,
    }
    keras_files.save_model(made, folder / result["file"])
    files.write_json(result_path, result)
    training.rmtree()
    _say(result, correct_before, correct_after)
    return result


class PrunedModel:
    """A `tf_keras` twin of a model whose pointwise convolutions and dense layers lose weights.

    The smallest weights of each such layer are held at zero; their share rises from none
    to the sparsity by tfmot's cubic `PolynomialDecay`. Depthwise kernels, the first
    convolution, biases and batch norms stay dense.

    Args:
        model: a functional `keras.Model`.
        sparsity: share of zeros at the end, in (0, 1).
        steps: steps that the training will have.

    Attributes:
        model: the `tf_keras.Model` to train.
        names: the names of the pruned layers.

    Raises:
        ValueError: there is no such layer, or a layer is not supported.
    """

    def __init__(self, model, sparsity, steps):
        sparsity_api = tf_keras_bridge.import_tfmot().sparsity.keras
        self._original = model
        layers = quantization_graph.without_identities(tf_keras_bridge.read(model))
        self.names = [layer.name for layer in layers if _is_prunable(layer)]
        if not self.names:
            raise ValueError(
                f"The model {model.name!r} has no pointwise (1x1) convolution and no dense layer, "
                "and only these are pruned. Give a student, or a model with such layers."
            )
        every = max(1, int(_RISE * steps) // _RISES)
        rise = max(every, int(_RISE * steps) // every * every)
        schedule = sparsity_api.PolynomialDecay(0.0, sparsity, 0, rise, frequency=every)
        self._wrappers = []

        def wrap(made, layer):
            if layer.name not in self.names:
                return made
            self._wrappers.append(sparsity_api.prune_low_magnitude(made, schedule))
            return self._wrappers[-1]

        self.model = tf_keras_bridge.build(layers, f"{model.name}_pruning", wrap)
        for wrapper in self._wrappers:
            wrapper.pruning_step.assign(0)  # what tfmot's callback of `fit` would do

    def strip(self):
        """The Keras model with the weights as they are now, zeros where they are pruned."""
        for wrapper in self._wrappers:
            wrapper.pruning_obj.weight_mask_op()  # the last step moved what was zero
        return tf_keras_bridge.to_keras(self.model, self._original)


def _is_prunable(layer):
    if layer.kind == "Conv2D":
        return tuple(layer.weights[0].shape[:2]) == (1, 1)
    return layer.kind == "Dense"


def layer_sparsity(model, names):
    """The share of zeros in the kernels of layers: a dict by name."""
    return {name: _share_of_zeros([np.asarray(model.get_layer(name).kernel)]) for name in names}


def _share_of_zeros(arrays):
    zeros = sum(int(np.sum(array == 0)) for array in arrays)
    return zeros / sum(array.size for array in arrays)


def file_bytes(model, calibration):
    """Sizes of a model's TFLite files, plain and under gzip.

    Args:
        model: a functional `keras.Model`.
        calibration: images for int8 ranges.

    Returns:
        A dict from `"float32"`, `"int8"` and `"sparse"` (float32 in TFLite's own sparse
        form) to `{"file": bytes, "gzip": bytes}`; `"sparse"` has `None` for a model that
        the converter does not take in that form.
    """
    contents = {
        "float32": tflite_convert.convert(model, "float32", calibration),
        "int8": tflite_convert.convert(model, "int8", calibration),
        "sparse": sparse_tflite(model),
    }
    return {
        form: None
        if content is None
        else {"file": len(content), "gzip": len(gzip.compress(content, 9, mtime=0))}
        for form, content in contents.items()
    }


def sparse_tflite(model):
    """A float32 TFLite file that keeps sparse weights in sparse form, or `None`."""
    converter = tflite_convert.make_converter(model, "float32", None)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    try:
        return converter.convert()
    except tflite_failures.FAILURES as error:
        progress.warn(f"no sparse TFLite file: {tflite_failures.reason(error)}")
        return None


def _say(result, correct_before, correct_after):
    name, total = result["architecture"], result["test_images"]
    before, after = result["bytes_before"], result["bytes_after"]
    progress.say(f"{name} before: accuracy {accuracy.describe(correct_before, total)}")
    progress.say(
        f"{name} pruned: accuracy {accuracy.describe(correct_after, total)}, "
        f"{100 * result['sparsity_of_all_weights']:.1f} % of all weights are zero"
    )
    for form in ("float32", "int8", "sparse"):
        if before[form] and after[form]:
            progress.say(
                f"{name} {form} file: {before[form]['file']:,} -> {after[form]['file']:,} bytes, "
                f"gzipped {before[form]['gzip']:,} -> {after[form]['gzip']:,}"
            )
