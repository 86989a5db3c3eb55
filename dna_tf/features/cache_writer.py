"""Writes the teacher's maps of all training images to disk: once, in shards, resumable.

`feature_cache` reads them.
"""

import collections
import concurrent.futures
import shutil
import time

import tensorflow as tf

from dna_tf.common import checks, files, locks, progress
from dna_tf.features import record_layout, shard_files
from dna_tf.models import keras_files

TEACHER_BATCH = 64
SHARD_BYTES = 128 * 2**20
LEAST_SHARDS = 8
WRITERS = 4  # threads that write shards; each holds one in memory
# Keep free space of 5 % of what is written.
SPARE_FRACTION = 0.05


def made_from(teacher, images, dtype):
    """Returns everything the features depend on, a dict for JSON.

    Args:
        teacher: a `cutting.Teacher`.
        images: a `labelled_images.Images`.
        dtype: of the maps in the cache, such as `"float16"`.
    """
    # Rescaling, activations and paddings are not in the weights.
    plain = []
    for operation in teacher.features.operations:
        if not getattr(operation, "weights", None):
            settings = {k: v for k, v in operation.get_config().items() if v is not None}
            settings.pop("name", None)
            plain.append([type(operation).__name__, repr(sorted(settings.items()))])
    return {
        "teacher": keras_files.weights_fingerprint(teacher.features),
        "cuts": list(teacher.cuts),
        "preprocessing": files.fingerprint(plain),
        "data": images.fingerprint,
        "dtype": dtype,
    }


def write(
    folder,
    teacher,
    images,
    dtype="float16",
    images_per_shard=None,
    batch_size=TEACHER_BATCH,
):
    """Writes the cache of the training images, or its missing shards.

    Each shard has a fixed range of the images in a fixed order, that of
    `Images.images(..., mixed=True)`, and the teacher sees them in the same batches
    whichever shards are missing. So a killed writing resumes to the same bits.
    Only one process may write into a folder at a time.

    Args:
        folder: local or remote; created if it does not exist.
        teacher: a `cutting.Teacher`.
        images: a `labelled_images.Images`; the training split is used, without augmentation.
        dtype: of the maps: `"float16"`, `"bfloat16"` or `"float32"`. float16 keeps 11
            bits and ends at 65504, bfloat16 keeps 8 bits and has the range of float32.
        images_per_shard: a multiple of `batch_size`; `None` takes that of an unfinished
            cache, or the number that gives shards of about 128 MiB.
        batch_size: images in a call of the teacher.

    Raises:
        ValueError: the folder has features of something else or damaged ones, the disk
            has too little room, or a map is not finite.
        OSError: the disk became full; finished shards are kept.
    """
    record_layout.check_dtype(dtype)
    checks.check_whole("batch_size", batch_size, 1)
    folder, origin = files.as_path(folder), made_from(teacher, images, dtype)
    plan, entries = shard_files.read_plan(folder)
    if plan is not None:
        shard_files.check_made_from(plan, origin)
        images_per_shard = images_per_shard or plan.images_per_shard
    shapes, count = tuple(map(tuple, teacher.shapes)), images.counts["train"]
    size = images_per_shard or _shard_size(shapes, count, dtype, batch_size)
    if size < 1 or size % batch_size:
        raise ValueError(
            f"images_per_shard must be a multiple of batch_size={batch_size}, so that the teacher "
            f"sees the same batches when writing resumes. Received: images_per_shard={size}"
        )
    if plan is not None and size != plan.images_per_shard:
        raise ValueError(
            f"The shards in {folder} hold {plan.images_per_shard} images each. Received: "
            f"images_per_shard={size}. Delete that folder, or leave images_per_shard out."
        )
    plan = shard_files.Plan(folder, origin, shapes, count, size)
    exist = shard_files.present(plan, entries)
    missing = [number for number, exists in enumerate(exist) if not exists]
    if missing:
        _check_room(plan, missing)
    if missing or not plan.manifest.exists():
        with locks.hold(plan.manifest, f"The cache of features in {folder}"):
            if missing:
                folder.mkdir(parents=True, exist_ok=True)
                shard_files.remove_temporaries(folder)
                _write_shards(plan, missing, teacher, images, batch_size)
                _, entries = shard_files.read_plan(folder)
            shard_files.write_manifest(plan, entries)


