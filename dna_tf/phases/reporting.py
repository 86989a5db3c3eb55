"""Feature maps of teacher and student side by side, for the report (DNA Figure 5)."""

import numpy as np
import tensorflow as tf

from dna_tf.data import loading
from dna_tf.features import feature_batches
from dna_tf.phases import teacher_training
from dna_tf.space import presets, spaces
from dna_tf.supernet import cell_files, cell_rater


def imitated_maps(workdir, config, arch, num_images=2):
    """Runs an architecture's path of each block on the teacher's features.

    Args:
        workdir: a `workdirs.Workdir` with the teacher and the cells of the architecture.
        config: its config.
        arch: a searched `architectures.Architecture` (it knows its cells and paths).
        num_images: how many images of the rating split to show.

    Returns:
        A list with a dict per block: `block` (from 1), `layer` (the teacher's),
        `rating`, and float arrays `teacher` and `student` `(images, height, width,
        channels)` and `images` `(images, height, width, 3)` in 0..255.
    """
    names = [spaces.cell_name(b, block.cell) for b, block in enumerate(arch.blocks)]
    teacher = teacher_training.load_teacher(workdir, config)
    images = loading.load(config.data, config.seed, workdir.path)
    cells = {
        (cell.block, cell.cell): cell
        for cell in cell_files.load(workdir, presets.get_space(config.space), teacher.shapes, names)
    }
    predict = feature_batches.feature_function(teacher)
    calibration = cell_rater.calibration_maps(predict, images, config)
    drawn = np.stack([x for x, _ in images.images("rating").take(num_images).as_numpy_iterator()])
    maps = (drawn, *predict(tf.constant(drawn)))
    rgb = drawn if drawn.shape[-1] == 3 else np.repeat(drawn, 3, axis=-1)
    rows = []
    for b, block in enumerate(arch.blocks):
        reads = [known[b] for known in calibration]
        rater = cell_rater.CellRater(cells[b, block.cell], reads, [(maps[b], maps[b + 1])])
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
