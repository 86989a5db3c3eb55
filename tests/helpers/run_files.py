"""What a finished run holds, in a form that two runs of one seed must share to the bit."""

import json
import pathlib

import keras

# What says how long work took.
_TIMES = {
    "dna_tf.student": ("seconds",),
    "dna_tf.evaluation": ("seconds", "images_per_second"),
}


def results(folder):
    """The results of a run below a folder, checkpoints and report left out.

    Returns:
        A dict from relative path to what must be equal: bytes, JSON without times, or the
        weights of a Keras file.
    """
    folder, found = pathlib.Path(folder), {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        unlike = {"checkpoints", "tensorboard"} & set(path.parts)  # these hold times
        if path.is_dir() or unlike or name == "report.html":
            continue
        if path.suffix == ".keras" and not path.name.startswith("unfinished"):
            found[name] = _weights(path)
        elif path.suffix == ".json":
            content = json.loads(path.read_text())
            for key in _TIMES.get(content["kind"], ()):
                content.pop(key)
            found[name] = json.dumps(content)
        else:
            found[name] = path.read_bytes()
    return found


def _weights(path):
    model = keras.saving.load_model(path, compile=False)
    return {v.path.partition("/")[2]: v.numpy().tobytes() for v in model.variables}


def differing(one, other):
    """The names of the files that two runs do not share, or that differ."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