def _shard_size(shapes, count, dtype, batch_size):
    by_bytes = SHARD_BYTES // record_layout.Layout(shapes, dtype).frame_bytes // batch_size
    by_count = count // (LEAST_SHARDS * batch_size)
    return max(1, min(by_bytes, by_count)) * batch_size


def _check_room(plan, missing):
    """Checks that the disk has room for the missing shards."""
    needed = sum(map(plan.file_bytes, missing))
    if "://" in str(plan.folder):
        progress.say(f"The features go to {plan.folder}; its free space is not checked.")
        return
    existing = next(path for path in (plan.folder, *plan.folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed * (1 + SPARE_FRACTION):
        raise ValueError(
            f"The teacher's features of {plan.count:,} images need {needed / 1e9:,.2f} GB more in "
            f"{plan.folder} and {SPARE_FRACTION:.0%} to spare, and its disk has "
            f"{free / 1e9:,.2f} GB free. Set cache_folder to another disk, or features=online, "
            "which keeps none."
        )


def _write_shards(plan, missing, teacher, images, batch_size):
    store = _storing(plan.layout, teacher)
    done = plan.count - sum(map(plan.size, missing))
    _announce(plan, missing, store, images, batch_size)
    waiting = collections.deque()
    with (
        concurrent.futures.ThreadPoolExecutor(WRITERS) as pool,
        progress.bar("teacher features", plan.count, "image", done) as bar,
    ):
        for number, batches in _by_shard(plan, missing, images, batch_size):
            records = []
            for batch in batches:
                encoded, finite = store(batch)
                _check_finite(finite.numpy(), teacher, plan.layout.dtype)
                records.append(encoded.numpy())
                bar.update(len(batch))
            if len(waiting) == WRITERS:
                waiting.popleft().result()
            waiting.append(pool.submit(shard_files.write, plan, number, records))
        for future in waiting:
            future.result()


def _by_shard(plan, missing, images, batch_size):
    """Yields the number of each missing shard and an iterator over its batches of images."""
    batches, following = None, None
    for number in missing:
        if number != following:  # otherwise the same iterator continues
            dataset = images.images("train", batch_size, skip=plan.start(number), mixed=True)
            batches = iter(dataset)
        following = number + 1
        steps = -(-plan.size(number) // batch_size)
        yield number, (next(batches)[0] for _ in range(steps))


def _storing(layout, teacher):
    @tf.function(reduce_retracing=True)
    def store(images):
        maps = tf.nest.flatten(teacher.features(images, training=False))
        return layout.encode(images, maps)

    return store


def _announce(plan, missing, store, images, batch_size):
    """Prints how much will be written and how long it takes, from a timed batch."""
    batch = next(iter(images.images("train", batch_size, mixed=True)))[0]
    store(batch)[0].numpy()  # compiles
    started = time.monotonic()
    store(batch)[0].numpy()
    seconds = time.monotonic() - started
    left = sum(map(plan.size, missing))
    minutes = left / len(batch) * seconds / 60
    progress.say(
        f"Writing the teacher's features of {left:,} images to {plan.folder}: "
        f"{sum(map(plan.file_bytes, missing)) / 1e9:,.3f} GB of {plan.layout.dtype} in "
        f"{len(missing):,} shards; the teacher needs about {minutes:,.1f} minutes for it "
        f"({len(batch) / seconds:,.1f} images/s)."
    )


def _check_finite(finite, teacher, dtype):
    for block, (before_cast, as_stored) in enumerate(finite, 1):
        where = f"The teacher's map of block {block} (layer {teacher.cuts[block - 1]!r})"
        if not before_cast:
            raise ValueError(
                f"{where} holds NaN or infinity before it is stored. Expected finite values. Look "
                "at the teacher's weights and preprocessing."
            )
        if not as_stored:
            raise ValueError(
                f"{where} holds values beyond the range of {dtype}"
                + (", which ends at 65504" if dtype == "float16" else "")
                + ". Set cache_dtype=bfloat16 (the range of float32, 8 bits of precision) or "
                "cache_dtype=float32 (twice the size)."
            )
