"""The results of a finished run in a form that is equal, to the bit, for runs of one seed."""

import json
import pathlib

import keras

# Fields with the time that work took.
_TIMES = {
    "dna_tf.student": ("seconds",),
    "dna_tf.evaluation": ("seconds", "images_per_second"),
}


def results(folder):
    """The results of a run in a folder, without checkpoints and report.

    Returns:
        A dict from relative path to content: bytes, JSON without times, or the weights of a
        Keras file.
    """
    folder, contents = pathlib.Path(folder), {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        has_times = {"checkpoints", "tensorboard"} & set(path.parts)
        if path.is_dir() or has_times or name == "report.html":
            continue
        if path.suffix == ".keras" and ".tmp" not in path.suffixes:
            contents[name] = _weights(path)
        elif path.suffix == ".json":
            content = json.loads(path.read_text())
            for key in _TIMES.get(content["kind"], ()):
                content.pop(key)
            contents[name] = json.dumps(content)
        else:
            contents[name] = path.read_bytes()
    return contents


def _weights(path):
    model = keras.saving.load_model(path, compile=False)
    return {v.path.partition("/")[2]: v.numpy().tobytes() for v in model.variables}


def differing(one, other):
    """The names of the files that only one of two runs has, or that differ."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
