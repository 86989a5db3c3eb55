"""The speed of the input pipelines in images a second, and the bottleneck among their stages.

    python -m benchmarks.input_pipeline --json

Reads, decodes, resizes and augments JPEGs at 224 x 224: generated ones of 256 x 256 to 500 x
375 pixels, or those of `--folder`. Reads cached features of the paper's shapes (EfficientNet-B7
at 224 x 224, six blocks, float16) from disk and from memory. Everything runs in one process,
each pipeline `--runs` times; the figures are medians.

For comparison: Keras' folder loader with its layers for the same shift and flip
(`keras_images_per_s`), the later recipe of the DNA authors with random-resized crops, of which
only the crop is decoded (`recipe_images_per_s`), and RandAugment alone on decoded images: ours,
that of keras-cv if it is installed, and that of Keras.

Stages are timed by pipelines of growing length over the same images, on all cores: the `ms` of a
stage is the time that it adds for each image, and the largest one is the bottleneck. Files of
features are read after they were dropped from the system's cache (`disk_cold_read_ms`), and from
that cache; a network drive has other figures.
"""

import os
import pathlib
import statistics
import tempfile
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli
from dna_tf.config import run_config

cli.define_run_flags()
flags.DEFINE_string("folder", "", "A folder of images per class, instead of generated JPEGs.")
flags.DEFINE_integer("images", 256, "Number of images that are timed.", lower_bound=128)
flags.DEFINE_integer("runs", 5, "Number of runs of each pipeline.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds generated images and the order.")
flags.DEFINE_bool("json", False, "Print one JSON object last.")

SIZE, BATCH = 224, 64
# Width and pooling of the layers that make maps of the shapes of EfficientNet-B7's blocks.
MAPS = ((48, 4), (80, 2), (160, 2), (224, 1), (384, 2), (640, 1))
SHUFFLE_BYTES = 32 * 2**20  # less than the cache, so that reading and parsing overlap


