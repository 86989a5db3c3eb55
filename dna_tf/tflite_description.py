"""What an exported file says about itself, for `tflite_metadata`."""

from dna_tf import architecture, files


def architecture_of(folder):
    """The fingerprint of a student's architecture; `None` where that is not known.

    Args:
        folder: the student's, as `workdir.Workdir.student` gives it.
    """
    path = folder / "architecture.json"
    return files.fingerprint(architecture.load(path).to_dict()) if path.exists() else None


def describe(name, prepared, precision, class_names, weights, architecture_known, float_layers=()):
    """Describes a file.

    Args:
        name: how the file calls itself.
        prepared: an `export_model.Prepared`.
        precision: in words, such as `"int8"`.
        class_names: one for each score.
        weights: their fingerprint.
        architecture_known: the architecture's fingerprint, or `None`.
        float_layers: names of the layers that an int8 file keeps in float.

    Returns:
        The dict that `tflite_metadata.write` takes.
    """
    if prepared.left_out:
        taken = "(x - mean) / std of pixels x in 0..255: the file does no rescaling"
    else:
        taken = "pixels in 0..255 as they are: the file does the rescaling"
    size, _, channels = prepared.input_shape
    return {
        "name": name,
        "text": f"Image classifier of {prepared.num_outputs} classes in {precision}, made by "
        f"dna_tf. It takes {taken}.",
        "architecture": architecture_known,
        "weights": weights,
        "precision": precision,
        "image_size": size,
        "channels": channels,
        "colours": "RGB" if channels == 3 else "grey",
        "input_range": [0, 255],
        "preprocessing": "outside" if prepared.left_out else "inside",
        "preprocessing_kind": prepared.preprocessing,
        "mean": list(prepared.mean),
        "std": list(prepared.std),
        "gives": prepared.gives,
        "float_layers": list(float_layers),
        "class_names": list(class_names),
    }
