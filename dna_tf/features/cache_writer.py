"""Writes the teacher's maps of all training images to disk: once, in shards, resumable.

`feature_cache` reads them; `feature_shards` describes the files.
"""

import collections
import concurrent.futures
import shutil
import time

import tensorflow as tf

from dna_tf.common import checks, files, progress
from dna_tf.features import record_layout, shard_files
from dna_tf.models import keras_files

TEACHER_BATCH = 64
# Source of these sizes: our choice.
SHARD_BYTES = 128 * 2**20
LEAST_SHARDS = 8
WRITERS = 4  # threads that write shards; each holds one in memory
# Of a disk's free space a twentieth of what is written is left over.
SPARE_FRACTION = 0.05


def made_from(teacher, data, dtype):
    """What the features depend on: a dict that JSON can hold, to be compared.

    Args:
        teacher: a `cutting.Teacher`.
        data: a `loading.Data`.
        dtype: of the maps in the cache, such as `"float16"`.
    """
    # Rescaling, activations and paddings are not in the weights.
    plain = []
    for operation in teacher.features.operations:
        if not getattr(operation, "weights", None):
            config = {k: v for k, v in operation.get_config().items() if v is not None}
            config.pop("name", None)
            plain.append([type(operation).__name__, repr(sorted(config.items()))])
    return {
        "teacher": keras_files.weights_fingerprint(teacher.features),
        "cuts": list(teacher.cuts),
        "preprocessing": files.fingerprint(plain),
        "data": data.fingerprint,
        "dtype": dtype,
    }


def write(
    folder,
    teacher,
    data,
    dtype="float16",
    images_per_shard=None,
    batch_size=TEACHER_BATCH,
):
    """Writes the cache of the training images, or what is missing of it.

    Each shard holds a fixed range of the images in a fixed order, that of
    `Data.images(..., mixed=True)`, and the teacher sees them in the same batches
    whichever shards are missing. So a writing that was killed goes on to the same bits.
    One process may write into a folder at a time.

    Args:
        folder: local or remote; made if it is not there.
        teacher: a `cutting.Teacher`.
        data: a `loading.Data`; its training split is used, without augmentation.
        dtype: of the maps: `"float16"`, `"bfloat16"` or `"float32"`. float16 keeps 11
            bits and ends at 65504, bfloat16 keeps 8 bits and has the range of float32.
        images_per_shard: a multiple of `batch_size`; `None` goes on with that of a
            cache that was begun, else makes shards of about 128 MiB.
        batch_size: images that the teacher sees at once.

    Raises:
        ValueError: the folder holds features of something else or damaged ones, the disk
            has too little room, or a map is not finite.
        OSError: the disk became full; finished shards are kept.
    """
    record_layout.check_dtype(dtype)
    checks.check_whole("batch_size", batch_size, 1)
    folder, made = files.as_path(folder), made_from(teacher, data, dtype)
    plan, entries = shard_files.held(folder)
    if plan is not None:
        shard_files.check_made_from(plan, made)
        images_per_shard = images_per_shard or plan.images_per_shard
    shapes, count = tuple(map(tuple, teacher.shapes)), data.counts["train"]
    size = images_per_shard or _shard_size(shapes, count, dtype, batch_size)
    if size < 1 or size % batch_size:
        raise ValueError(
            f"images_per_shard must be a multiple of batch_size={batch_size}, so that the teacher "
            f"sees the same batches when a writing goes on. Received: images_per_shard={size}"
        )
    if plan is not None and size != plan.images_per_shard:
        raise ValueError(
            f"The shards in {folder} hold {plan.images_per_shard} images each. Received: "
            f"images_per_shard={size}. Delete that folder, or leave images_per_shard out."
        )
    plan = shard_files.Plan(folder, made, shapes, count, size)
    there = shard_files.present(plan, entries)
    missing = [number for number, is_there in enumerate(there) if not is_there]
    if missing:
        _check_room(plan, missing)
        folder.mkdir(parents=True, exist_ok=True)
        shard_files.remove_temporaries(folder)
        _write_shards(plan, missing, teacher, data, batch_size)
        _, entries = shard_files.held(folder)
    if missing or not plan.manifest.exists():
        shard_files.write_manifest(plan, entries)