def main():
    """Times all pipelines."""
    machine.check_no_workdir()
    from dna_tf.data import loading

    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        folder = cli.FLAGS.folder
        if not folder:
            folder = temporary / "generated"
            _write_jpegs(folder, cli.FLAGS.images * 5 // 4, cli.FLAGS.seed)
        loaded = loading.load(_config(folder), cli.FLAGS.seed, memory_limit_bytes=0)
        if loaded.counts["train"] < cli.FLAGS.images:
            raise ValueError(
                f"{folder} leaves {loaded.counts['train']} images to train on. Expected at least "
                f"--images={cli.FLAGS.images}."
            )
        figures = {"images": cli.FLAGS.images, "runs": cli.FLAGS.runs, "batch": BATCH}
        figures |= _jpegs(folder, loaded)
        figures |= _beside_keras(folder, loaded, figures["jpeg_images_per_s"])
        figures |= _rand_augment(loaded)
        figures |= _features(loaded, temporary / "features")
    machine.report(figures, cli.FLAGS.seed)


def _config(folder):
    config = run_config.default_config().data
    config.update(
        source=f"folder:{folder}",
        image_size=SIZE,
        crop_fraction=0.875,
        flip=True,
        test_fraction=0.1,
        rating_fraction=0.05,
    )
    return config


def _write_jpegs(folder, count, seed):
    """Writes JPEGs with the detail of photographs, about 0.3 bytes a pixel."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    for label in range(2):
        (folder / f"class{label}").mkdir(parents=True)
    for number in range(count):
        height, width = [(256, 256), (333, 500), (375, 500), (256, 384)][number % 4]
        image = sum(
            tf.image.resize(rng.normal(0, 40, (side, side, 3)), (height, width), "bicubic")
            for side in (4, 16, 64)
        )
        noise = rng.normal(128, 4, (height, width, 3))
        image = tf.cast(tf.clip_by_value(image.numpy() + noise, 0, 255), tf.uint8)
        content = tf.io.encode_jpeg(image, quality=90).numpy()
        (folder / f"class{number % 2}" / f"{number:05}.jpg").write_bytes(content)


def _jpegs(folder, loaded):
    """Times the stages from JPEG files to augmented images, and the whole of `Images.epoch`."""
    import numpy as np
    import tensorflow as tf

    from dna_tf.data import decoding, folder_source

    paths = map(str, sorted(pathlib.Path(folder).glob("*/*")))
    paths = [path for path in paths if path.lower().endswith(folder_source.IMAGE_ENDINGS)]
    drawn = np.random.default_rng(cli.FLAGS.seed).choice(paths, cli.FLAGS.images, replace=False)

    def decode(path):
        return decoding.decode(tf.io.read_file(path))

    def resize(path):
        return decoding.fit(decode(path), SIZE, 3, 0.875)

    def augment(path):
        seed = tf.stack([tf.constant(0, tf.int64), tf.strings.to_hash_bucket_fast(path, 2**62)])
        limit = decoding.shift_limit(0.1, SIZE)
        return tf.cast(decoding.augment(resize(path), seed, limit, True), tf.float32)

    stages = {"read": tf.io.read_file, "decode": decode, "resize": resize, "augment": augment}
    path_dataset = tf.data.Dataset.from_tensor_slices(drawn)
    totals = {}
    for name, stage in stages.items():
        totals[name] = _median_ms(path_dataset.map(stage, tf.data.AUTOTUNE), cli.FLAGS.images)
    steps = cli.FLAGS.images // BATCH
    whole = _median_ms(loaded.epoch(BATCH, 0, cli.FLAGS.seed).take(steps), steps * BATCH)
    size_mean = sum(os.path.getsize(path) for path in drawn) / len(drawn)
    return {
        "jpeg_bytes_mean": round(size_mean),
        **_stages("jpeg", totals),
        "jpeg_images_per_s": round(1000 / whole),
    }


def _beside_keras(folder, loaded, ours):
    """Times Keras' folder loader and layers, and a whole recipe of ours; also for each core."""
    import keras
    import tensorflow as tf

    from dna_tf.config import recipes
    from dna_tf.data import augmentation

    steps, cores = cli.FLAGS.images // BATCH, os.cpu_count()
    layers = keras.layers
    moves = keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomTranslation(0.1, 0.1, "nearest")]
    )
    stock = keras.utils.image_dataset_from_directory(
        str(folder), image_size=(SIZE, SIZE), batch_size=BATCH, seed=cli.FLAGS.seed, verbose=False
    )
    stock = stock.map(lambda images, _: moves(images, training=True), tf.data.AUTOTUNE)
    keras_ms = _median_ms(stock.take(steps).prefetch(2), steps * BATCH)
    config = run_config.default_config()
    recipes.authors_later(config)
    of_recipe = augmentation.of_recipe(config.retrain, 2)
    recipe = loaded.epoch(BATCH, 0, cli.FLAGS.seed, augmentation=of_recipe).take(steps)
    recipe_ms = _median_ms(recipe, steps * BATCH)
    return {
        "jpeg_images_per_s_and_core": round(ours / cores),
        "keras_images_per_s": round(1000 / keras_ms),
        "keras_images_per_s_and_core": round(1000 / keras_ms / cores),
        "recipe_images_per_s": round(1000 / recipe_ms),
        "recipe_images_per_s_and_core": round(1000 / recipe_ms / cores),
    }


def _rand_augment(loaded):
    """Times RandAugment of two operations on images in memory: ours, keras-cv's, Keras'."""
    import importlib.util

    import keras
    import tensorflow as tf

    from dna_tf.data import rand_augment

    decoded = list(loaded.images("train").take(BATCH).as_numpy_iterator())
    images = tf.cast(tf.stack([image for image, _ in decoded]), tf.uint8)
    single = tf.data.Dataset.from_tensor_slices(images).enumerate()

    def ours(number, image):
        seed = tf.stack([tf.constant(cli.FLAGS.seed, tf.int64), number])
        return rand_augment.apply(image, seed, 2, 9.0)

    figures = {"ours": _median_ms(single.map(ours, tf.data.AUTOTUNE), BATCH)}
    batches = tf.data.Dataset.from_tensors(tf.cast(images, tf.float32))
    if importlib.util.find_spec("keras_cv"):
        import keras_cv

        layer = keras_cv.layers.RandAugment((0, 255), 2, 0.9, magnitude_stddev=0.05)
        figures["keras_cv"] = _median_ms(batches.map(layer), BATCH)
    layer = keras.layers.RandAugment((0, 255), 2, 0.9)
    figures["keras"] = _median_ms(batches.map(lambda x: layer(x, training=True)), BATCH)
    return {f"{name}_rand_augment_per_s": round(1000 / ms) for name, ms in figures.items()}


