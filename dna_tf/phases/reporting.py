"""Feature maps of the teacher and of an architecture's paths, for the report (DNA Figure 5)."""

import numpy as np
import tensorflow as tf

from dna_tf.features import feature_batches
from dna_tf.phases import runs
from dna_tf.space import presets, spaces
from dna_tf.supernet import cell_files, cell_rating, phase_settings


def imitated_maps(workdir, config, arch, num_images=2):
    """Runs the path of each block of an architecture on the teacher's features.

    Args:
        workdir: a `workdirs.Workdir` with the teacher and the cells of the architecture.
        config: its config.
        arch: a searched `architectures.Architecture`, with the cell and path of each block.
        num_images: number of images of the rating split.

    Returns:
        A list with a dict for each block: `block` (from 1), `layer` (the teacher's cut),
        `rating`, float arrays `teacher` and `student` of shape
        `(images, height, width, channels)`, and `images`, `(images, height, width, 3)` in 0..255.
    """
    names = [spaces.cell_name(b, block.cell) for b, block in enumerate(arch.blocks)]
    run = runs.open_run(workdir, config)
    teacher, images = run.teacher, run.images
    for name in names:
        workdir.cell_result(name)  # raises, with the tool that trains it
    space = presets.get_space(config.space)
    cells = cell_files.load(workdir.supernet, space, teacher.shapes, names)
    settings = phase_settings.of_section(phase_settings.RatingSettings, config.rating)
    predict = feature_batches.feature_function(teacher)
    calibration = cell_rating.calibration_maps(predict, images, settings, config.seed)
    pixels = np.stack([x for x, _ in images.images("rating").take(num_images).as_numpy_iterator()])
    maps = (pixels, *predict(tf.constant(pixels)))
    rgb = pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)
    rows = []
    for b, block in enumerate(arch.blocks):
        rater = cell_rating.rater_of(cells[b].build(teacher.shapes), calibration, [maps])
        rows.append(
            {
                "block": b + 1,
                "layer": teacher.cuts[b],
                "rating": block.rating,
                "teacher": np.asarray(maps[b + 1]),
                "student": np.asarray(rater.outputs(block.path)[0]),
                "images": rgb,
            }
        )
    return rows
