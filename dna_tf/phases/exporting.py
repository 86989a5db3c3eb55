"""Exports the students of a run, or any Keras model file, and reports which layers int8 hurts."""

import numpy as np

from dna_tf import workdirs
from dna_tf.common import checks, commands, files, locks, progress
from dna_tf.config import run_config
from dna_tf.data import loading
from dna_tf.evaluation import model_checks
from dna_tf.export import (
    conversion,
    export_images,
    exporter,
    other_formats,
    prepare,
    quantization_error,
)
from dna_tf.models import graph, keras_files
from dna_tf.phases import model_files
from dna_tf.space import architectures
from dna_tf.training import determinism

# Fields that must agree for a saved result to be reused.
_IDENTITY = ("student", "seed", "asked")


def export_tflite(workdir, config, name, seed=0, folder=None):
    """Exports a trained student in the config's precisions and checks each file.

    Args:
        workdir: a `workdirs.Workdir` with the trained student.
        config: its config.
        name: the architecture's name.
        seed: which of its students.
        folder: where the files go; `None` is the workdir's own for them.

    Returns:
        The content of `result.json` there.

    Raises:
        FileNotFoundError: the student was not trained.
        ValueError: a setting cannot be met; the model cannot be converted; a file does not
            agree with Keras: the files and the result are then kept, marked as not good.
    """
    other_formats.check(config.export.also)
    place = workdir.student(name, seed)
    trained = workdir.student_result(name, seed)
    return _export(
        keras_files.load_model(place / "model.keras"),
        name,
        seed,
        config,
        workdir.exported(name, seed) if folder is None else files.as_path(folder),
        workdir.path,
        architecture_fingerprint(place),
        trained["test_accuracy"],
    )


def export_file(path, config, folder, workdir=None, name=None, source="", image_size=0):
    """Exports any Keras classifier as `export_tflite` does a student.

    Args:
        path: a `.keras` file of a functional model from images in 0..255 to scores.
        config: the config; its data are the images for ranges and for the comparison, at
            the model's own size.
        folder: where the files go.
        workdir: the `workdirs.Workdir` of the config, or `None`.
        name: what result and files call it; `None` takes the name of the file.
        source: of other images, such as `"folder:images"`.
        image_size: height and width in pixels for a model that takes any size.

    Returns:
        The content of `result.json` there.

    Raises:
        FileNotFoundError, ValueError: as `export_tflite`.
    """
    other_formats.check(config.export.also)
    path = files.as_path(path)
    model = keras_files.load_model(path, workdirs.modules(workdir, config))
    if source:
        config = model_files.config_for(config, graph.functional(model), path, source, image_size)
    cache_dir = None if workdir is None else workdir.path
    return _export(model, name or path.stem, 0, config, files.as_path(folder), cache_dir)


def _export(model, name, seed, config, folder, cache_dir, architecture=None, trained_accuracy=None):
    """Exports a model, or returns the result of the same export.

    Args:
        model: the `keras.Model`.
        name, seed: what result and files call it.
        config: the config.
        folder: where the files go.
        cache_dir: as for `loading.load`.
        architecture: the architecture's fingerprint, if it is known.
        trained_accuracy: the accuracy on all test images, if it was measured.
    """
    # 1. Is the same export there already?
    identity = _identity(model, name, seed, config)
    finished = _finished(folder, identity)
    if finished is not None:
        progress.say(f"{name} is exported already: {folder}")
        return check_good(finished, config.export.least_agreement)
    with locks.hold(folder / "result.json", f"The export in {folder}"):
        return _write(model, identity, config, folder, cache_dir, architecture, trained_accuracy)


def _write(model, identity, config, folder, cache_dir, architecture, trained_accuracy):
    """Exports a model; the arguments are those of `_export`, and the fields that identify it."""
    section, name = config.export, identity["architecture"]
    # 2. The model and the images. The layers' names are checked before images are read.
    determinism.enable(config.seed)
    prepared = _prepared(model, config)
    images = _images(config, prepared, name, cache_dir)
    calibration = export_images.calibration(
        images,
        section.precisions,
        section.calibration_images,
        config.seed,
        "config.export.calibration_images",
    )
    reference = exporter.reference(prepared, images, section.test_images)
    size = prepared.input_shape[0]
    if size != config.data.image_size or trained_accuracy is None:
        progress.say(
            f"{name} at {size}x{size}: Keras has accuracy {100 * reference.accuracy:.1f} % on the "
            f"{len(reference.labels)} test images"
        )
    # 3. The TFLite files, and the other formats. An earlier result does not describe them.
    (folder / "result.json").unlink(missing_ok=True)
    exported, problems = exporter.write_files(
        prepared,
        section.precisions,
        folder,
        reference,
        prepared.images(calibration),
        name=name,
        class_names=images.class_names,
        weights=identity["student"],
        architecture=architecture,
        int8_io=section.int8_io,
        per_channel=section.per_channel,
        float_layers=section.float_layers,
    )
    also = {
        kind: other_formats.write(
            prepared.model, kind, folder, reference.images, reference.scores, prepared.images
        )
        for kind in section.also
    }
    # 4. The result, which is kept even if a file is not good.
    result = identity | {
        "keras_accuracy": reference.accuracy if trained_accuracy is None else trained_accuracy,
        "keras_test_accuracy": reference.accuracy,
        "images": len(reference.labels),
        "image_size": size,
        "calibration_images": len(calibration),
        "files": {file.precision: _row(file, section.least_agreement) for file in exported},
        **({"problems": problems} if problems else {}),
        **({"also": also} if also else {}),
    }
    files.write_json(folder / "result.json", result)
    return check_good(result, section.least_agreement)


