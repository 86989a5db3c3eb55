"""What is in the folder of a run, in a form that is equal for equal results.

Temporary files, times and dates differ from run to run.
"""

import contextlib
import hashlib
import json
import re
import zipfile

TEMPORARY = re.compile(r"\.tmp(\b|[0-9a-f]{32})|unfinished_|_temp\b|\.tempstate|/tmp[^/]*$")
_TIMES = ("seconds", "images_per_second", "date")
# Numbers in temporary names differ.
_RANDOM = re.compile(r"[0-9a-f]{8,}|\d{4,}")


def results(folder):
    """The contents of a run, by name, without checkpoints and curves."""
    return {
        name: value
        for name, value in contents(folder).items()
        if not {"checkpoints", "tensorboard"} & set(name.split("/"))
        and not TEMPORARY.search(f"/{name}")
    }


def contents(folder, emptied=()):
    """The contents of a folder: a dict from name to text.

    Args:
        folder: the folder.
        emptied: paths of files that are taken to be empty.
    """
    named = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if "tensorboard" in name.split("/"):
            named["tensorboard"] = ""  # curves of a training have the time in their names
            continue
        if path.is_dir():
            named[f"{name}/"] = ""
        elif str(path) in emptied:
            named[name] = "empty"
        else:
            named[name] = _content(path, name)
    return named


def _content(path, name):
    """A text that is equal for equal results: without times, dates, and temporary contents."""
    if not path.stat().st_size:
        return "empty"
    if TEMPORARY.search(f"/{name}") or name.endswith("checkpoints/checkpoint"):
        return "temporary"  # TensorFlow's list of checkpoints has the times of saving
    if "savedmodel" in name.split("/"):
        return "there"  # TensorFlow names parts of it at random
    if path.suffix == ".json":
        with contextlib.suppress(ValueError):
            value = json.loads(path.read_bytes())
            return json.dumps({k: v for k, v in value.items() if k not in _TIMES})
    elif path.suffix == ".keras":  # its config has the addresses of objects
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            return f"weights {archive.getinfo('model.weights.h5').CRC}"
    elif path.name == "report.html":
        return re.sub(r"[\d,.]+ s\b", "", path.read_text())
    return digest(path)


def digest(path):
    """The SHA-256 of a file, computed once for each state of it."""
    stat = path.stat()
    key = str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns
    if key not in _digests:
        _digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()[:20]
    return _digests[key]


_digests = {}


def name_of(folder, emptied=()):
    """A name for the state of a folder, the same for equal states.

    Args:
        folder: the folder.
        emptied: paths of files that are taken to be empty.
    """
    named = {
        _RANDOM.sub("0", name) if TEMPORARY.search(f"/{name}") else name: value
        for name, value in contents(folder, emptied).items()
    }
    text = json.dumps(sorted(named.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
