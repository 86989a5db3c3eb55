"""Images that cannot be decoded: found before any work, counted, listed, and left out.

They are looked for once, by decoding every image, so that splits and batches are the
same in all runs, and a long training does not meet them in its middle.
"""

import numpy as np

from dna_tf import checks, files, progress

KIND = "dna_tf.broken_images"
FILE = "broken_images.json"


def leave_out(opened, allowed, cache_dir):
    """Finds the images that can be decoded.

    Args:
        opened: `source_base.Source`s.
        allowed: `config.data.max_broken_images`, for all sources together.
        cache_dir: folder of the list, `broken_images.json`, which is also read again; `None`
            keeps none.

    Returns:
        A list with an int64 array of the good indices for each source.

    Raises:
        ValueError: there are more broken images than allowed; the message names some.
    """
    path = None if cache_dir is None else files.as_path(cache_dir) / FILE
    known = {}
    if path is not None and path.exists():
        known = files.read_json(path, KIND, "Delete it: it is made again.")["sources"]
    found = {
        source.fingerprint(): known.get(source.fingerprint()) or _find(source) for source in opened
    }
    if path is not None and not found.keys() <= known.keys():
        files.write_json(path, {"kind": KIND, "sources": {**known, **found}})
    places = [image["image"] for listed in found.values() for image in listed["broken"]]
    listing = "" if path is None else f" All are listed in {path}."
    if len(places) > allowed:
        raise ValueError(
            f"{len(places)} images cannot be decoded, and config.data.max_broken_images allows "
            f"{allowed}: {checks.some(places)}.{listing} Replace or remove them, or "
            "allow more."
        )
    if places:
        progress.warn(f"{len(places)} images cannot be decoded and are left out.{listing}")
    return [_good(source, found[source.fingerprint()]) for source in opened]


def _find(source):
    indices = source.refused(f"checking {source.name}")
    broken = [{"index": int(index), "image": source.place(int(index))} for index in indices]
    return {"name": source.name, "images": source.num_examples, "broken": broken}


def _good(source, listed):
    broken = [image["index"] for image in listed["broken"]]
    return np.setdiff1d(np.arange(source.num_examples), np.array(broken, np.int64))
