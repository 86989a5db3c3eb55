"""Export to TFLite, checked: every file is run on real images and compared with Keras."""

import numpy as np
import tensorflow as tf

from dna_tf import data, determinism, files, keras_files, litert, progress

KIND = "dna_tf.export"


def export_tflite(workdir, config, name, seed=0):
    """Exports a trained student in the config's precisions and checks each file.

    Args:
        workdir: a `workdir.Workdir` with the trained student.
        config: its config.
        name: the architecture's name.
        seed: which of its students.

    Returns:
        The content of `exports/NAME/result.json`.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a file does not agree with Keras; the files and the result are kept,
            marked as not good.
    """
    section, folder = config.export, workdir.exports / name
    trained = workdir.student_result(name, seed)
    model = keras_files.load_model(workdir.student(name, seed) / "model.keras")
    student_fingerprint = keras_files.weights_fingerprint(model)
    result_path = folder / "result.json"
    if result_path.exists():
        result = files.read_json(result_path, KIND, f"Delete {folder} and export again.")
        if result.get("student") == student_fingerprint and result["seed"] == seed:
            progress.say(f"{name} is exported already: {folder}")
            return _check_good(result, section.least_agreement)
    determinism.enable(config.seed)
    images = data.load(config.data, config.seed, workdir.path)
    tests = _first(images.images("test"), section.test_images)
    count = min(section.calibration_images, images.counts["train"])
    order = determinism.derive_seed("export", config.seed)
    calibration, _ = next(iter(images.epoch(count, 0, order, augment=False)))
    result = {
        "kind": KIND,
        "architecture": name,
        "seed": seed,
        "student": student_fingerprint,
        "keras_accuracy": trained["test_accuracy"],
        "images": len(tests[0]),
        "files": {},
    }
    for precision in section.precisions:
        content = convert(model, precision, calibration.numpy())
        files.write_bytes(folder / f"{precision}.tflite", content)
        row = compare(model, content, *tests)
        row["good"] = row["agreement"] >= section.least_agreement
        result["files"][precision] = {"file": f"{precision}.tflite", **row}
        progress.say(
            f"{name} {precision}: {len(content):,} bytes, accuracy {100 * row['accuracy']:.1f} %, "
            f"top-1 agreement with Keras {100 * row['agreement']:.1f} %, "
            f"largest difference {row['largest_difference']:.3g}"
        )
    files.write_json(result_path, result)
    return _check_good(result, section.least_agreement)


def convert(model, precision, calibration):
    """Converts a Keras model to a TFLite file with batch 1.

    Args:
        model: a functional `keras.Model` from images in 0..255 to scores.
        precision: `"float32"`, `"float16"` (weights), `"dynamic"` (8-bit weights) or
            `"int8"` (8-bit weights and activations, int8 input and output).
        calibration: images `(images, height, width, channels)` for int8 ranges.

    Returns:
        The bytes of the file.
    """
    signature = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    function = tf.function(lambda x: model(x, training=False))
    # The converter must not be given the Keras model too: it would then read Keras 3's
    # variables wrongly and write NaN.
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(signature)], None
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return converter.convert()


def compare(model, content, images, labels):
    """Runs a TFLite file beside its Keras model.

    Args:
        model: the Keras model.
        content: the bytes of the TFLite file.
        images: float32 array `(images, height, width, channels)` in 0..255.
        labels: int array `(images,)`.

    Returns:
        A dict: `bytes`, `accuracy` and `agreement` (share of images with the same
        top-1 answer), and `largest_difference` of any score.
    """
    expected = np.asarray(model.predict(images, batch_size=100, verbose=0))
    scores = litert.Predictor(content, "the exported file").scores(images)
    return {
        "bytes": len(content),
        "accuracy": float(np.mean(scores.argmax(-1) == labels)),
        "agreement": float(np.mean(scores.argmax(-1) == expected.argmax(-1))),
        "largest_difference": float(np.max(np.abs(scores - expected))),
    }


def _first(dataset, count):
    images, labels = next(dataset.take(count).batch(count).as_numpy_iterator())
    return images, labels


def _check_good(result, least):
    bad = {p: row["agreement"] for p, row in result["files"].items() if not row["good"]}
    if bad:
        shown = ", ".join(f"{p} {100 * agreement:.1f} %" for p, agreement in bad.items())
        raise ValueError(
            f"The exported {result['architecture']!r} does not agree with Keras: {shown}; at "
            f"least {100 * least:.1f} % of the answers must be the same. Use more "
            "config.export.calibration_images, another precision, or a space with "
            "activation='relu6' and se_ratio=0; or lower config.export.least_agreement knowingly."
        )
    return result
