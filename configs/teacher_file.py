"""Your own teacher, any Keras functional model in a .keras file, on your own images.

What: the teacher is cut at the proposed places, and cells of the space dna_lite (ReLU6, no
squeeze-and-excitation, good for int8) learn to reproduce its blocks. A tenth of all images is for
rating, independent of the class, so classes may be small. For another cut, image size or space:
    python -m tools.teacher --model=my_teacher.keras --space=dna_lite

Command, with a folder of images for each class:
    python -m tools.quickstart --config=configs/teacher_file.py --workdir=runs/mine \
        --config.teacher.model=my_teacher.keras --config.data.source=folder:my_images \
        --config.data.image_size=224 --config.teacher.preprocessing=none

teacher.preprocessing says what the model expects: none is 0..255; the others are zero_one,
minus_one_one, caffe and torch. If the images seem to have another range than in the teacher's
training, there is a warning.

Hardware and cost: one GPU; on CPU cores only small images. Counted for 224x224, with the widths of
EfficientNet-B0 as teacher: 2.9 GMACs for each image and epoch for the cells; 452 GMACs for each of
the 140 images used in a rating. The teacher sees each image once; its features are written to
disk, half a megabyte for each image in float16.
Result: depends on teacher and data; there is no published number.
"""

import dna_tf
from dna_tf import recipes


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    config.data.source = "folder:my_images"
    config.data.image_size = 224
    config.data.rating_fraction = 0.1  # 0 takes rating_per_class images of each class instead
    config.data.flip = True

    config.teacher.model = "my_teacher.keras"
    config.teacher.preprocessing = "none"
    config.teacher.cuts = ()  # proposed ones that fit the space

    config.space = "dna_lite"
    config.supernet.features = "disk"
    recipes.paper_supernet(config)
    config.supernet.batch_size = 32
    config.supernet.checkpoint_seconds = 60.0

    config.rating.batch_size = 25
    config.rating.batches = 4
    config.rating.calibration_images = 40
    config.rating.checkpoint_seconds = 60.0

    config.search.budgets = ("max_macs=300M", "max_macs=400M")
    config.retrain.epochs = 100
    config.retrain.batch_size = 32
    config.retrain.learning_rate = 1e-3
    config.retrain.checkpoint_seconds = 60.0
    return config
