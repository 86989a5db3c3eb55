"""Export to TFLite, checked: every file is run on real images and compared with Keras."""
# MERGED: "The report of what each layer costs under int8, made of a m

import dataclasses

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, progress
from dna_tf.config import export_sections, run_config
from dna_tf.export import (
    agreement,
    conversion,
    export_images,
    metadata,
    operators,
    other_formats,
    prepare,
    quantization_error,
)
from dna_tf.models import graph, keras_files
from dna_tf.training import determinism

# What a result must be of, to be the one that is asked for.
_ASKED = ("student", "seed", "asked")
convert = conversion.convert


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
        ValueError: what the config asks for cannot be had; the model cannot be converted;
            a file does not agree with Keras: the files and the result are then kept,
            marked as not good.
    """
    other_formats.check(config.export.also)
    place = workdir.student(name, seed)
    trained = workdir.student_result(name, seed)
    model = keras_files.load_model(place / "model.keras")
    job = _Job(
        model=model,
        name=name,
        seed=seed,
        config=config,
        folder=workdir.exported(name, seed) if folder is None else files.as_path(folder),
        cache_dir=workdir.path,
        architecture=metadata.architecture_of(place),
        keras_accuracy=trained["test_accuracy"],
    )
    return job.run()


def export_file(path, config, folder, workdir=None):
    """Exports any Keras classifier as `export_tflite` does a student.

    Args:
        path: a `.keras` file of a functional model from images in 0..255 to scores.
        config: the config; its data are the images for ranges and for the comparison, at
            the model's own size.
        folder: where the files go.
        workdir: the `workdirs.Workdir` of the config, or `None`.

    Returns:
        The content of `result.json` there.

    Raises:
        FileNotFoundError, ValueError: as `export_tflite`.
    """
    other_formats.check(config.export.also)
    path = files.as_path(path)
    job = _Job(
        model=keras_files.load_model(path, config.teacher.modules),
        name=path.stem,
        seed=0,
        config=config,
        folder=files.as_path(folder),
        cache_dir=None if workdir is None else workdir.path,
    )
    return job.run()


@dataclasses.dataclass
class _Job:
    """One model that is exported.

    Args:
        model: the `keras.Model`.
        name, seed: what result and files call it.
        config: the config.
        folder: where the files go.
        cache_dir: as for `loading.load`.
        architecture: the architecture's fingerprint, where it is known.
        keras_accuracy: on all test images, where that was measured.
    """

    model: object
    name: str
    seed: int
    config: object
    folder: object
    cache_dir: object
    architecture: str | None = None
    keras_accuracy: float | None = None

    def run(self):
        section, path = self.config.export, self.folder / "result.json"
        head = self._head()
        if path.exists():
            hint = f"Take another folder by --output, or delete {path} if it is of no use."
            there = files.read_json(path, workdirs.EXPORT_KIND, hint)
            rows = there["files"] | there.get("also", {})
            made = [self.folder / row["file"] for row in rows.values()]
            # Results of earlier versions say nothing of settings.
            same = all(there.get(key, head[key]) == head[key] for key in _ASKED)
            if same and all(file.exists() for file in made):
                progress.say(f"{self.name} is exported already: {self.folder}")
                return _check_good(there, section.least_agreement)
        determinism.enable(self.config.seed)
        # The layers' names are checked before images are read and files converted.
        prepared = prepare.prepare(
            self.model,
            section.image_size,
            section.preprocessing,
            section.split_large_kernels,
            open_size=self.config.data.image_size,
        )
        conversion.check_float_layers(prepared.model, section.float_layers)
        images = export_images.load(self.config, prepared, self.name, self.cache_dir)
        count = 0
        if set(section.precisions) & set(export_sections.CALIBRATED):
            count = export_images.calibration_count(images, section.calibration_images)
        calibration = prepared.images(export_images.calibration(self.config, images, count))
        tests = export_images.first(images, "test", section.test_images)
        expected = np.asarray(prepared.whole.predict(tests[0], batch_size=100, verbose=0))
        accuracy = float(np.mean(expected.argmax(-1) == tests[1]))
        size = prepared.input_shape[0]
        result = head | {
            "keras_accuracy": accuracy if self.keras_accuracy is None else self.keras_accuracy,
            "keras_test_accuracy": accuracy,
            "images": len(tests[0]),
            "image_size": size,
            "calibration_images": len(calibration),
            "files": {},
        }
        if size != self.config.data.image_size or self.keras_accuracy is None:
            progress.say(
                f"{self.name} at {size}x{size}: Keras has accuracy {100 * accuracy:.1f} % on the "
                f"{len(tests[0])} test images"
            )
        shown = set()
        for precision in section.precisions:
            content = self._convert(prepared, precision, calibration, images.class_names)
            files.write_bytes(self.folder / f"{precision}.tflite", content)
            scores = agreement.scores(content, prepared.images(tests[0]))
            problem = agreement.problem(scores, expected)
            if problem:
                result.setdefault("problems", {})[precision] = problem
                continue
            row = agreement.compare(content, scores, expected, tests[1])
            row["good"] = row["agreement"] >= section.least_agreement
            inspected = operators.inspect(content)
            result["files"][precision] = {"file": f"{precision}.tflite", **row, **inspected}
            progress.say(
                f"{self.name} {precision}: {len(content):,} bytes, accuracy "
                f"{100 * row['accuracy']:.1f} % (Keras {100 * accuracy:.1f} %), "
                f"top-1 agreement with Keras {100 * row['agreement']:.1f} %, "
                f"largest difference {row['largest_difference']:.3g}"
            )
            for line in operators.lines(inspected, shown):
                progress.say(f"  {line}")
            shown |= {each["reason"] for each in inspected["commonly_refused"]}
        for kind in section.also:
            row = other_formats.write(
                prepared.model, kind, self.folder, prepared.images(tests[0]), expected
            )
            result.setdefault("also", {})[kind] = row
        files.write_json(path, result)
        return _check_good(result, section.least_agreement)

    def _head(self):
        """What says which export it is."""
        plain = run_config.to_plain(self.config)
        return {
            "kind": workdirs.EXPORT_KIND,
            "architecture": self.name,
            "seed": self.seed,
            "student": keras_files.weights_fingerprint(self.model),
            "asked": {"export": plain["export"], "data": plain["data"], "seed": plain["seed"]},
        }

    def _convert(self, prepared, precision, calibration, class_names):
        section = self.config.export
        content = convert(
            prepared.model,
            precision,
            calibration,
            section.int8_io,
            section.per_channel,
            tuple(section.float_layers),
        )
        description = metadata.describe(
            self.name,
            prepared,
            precision,
            class_names,
            keras_files.weights_fingerprint(self.model),
            self.architecture,
            section.float_layers if precision == "int8" else (),
        )
        return metadata.write(content, description)


def _check_good(result, least):
    if result.get("problems"):
        shown = "; ".join(f"{p} {problem}" for p, problem in result["problems"].items())
        raise ValueError(
            f"The exported {result['architecture']!r} is of no use: {shown}. Look at the weights "
            "and at what Keras answers (python -m tools.evaluate); if only int8 is so, take "
            "config.export.calibration_images that show the range of the data, int16, or see which "
            "layers hurt: python -m tools.quantization_report"
        )
    bad = agreement.least_agreement_problem(result["files"] | result.get("also", {}), least)
    if bad:
        raise ValueError(
            f"The exported {result['architecture']!r} does not agree with Keras: {bad}. Use more "
            "config.export.calibration_images, another precision, or a space with "
            "activation='relu6' and se_ratio=0; with kernels of 7x7 and int8, leave them whole by "
            "config.export.split_large_kernels=False (slower, and rounded once); see "
            "which layers hurt with python -m tools.quantization_report; or lower "
            "config.export.least_agreement knowingly."
        )
    return result


def report(path, config, output, workdir=None, name=None, num_images=100, tried=0):
    """Measures, prints and writes which layers hurt a model under int8.

    Args:
        path: a `.keras` file of a functional model from images in 0..255 to scores.
        config: the config, whose data and `export` section are used: training images for
            ranges, rating images for the errors.
        output: the JSON file to write.
        workdir: the `workdirs.Workdir` of the config, or `None`.
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
    prepared = prepare.prepare(
        model,
        section.image_size,
        section.preprocessing,
        section.split_large_kernels,
        open_size=config.data.image_size,
    )
    conversion.check_float_layers(prepared.model, section.float_layers)
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
    nodes = graph.nodes(graph.functional(prepared.model))
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
