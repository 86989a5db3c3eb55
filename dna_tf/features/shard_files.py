"""The files of a cache of features: shards of records with checksums, and a manifest.

features-00000-of-00010.tfrecord        records of a fixed range of images
features-00000-of-00010.json            its checksum, until the manifest is written
manifest.json                           the origin of the cache, and all checksums

The JSON file of a shard is written before the shard gets its name, so that every shard with
its final name is complete and has a checksum.
"""

import concurrent.futures
import contextlib
import dataclasses
import errno
import hashlib
import pathlib
import re
import tempfile

import tensorflow as tf

from dna_tf.common import checks, files, progress, records
from dna_tf.data import source_base
from dna_tf.features import record_layout

MANIFEST_KIND = "dna_tf.feature_manifest"
SHARD_KIND = "dna_tf.feature_shard"
MOST_SHARDS = 10**6  # a name has five digits, and a shard about 128 MiB
_SHAPE = records.list_of(records.whole(1, 2**20), length=3)
_SHARD = {"name": records.file_name, "images": records.whole(1), "sha256": records.text}
_CHECK = records.table(
    {
        "made_from": records.mapping_of(records.anything),
        "shapes": records.list_of(_SHAPE),
        "images": records.whole(1),
        "images_per_shard": records.whole(1),
        "shards": records.list_of(records.table(_SHARD)),
    }
)
_CHUNK_BYTES = 2**22
_PARALLEL_STATS = 16  # requests for the sizes of remote files at a time


@dataclasses.dataclass(frozen=True)
class Plan:
    """The origin of a cache, and which images are in which shard.

    Args:
        folder: `epath.Path` of the cache.
        made_from: dict for JSON with everything the features depend on, and with `"dtype"`.
        shapes: `(height, width, channels)` of the image and of each block's map.
        count: how many images.
        images_per_shard: images of each shard but the last, which holds the rest.
    """

    folder: object
    made_from: dict
    shapes: tuple[tuple[int, int, int], ...]
    count: int
    images_per_shard: int

    @property
    def layout(self):
        """The `record_layout.Layout` of the records."""
        return record_layout.Layout(self.shapes, self.made_from["dtype"])

    @property
    def num_shards(self):
        return -(-self.count // self.images_per_shard)

    def start(self, number):
        """The position of a shard's first image in the order of the cache."""
        return number * self.images_per_shard

    def size(self, number):
        """The number of images of a shard."""
        return min(self.images_per_shard, self.count - self.start(number))

    def file_bytes(self, number):
        return self.size(number) * self.layout.frame_bytes

    def name(self, number):
        return f"features-{number:05}-of-{self.num_shards:05}.tfrecord"

    def path(self, number):
        return self.folder / self.name(number)

    def sidecar(self, number):
        return self.path(number).with_suffix(".json")

    @property
    def manifest(self):
        return self.folder / "manifest.json"

    def to_dict(self):
        """Everything except the folder, for JSON."""
        return {
            "made_from": self.made_from,
            "shapes": [list(shape) for shape in self.shapes],
            "images": self.count,
            "images_per_shard": self.images_per_shard,
        }


def read_plan(folder):
    """Reads the JSON files of a cache.

    Args:
        folder: `epath.Path`; it need not exist.

    Returns:
        `(plan, entries)`: a `Plan`, or `None` in a folder without a cache; and a dict from
        the name of each finished shard to its entry, `{"name", "images", "sha256"}`.

    Raises:
        ValueError: a file is damaged.
    """
    plan, entries = None, {}
    if not folder.exists():
        return plan, entries
    path = folder / "manifest.json"
    manifests = [path] if path.exists() else []
    # The files of shards come last: they are newer than the manifest.
    for path in manifests + sorted(folder.glob("features-*.json")):
        kind = MANIFEST_KIND if path.name == "manifest.json" else SHARD_KIND
        content = files.read_json(path, kind, f"Delete the folder {folder}: it is made again.")
        try:
            _CHECK(content, "")
            plan_of_file = Plan(
                folder,
                dict(content["made_from"]),
                tuple(tuple(shape) for shape in content["shapes"]),
                content["images"],
                content["images_per_shard"],
            )
            if plan_of_file.num_shards > MOST_SHARDS:
                raise ValueError(f"it has {plan_of_file.num_shards:,} shards")
            if plan not in (None, plan_of_file):
                raise ValueError("it belongs to another cache than the other files")
            plan = plan_of_file
            record_layout.check_dtype(plan.made_from["dtype"])
            for entry in content["shards"]:
                entries[entry["name"]] = {key: entry[key] for key in ("name", "images", "sha256")}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The file {path} does not describe a cache of features: {error!r}. Delete the "
                f"folder {folder}: it is made again."
            ) from error
    return plan, entries


def check_made_from(plan, made_from):
    """Checks that a cache was made from the current teacher, data and dtype.

    Raises:
        ValueError: names the differences.
    """
    differing = [
        f"{name} {plan.made_from.get(name)!r} there, {made_from.get(name)!r} now"
        for name in sorted({*plan.made_from, *made_from})
        if plan.made_from.get(name) != made_from.get(name)
    ]
    if differing:
        raise ValueError(
            f"The features in {plan.folder} were made from something else: {'; '.join(differing)}."
            " Delete that folder, and they are made again, or set cache_folder to another one."
        )


