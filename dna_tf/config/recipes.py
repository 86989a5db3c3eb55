"""Recipes by name: published ways to train a student, as fields of a config.

A recipe sets the fields of a whole config in place: of its training, and of its data where
that belongs to the recipe. It returns the section `retrain`. Without a config it takes a
fresh default one, so that a script gets the section alone.

Numbers called published were measured by others; none of the ImageNet recipes was run here.

Example:

    import dna_tf

    recipe = dna_tf.recipes.small(epochs=20)  # for dna_tf.train_student
    config = dna_tf.default_config()
    dna_tf.recipes.small(config, epochs=20)  # for a config file
    assert recipe == config.retrain
"""

from dna_tf.config import run_config

# The batch for which EfficientNet and DNA state their rates.
LARGE_BATCH = 4096
# Epochs between two measurements on ImageNet's rating images: each one reads the training images
# once more if they are TFRecord files. The last epoch is always measured.
IMAGENET_RATING_EVERY = 25
# The batch for which DNA states the rates of its supernet: 64 images on each of 8 GPUs.
SUPERNET_BATCH = 8 * 64


def paper_supernet(config):
    """DNA's training of the supernet: epochs, rates and their decay; the batch is not changed.

    Source: DNA 4.1, where the rates belong to a batch of `SUPERNET_BATCH`.
    """
    config.supernet.update(
        epochs=20,
        learning_rate=0.005,
        first_block_learning_rate=0.002,
        learning_rate_decay=0.9,
    )


def paper(config=None, parts=8):
    """DNA's retraining on ImageNet.

    A batch of 4096 in `parts` parts: 64 images of a part on each of 8 GPUs (the authors had
    32 GPUs and two parts). RMSprop with decay and momentum 0.9 and epsilon 1e-3 inside the
    root. The rate is 0.256, times 0.97 every 2.4 epochs after 5 epochs of warm-up; 500 epochs.

    Args:
        config: a config, changed in place; `None` is a fresh default one.
        parts: `retrain.accumulate`; 32 for one GPU of 24 GB.

    Source: DNA 4.1 for batch, optimizer and schedule. The authors' script for what the paper
    does not state (epochs, warm-up, epsilon, dropout, colours, timm's default decay of the
    averages). The script's own schedule is 0.064 at a batch of 1024, times 0.963 every 3
    epochs. Published: DNA-a to -d 77.1, 77.5, 77.8, 78.4 %; users of the script got 76.3,
    76.6, 77.2, 77.7 % (issue 26 of the authors' repository).
    """
    config = _or_default(config)
    imagenet_images(config)
    config.retrain.update(
        epochs=500,
        batch_size=LARGE_BATCH,
        accumulate=parts,
        optimizer="rmsprop",
        learning_rate=0.256,
        reference_batch_size=LARGE_BATCH,
        schedule="exponential",
        decay_factor=0.97,
        decay_epochs=2.4,
        warmup_epochs=5.0,
        weight_decay=1e-5,
        label_smoothing=0.1,
        dropout=0.2,
        drop_connect=0.2,
        ema_decay=0.9998,
        crop_area=0.08,
        color_jitter=0.06,
        rating_every=IMAGENET_RATING_EVERY,
        checkpoint_seconds=600.0,
    )
    return config.retrain


def authors_later(config=None, parts=8):
    """The paper's recipe with RandAugment, random erasing and stronger colours.

    Source: the authors, in issue 26 of their repository, name drop path, RandAugment, random
    erasing and more colour jitter as missing in the script. They do not give strengths; these
    are timm's for EfficientNet-B0 (rand-m9-mstd0.5, erasing 0.2) and its usual colours.
    Published there: DNA-c 78.1, DNA-d 78.9 %.
    """
    config = _or_default(config)
    paper(config, parts)
    config.retrain.update(randaugment_ops=2, randaugment_magnitude=9.0, erase=0.2)
    config.retrain.color_jitter = 0.4
    return config.retrain