def _features(loaded, folder):
    """Times the stages from files of features to float32 batches, and the whole cached modes."""
    import ml_collections
    import tensorflow as tf

    from dna_tf.features import cache_writer, feature_batches, feature_cache, record_layout

    teacher, seed = _teacher(), cli.FLAGS.seed
    started = time.perf_counter()
    cache_writer.write(folder, teacher, loaded, "float16")
    writing_s = time.perf_counter() - started
    cache = feature_cache.FeatureCache(folder, cache_writer.made_from(teacher, loaded, "float16"))
    layout, count = record_layout.Layout(teacher.shapes, "float16"), loaded.counts["train"]
    paths = sorted(map(str, folder.glob("*.tfrecord")))

    def records():
        shards = tf.data.Dataset.from_tensor_slices(paths)
        return shards.interleave(
            tf.data.TFRecordDataset, len(paths), num_parallel_calls=tf.data.AUTOTUNE
        ).batch(BATCH, drop_remainder=True)

    images = count // BATCH * BATCH
    totals = {
        "read": _median_ms(records(), images),
        "parse": _median_ms(records().map(layout.parse, tf.data.AUTOTUNE), images),
        "cast": _median_ms(records().map(layout.decode, tf.data.AUTOTUNE), images),
    }
    cold = _median_ms(records(), images, before=lambda: _forget(paths))
    disk = _median_ms(cache.batches(BATCH, 0, seed, shuffle_bytes=SHUFFLE_BYTES), images)
    section = ml_collections.ConfigDict({"features": "memory", "batch_size": BATCH})
    kept = feature_batches.feature_datasets(section, teacher, loaded, seed, None)
    memory = _median_ms(kept(0), images)
    return {
        "features_bytes": layout.record_bytes,
        "features_written_per_s": round(count / writing_s),
        "disk_cold_read_ms": round(cold, 3),
        **_stages("disk", totals),
        "disk_features_per_s": round(1000 / disk),
        "memory_features_per_s": round(1000 / memory),
    }


def _teacher():
    """Returns a cheap network with maps of the shapes of EfficientNet-B7's six blocks."""
    import keras

    from dna_tf.teachers import cutting

    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    for block, (width, pool) in enumerate(MAPS, 1):
        x = keras.layers.AveragePooling2D(pool, name=f"pool{block}")(x)
        x = keras.layers.Conv2D(width, 1, name=f"block{block}")(x)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    cuts = [f"block{block}" for block in range(1, len(MAPS) + 1)]
    return cutting.cut_model(model, cuts, (SIZE, SIZE, 3))


def _stages(prefix, totals):
    """Returns the ms that each stage adds for an image, from the times of growing pipelines."""
    before, added = 0.0, {}
    for name, total in totals.items():
        added[name] = max(total - before, 0.0)
        before = max(total, before)
    figures = {f"{prefix}_{name}_ms": round(ms, 3) for name, ms in added.items()}
    return {**figures, f"{prefix}_bottleneck": max(added, key=added.get)}


def _median_ms(dataset, count, before=lambda: None):
    """Returns milliseconds for each of `count` images: the median of runs after a first one."""
    seconds = []
    for _ in range(cli.FLAGS.runs + 1):
        before()
        started = time.perf_counter()
        dataset.reduce(0, lambda number, *batch: number + 1)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[1:]) / count


def _forget(paths):
    """Drops the files from the system's cache."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    cli.run(main)