def present(plan, entries):
    """Returns which shards exist, after checking that none is cut off.

    Args:
        plan: a `Plan`.
        entries: dict from the name of each finished shard to its entry. A file without an
            entry counts as missing.

    Returns:
        A list of bool, one for each shard.

    Raises:
        ValueError: the size of a shard has changed.
    """
    with concurrent.futures.ThreadPoolExecutor(_PARALLEL_STATS) as pool:
        lengths = list(pool.map(_length, map(plan.path, range(plan.num_shards))))
    lengths = [
        length if plan.name(number) in entries else None for number, length in enumerate(lengths)
    ]
    wrong = [
        f"{plan.path(number)} has {length:,} bytes instead of {plan.file_bytes(number):,}"
        for number, length in enumerate(lengths)
        if length is not None and length != plan.file_bytes(number)
    ]
    if wrong:
        raise damaged(wrong, "cut off")
    return [length is not None for length in lengths]


def _length(path):
    try:
        return path.stat().length
    except (FileNotFoundError, tf.errors.NotFoundError):
        return None


def damaged(places, what="damaged"):
    """Returns the `ValueError` that names damaged shards."""
    these, them = ("this file", "it") if len(places) == 1 else ("these files", "them")
    return ValueError(
        f"Features on disk are {what}: {checks.some(places)}. Delete {these} and run "
        f"again: only {them} will be written anew."
    )


def write(plan, number, batches):
    """Writes one shard: under a temporary name, then its checksum, then the rename.

    Args:
        plan: a `Plan`.
        number: which shard.
        batches: list of uint8 arrays `(images, record_bytes)`.

    Raises:
        OSError: the disk is full, or the shard cannot be written; what was written is removed.
    """
    path = plan.path(number)
    temporary = path.parent / f".{path.name}.tmp"
    try:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for batch in batches:
                for record in batch:
                    writer.write(record.tobytes())
        files.sync(temporary)  # a shard with a checksum is on the disk
        entry = {"name": path.name, "images": sum(map(len, batches)), "sha256": sha256(temporary)}
        content = {"kind": SHARD_KIND, **plan.to_dict(), "shards": [entry]}
        files.write_json(plan.sidecar(number), content)
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if _is_full(error):
            raise OSError(
                errno.ENOSPC,
                f"The disk of {plan.folder} is full ({source_base.first_line(error)}). Finished "
                "shards are kept. Free space there and run again to write the missing ones, or "
                "set cache_folder to another disk",
            ) from error
        if isinstance(error, OSError | tf.errors.OpError):
            raise files.unwritable(path, error) from error
        raise


def _is_full(error):
    # TensorFlow has an error of its own for a full disk or quota.
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, tf.errors.ResourceExhaustedError)


def write_manifest(plan, entries):
    """Writes the manifest of a complete cache and removes the JSON files of its shards."""
    shards = [entries[plan.name(number)] for number in range(plan.num_shards)]
    content = {"kind": MANIFEST_KIND, "fingerprint": files.fingerprint(plan.made_from)}
    files.write_json(plan.manifest, {**content, **plan.to_dict(), "shards": shards})
    for number in range(plan.num_shards):
        plan.sidecar(number).unlink(missing_ok=True)


def remove_temporaries(folder):
    """Removes the files that a killed process left; no other process may be writing."""
    for path in folder.glob(".features-*.tmp"):
        path.unlink(missing_ok=True)


def sha256(path):
    """Returns the SHA-256 of a file in hexadecimal digits, as `sha256sum` prints it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def verify(plan, entries):
    """Reads all shards and compares their checksums.

    Raises:
        ValueError: names the shards whose checksums differ.
    """
    numbers = range(plan.num_shards)
    wrong = [
        str(plan.path(number))
        for number in progress.track(numbers, "checking features", "shard")
        if sha256(plan.path(number)) != entries[plan.name(number)]["sha256"]
    ]
    if wrong:
        raise damaged(wrong)


def find_damage(plan, entries, error):
    """Names the shard with a damaged record, which TensorFlow's error does not name.

    The error has the position in the file: that record is read in every shard, and if it is
    intact in all of them, all checksums are compared.

    Args:
        plan: a `Plan`.
        entries: dict from the name of each shard to its entry.
        error: the `tf.errors.DataLossError`.

    Raises:
        ValueError: names the shards.
    """
    present(plan, entries)
    place = re.search(r"record at (\d+)", str(error))
    if place is None:
        return
    size = plan.layout.frame_bytes
    offset = int(place[1]) // size * size
    wrong = [
        str(plan.path(number))
        for number in range(plan.num_shards)
        if offset < plan.file_bytes(number) and not _is_sound(plan.path(number), offset, size)
    ]
    if wrong:
        raise damaged(wrong)
    verify(plan, entries)


def _is_sound(path, offset, frame_bytes):
    """Whether TensorFlow reads the record at an offset, alone in a file."""
    with path.open("rb") as file:
        file.seek(offset)
        frame = file.read(frame_bytes)
    with tempfile.TemporaryDirectory() as folder:
        alone = pathlib.Path(folder) / "record"
        alone.write_bytes(frame)
        try:
            return len(list(tf.data.TFRecordDataset(str(alone)))) == 1
        except tf.errors.DataLossError:
            return False