def _identity(model, name, seed, config):
    """The fields that identify an export."""
    plain = run_config.without_added_fields(run_config.to_plain(config))
    return {
        "kind": workdirs.EXPORT_KIND,
        "architecture": name,
        "seed": seed,
        "student": keras_files.weights_fingerprint(model),
        "asked": {"export": plain["export"], "data": plain["data"], "seed": plain["seed"]},
    }


def _finished(folder, identity):
    """The result in a folder if it is of the same export and its files exist, or `None`."""
    path = folder / "result.json"
    if not path.exists():
        return None
    hint = f"Take another folder by --output, or delete {path} if it is of no use."
    result = files.read_json(path, workdirs.EXPORT_KIND, hint)
    rows = result["files"] | result.get("also", {})
    # Results of earlier versions have no settings: these are not compared.
    same = all(result.get(key, identity[key]) == identity[key] for key in _IDENTITY)
    names = [checks.check_file_name(f"a file in {path}", row["file"]) for row in rows.values()]
    complete = all((folder / name).exists() for name in names)
    return result if same and complete else None


def _prepared(model, config):
    """The model as the files hold it; refuses names in `float_layers` that it does not have."""
    section = config.export
    prepared = prepare.prepare(
        model,
        section.image_size,
        section.preprocessing,
        section.split_large_kernels,
        open_size=config.data.image_size,
    )
    conversion.check_float_layers(prepared.model, section.float_layers)
    return prepared


def _images(config, prepared, name, cache_dir):
    """The config's data at the size of the exported model, checked to fit it."""
    section = config.data.copy_and_resolve_references()
    with section.unlocked():
        section.image_size = prepared.input_shape[0]
    images = loading.load(section, config.seed, cache_dir)
    model_checks.check_shapes(prepared, images, name)
    return images


def _row(file, least_agreement):
    return {
        "file": file.path.name,
        "bytes": file.bytes,
        "accuracy": file.accuracy,
        "agreement": file.agreement,
        "largest_difference": file.largest_difference,
        "good": file.agreement >= least_agreement,
        "operators": file.operators,
        "commonly_refused": file.commonly_refused,
    }


def architecture_fingerprint(folder):
    """The fingerprint of a student's architecture; `None` if its folder has none.

    Args:
        folder: the student's, as `workdirs.Workdir.student` gives it.
    """
    path = folder / "architecture.json"
    return files.fingerprint(architectures.load(path).to_dict()) if path.exists() else None


def check_good(result, least_agreement):
    """Returns the result of an export after checking that its files are good.

    Args:
        result: the content of `result.json`.
        least_agreement: as in `config.export`.

    Raises:
        ValueError: a file is useless or does not agree with Keras.
    """
    rows = result["files"] | result.get("also", {})
    try:
        exporter.check_good(
            result["architecture"], rows, result.get("problems", {}), least_agreement
        )
    except ValueError as error:
        raise ValueError(
            f"{error} These settings are in config.export. To see which layers hurt: "
            f"{commands.line('quantization_report')}; what Keras answers: "
            f"{commands.line('evaluate')}"
        ) from error
    return result


def report(path, config, output, workdir=None, name=None, num_images=100, most_tried=0):
    """Measures, prints and writes which layers hurt a model under int8.

    Args:
        path: a `.keras` file of a functional model from images in 0..255 to scores.
        config: the config, whose data and `export` section are used: training images for
            ranges, rating images for the errors.
        output: the JSON file to write.
        workdir: the `workdirs.Workdir` of the config, or `None`.
        name: what the report calls the model; `None` takes the file's name.
        num_images: rating images, at most.
        most_tried: as for `quantization_error.measure`.

    Returns:
        The content of the file: that of `quantization_error.measure`, `model`, `student`
        (the fingerprint of the weights), and `float_ends`: whether the first or the last
        operator is among those to keep in float.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the model cannot be loaded or converted, does not fit the data, or
            there are too few images.
    """
    section = config.export
    model = keras_files.load_model(path, workdirs.modules(workdir, config))
    name = name or path.stem
    prepared = _prepared(model, config)
    determinism.enable(config.seed)
    images = _images(config, prepared, name, workdir and workdir.path)
    calibration = export_images.calibration(
        images,
        ("int8",),
        section.calibration_images,
        config.seed,
        "config.export.calibration_images",
    )
    pixels, _ = export_images.first(images, "rating", num_images)
    expected = np.asarray(prepared.whole.predict(pixels, batch_size=100, verbose=0))
    result = quantization_error.measure(
        prepared.model,
        prepared.images(calibration),
        prepared.images(pixels.astype(np.float32)),
        expected,
        most_tried,
        section.per_channel,
        section.least_agreement,
        tuple(section.float_layers),
    )
    nodes = graph.nodes(graph.functional(prepared.model))
    ends = {nodes[-1].name} | {node.name for node in nodes if 0 in node.reads}
    in_float = {*result["float_layers"], *result["kept_in_float"]}
    result |= {
        "model": name,
        "student": keras_files.weights_fingerprint(model),
        "float_ends": bool(ends & in_float),
    }
    for line in quantization_error.table(result):
        progress.say(line)
    files.write_json(output, result)
    progress.say(f"Written: {output}")
    return result
