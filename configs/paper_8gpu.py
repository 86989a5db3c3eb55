"""The paper's search: EfficientNet-B7 as teacher, 16 cells, ImageNet, one machine with 8 GPUs.

What: DNA Table 1 and 4.1: 2e17 architectures, 20 epochs, 64 images on each GPU, then one
student for each budget of DNA-a to DNA-d. Keras downloads the teacher's ImageNet weights.
TFDS cannot download ImageNet: it reads ILSVRC2012_img_train.tar and _val.tar from its folder
downloads/manual.

Command:
    python -m tools.train_teacher --config=configs/paper_8gpu.py --workdir=runs/paper
    python -m tools.train_supernet --workdir=runs/paper --strategy=mirrored
    python -m tools.rate --workdir=runs/paper
    python -m tools.search --workdir=runs/paper
    python -m tools.retrain --workdir=runs/paper --arch=max_params_5.3M --strategy=mirrored

On one GPU, the same batch of 4096 in 32 parts: --config.retrain.accumulate=32. Retraining uses the
paper's recipe. recipes.authors_later and recipes.modern are others; use them in a config file of
your own.

With TFRecord files instead of TFDS, with labels 1 to 1000 as TensorFlow's ImageNet scripts write
them:
    python -m tools.train_teacher --config=configs/paper_8gpu.py --workdir=runs/paper \
        '--config.data.source=tfrecord:/data/imagenet/train-*' \
        '--config.data.test_source=tfrecord:/data/imagenet/validation-*' \
        --config.data.image_feature=image/encoded \
        --config.data.label_feature=image/class/label --config.data.label_offset=1

Hardware and cost, supernet: 8 GPUs. Counted: 9.67 GMACs for each image (5.17 the teacher, once for
all cells; 4.50 the cells, forward and backward), 24.6 million images, 2.4e17 MACs. Estimated:
9 hours at 100 images per second on each GPU, 17 hours at 50. Published, for the authors' own
procedure: 3 days on 8 GeForce 2080 Ti.
Rating, one GPU: counted 630 GMACs for each image, 8.5e14 MACs; published 0.6 GPU days.
Search: seconds. Retraining, for each --arch: counted 616 million images; estimated 18 days on one
GPU at 400 images per second.
Not run here: 8 GPUs were not available.
Result, published: the teacher 77.8 % top-1 at 224x224; DNA-a 77.1, DNA-b 77.5, DNA-c 77.8,
DNA-d 78.4 % at 348M, 406M, 466M and 611M authors' FLOPs. Users of the authors' script got 76.3,
76.6, 77.2 and 77.7 %; with recipes.authors_later the authors have 78.1 (c) and 78.9 % (d).
"""

import math

import dna_tf
from dna_tf import recipes


def get_config():
    """Returns the config."""
    config = dna_tf.default_config()
    set_imagenet(config)

    config.teacher.model = "efficientnet_b7"
    config.teacher.weights = "imagenet"
    config.teacher.cuts = ()  # the paper's

    config.space = "dna"
    config.supernet.features = "online"  # 1.2 million images are too many to keep
    recipes.paper_supernet(config)
    config.supernet.batch_size = recipes.SUPERNET_BATCH
    config.supernet.output_start = "identity"  # as in the authors' code
    config.supernet.weight_decay = 1e-4  # the authors' code
    config.supernet.checkpoint_seconds = 600.0

    config.rating.batch_size = 64
    config.rating.batches = 20
    config.rating.calibration_images = 64  # one batch of the supernet's, on one GPU
    config.rating.checkpoint_seconds = 60.0

    # The budgets, or the costs, of DNA-a to DNA-d.
    config.search.budgets = (
        "max_authors_flops=350M",
        "max_authors_flops=406M",
        "max_params=5.3M",
        "max_authors_flops=612M",
    )
    config.search.chosen = 2

    recipes.paper(config)
    config.retrain.seeds = 1
    config.export.calibration_images = 500
    config.export.test_images = 5000
    return config


def set_imagenet(config):
    """Sets ImageNet at 224x224, with 50 training images of each class for rating."""
    config.data.source = "tfds:imagenet2012"
    config.data.rating_per_class = 50
    config.data.shift = 0.1  # of the supernet; instead of random-resized crops
    recipes.imagenet_images(config)


def set_batch_size(config, batch_size):
    """Changes the supernet's batch size and scales its learning rates.

    The rates are scaled by the square root of the batch size, because Adam's steps do not
    grow with the gradient.

    Source: Malladi et al., 2022 (square root rule for Adam); not tried here.
    """
    factor = math.sqrt(batch_size / config.supernet.batch_size)
    config.supernet.batch_size = batch_size
    config.supernet.learning_rate *= factor
    config.supernet.first_block_learning_rate *= factor
