"""The report of what each layer costs under int8, made of a model file and a config's data."""

import numpy as np

from dna_tf import (
    determinism,
    export_images,
    export_model,
    files,
    keras_files,
    model_graph,
    progress,
    quantization_error,
    tflite_convert,
)


def report(path, config, output, workdir=None, name=None, num_images=100, tried=0):
    """Measures, prints and writes which layers hurt a model under int8.

    Args:
        path: a `.keras` file of a functional model from images in 0..255 to scores.
        config: the config, whose data and `export` section are used: training images for
            ranges, rating images for the errors.
        output: the JSON file to write.
        workdir: the `workdir.Workdir` of the config, or `None`.
        name: how the report calls the model; `None` takes the file's.
        num_images: rating images, at most.
        tried: as for `quantization_error.measure`.

    Returns:
        The content of the file: that of `quantization_error.measure`, `model`, `student`
        (the weights' fingerprint), and `float_ends`, whether the first or last operator is
        among those to keep in float.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model cannot be loaded or converted, does not fit the data, or the
            images are too few.
    """
    model = keras_files.load_model(path, config.teacher.modules)
    name, section = name or path.stem, config.export
    prepared = export_model.prepare(
        model,
        section.image_size,
        section.preprocessing,
        section.split_large_kernels,
        open_size=config.data.image_size,
    )
    tflite_convert.check_float_layers(prepared.model, section.float_layers)
    determinism.enable(config.seed)
    images = export_images.load(config, prepared, name, workdir and workdir.path)
    count = export_images.calibration_count(images, section.calibration_images)
    calibration = prepared.images(export_images.calibration(config, images, count))
    shown, _ = export_images.first(images, "rating", num_images)
    expected = np.asarray(prepared.whole.predict(shown, batch_size=100, verbose=0))
    result = quantization_error.measure(
        prepared.model,
        calibration,
        prepared.images(shown),
        expected,
        tried,
        section.per_channel,
        section.least_agreement,
        tuple(section.float_layers),
    )
    nodes = model_graph.nodes(model_graph.functional(prepared.model))
    ends = {nodes[-1].name} | {node.name for node in nodes if 0 in node.reads}
    kept = {*result["float_layers"], *result["kept_in_float"]}
    result |= {
        "model": name,
        "student": keras_files.weights_fingerprint(model),
        "float_ends": bool(ends & kept),
    }
    for line in quantization_error.table(result):
        progress.say(line)
    files.write_json(output, result)
    progress.say(f"Written: {output}")
    return result