def _shard_size(shapes, count, dtype, batch_size):
    by_bytes = SHARD_BYTES // record_layout.Layout(shapes, dtype).frame_bytes // batch_size
    by_count = count // (LEAST_SHARDS * batch_size)
    return max(1, min(by_bytes, by_count)) * batch_size


def _check_room(plan, missing):
    """Checks that the disk has room for the missing shards."""
    needed = sum(map(plan.file_bytes, missing))
    if "://" in str(plan.folder):
        progress.say(f"The features go to {plan.folder}; whether there is room is not checked.")
        return
    existing = next(path for path in (plan.folder, *plan.folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed * (1 + SPARE_FRACTION):
        raise ValueError(
            f"The teacher's features of {plan.count:,} images need {needed / 1e9:,.2f} GB more in "
            f"{plan.folder} and {SPARE_FRACTION:.0%} to spare, and its disk has "
            f"{free / 1e9:,.2f} GB free. Set config.supernet.cache_folder to another disk, or "
            "config.supernet.features=online, which keeps none."
        )


def _write_shards(plan, missing, teacher, data, batch_size):
    store = _storing(plan.layout, teacher)
    done = plan.count - sum(map(plan.size, missing))
    _announce(plan, missing, store, data, batch_size)
    waiting = collections.deque()
    with (
        concurrent.futures.ThreadPoolExecutor(WRITERS) as pool,
        progress.bar("teacher features", plan.count, "image", done) as shown,
    ):
        for number, batches in _by_shard(plan, missing, data, batch_size):
            records = []
            for images in batches:
                encoded, finite = store(images)
                _check_finite(finite.numpy(), teacher, plan.layout.dtype)
                records.append(encoded.numpy())
                shown.update(len(images))
            if len(waiting) == WRITERS:
                waiting.popleft().result()
            waiting.append(pool.submit(shard_files.write, plan, number, records))
        for future in waiting:
            future.result()


def _by_shard(plan, missing, data, batch_size):
    """Yields the number of each missing shard and an iterator over its batches of images."""
    batches, following = None, None
    for number in missing:
        if number != following:  # else the images just go on
            images = data.images("train", batch_size, skip=plan.start(number), mixed=True)
            batches = iter(images)
        following = number + 1
        steps = -(-plan.size(number) // batch_size)
        yield number, (next(batches)[0] for _ in range(steps))


def _storing(layout, teacher):
    @tf.function(reduce_retracing=True)
    def store(images):
        maps = tf.nest.flatten(teacher.features(images, training=False))
        return layout.encode(images, maps)

    return store


def _announce(plan, missing, store, data, batch_size):
    """Says how much will be written and how long it takes, from a timed batch."""
    images = next(iter(data.images("train", batch_size, mixed=True)))[0]
    store(images)[0].numpy()  # compiles
    started = time.monotonic()
    store(images)[0].numpy()
    seconds = time.monotonic() - started
    left = sum(map(plan.size, missing))
    minutes = left / len(images) * seconds / 60
    progress.say(
        f"Writing the teacher's features of {left:,} images to {plan.folder}: "
        f"{sum(map(plan.file_bytes, missing)) / 1e9:,.3f} GB of {plan.layout.dtype} in "
        f"{len(missing):,} shards; the teacher needs about {minutes:,.1f} minutes for it "
        f"({len(images) / seconds:,.1f} images/s)."
    )


def _check_finite(finite, teacher, dtype):
    for block, (as_given, as_stored) in enumerate(finite, 1):
        where = f"The teacher's map of block {block} (layer {teacher.cuts[block - 1]!r})"
        if not as_given:
            raise ValueError(
                f"{where} holds NaN or infinity before it is stored. Expected finite values. Look "
                "at the teacher's weights and preprocessing; a teacher that computes in float16 "
                "can overflow inside: load it in float32 or mixed_bfloat16."
            )
        if not as_stored:
            raise ValueError(
                f"{where} holds values beyond the range of {dtype}"
                + (", which ends at 65504" if dtype == "float16" else "")
                + ". Set config.supernet.cache_dtype=bfloat16 (the range of float32, 8 bits of "
                "precision) or config.supernet.cache_dtype=float32 (twice the size)."
            )