def modern(config=None, parts=8, epochs=600):
    """AdamW with a cosine, RandAugment, erasing, MixUp and CutMix, for long trainings.

    Args:
        config: a config, changed in place; `None` is a fresh default one.
        parts: `retrain.accumulate`.
        epochs: the recipe pays with many epochs; below 300 take another one.

    Source: timm's series ra4_e3600 (AdamW as for MobileNetV4; the rest, with the alphas of
    MixUp and CutMix, from procedure A2 of "ResNet strikes back"). Published for EfficientNet-B0
    at 224x224: 78.6 % with 3600 epochs (Wightman, "MobileNet Baselines", 2024); the
    EfficientNet paper has 76.3 %. Nothing is published for DNA's students or for 600 epochs;
    "ResNet strikes back" saw no gain for EfficientNet-B0 from 600 epochs.
    """
    config = _or_default(config)
    imagenet_images(config)
    config.retrain.update(
        epochs=epochs,
        batch_size=LARGE_BATCH,
        accumulate=parts,
        optimizer="adamw",
        learning_rate=4e-3,
        reference_batch_size=LARGE_BATCH,
        schedule="cosine",
        warmup_epochs=20.0,
        weight_decay=0.05,
        label_smoothing=0.1,
        dropout=0.2,
        drop_connect=0.1,
        ema_decay=0.9999,
        crop_area=0.08,
        color_jitter=0.0,
        randaugment_ops=2,
        randaugment_magnitude=9.0,
        erase=0.25,
        mixup=0.1,
        cutmix=1.0,
        rating_every=IMAGENET_RATING_EVERY,
        checkpoint_seconds=600.0,
    )
    return config.retrain


def small(config=None, epochs=40):
    """CIFAR-10 and -100 at 32x32 from scratch, teachers and students alike.

    Shifts of four pixels and flips, as is usual for these images; AdamW with a cosine, for
    short trainings.

    Args:
        config: a config, changed in place; `None` is a fresh default one.
        epochs: of a student; teachers train half as long.
    """
    config = _or_default(config)
    config.data.update(image_size=32, crop_fraction=1.0, shift=0.125, flip=True)
    for recipe, number in ((config.teacher_training, epochs // 2), (config.retrain, epochs)):
        recipe.update(
            epochs=number,
            batch_size=128,
            optimizer="adamw",
            learning_rate=2e-3,
            reference_batch_size=128,
            schedule="cosine",
            weight_decay=0.05,
            checkpoint_seconds=60.0,
        )
    return config.retrain


def transfer(config=None, epochs=100):
    """Fine-tuning of a student that was trained on ImageNet; `retrain.start_from` names it.

    100 epochs of 50,000 images in batches of 256 are the 20,000 steps of the EfficientNet
    paper's transfer: SGD with Nesterov momentum and a cosine, crops and flips. The authors
    add colour jitter and erasing (issue 6 of their repository).

    Source: Kornblith et al., 2019, as in EfficientNet. Rate and weight decay are two values of
    their grid; choose them for each data set on its rating images.
    Published, DNA Table 3: DNA-c 98.3 % on CIFAR-10, 88.3 % on CIFAR-100.
    """
    config = _or_default(config)
    config.data.update(image_size=224, crop_fraction=1.0, flip=True)
    config.retrain.update(
        epochs=epochs,
        batch_size=256,
        optimizer="sgd",
        learning_rate=0.01,
        reference_batch_size=256,
        schedule="cosine",
        warmup_epochs=0.0,
        weight_decay=1e-4,
        label_smoothing=0.0,
        dropout=0.2,
        drop_connect=0.2,
        ema_decay=0.999,
        crop_area=0.2,
        color_jitter=0.06,
        erase=0.5,
        rating_every=1,
        take="best",
        checkpoint_seconds=60.0,
    )
    return config.retrain


def imagenet_images(config):
    """ImageNet at 224x224: the centre of 87.5 % is evaluated, bicubic; flips in training.

    Source: the authors' code, whose evaluation resizes the shorter side to 256, bicubic.
    """
    config.data.update(image_size=224, crop_fraction=0.875, interpolation="bicubic", flip=True)


def _or_default(config):
    return run_config.default_config() if config is None else config
