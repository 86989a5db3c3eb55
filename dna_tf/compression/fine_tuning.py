"""Fine-tunes tf_keras classifiers: seeded, and resumed to the bit after a kill.

The models of quantisation-aware training and pruning are tf_keras models, which the trainer of
students (`classifier`) does not take. Loop, batches and learning rates are the same.
"""

import tensorflow as tf

from dna_tf.compression import tf_keras_bridge
from dna_tf.training import loop, optimizers


def fine_tune(label, folder, model, images, section, seed, device=None):
    """Trains a classifier for a few epochs by Adam; a killed training resumes.

    Args:
        label: the text of the progress line.
        folder: where `checkpoints/` and `history.json` go.
        model: a `tf_keras.Model` from images in 0..255 to logits `(batch, num_classes)`,
            which is trained in place. It must not draw random numbers: these would not be
            resumed.
        images: a `labelled_images.Images`.
        section: settings with `epochs`, `batch_size`, `learning_rate` (falls to zero by a
            cosine) and `checkpoint_seconds`.
        seed: decides order and augmentation of the images.
        device: the device on which it trains, where the model's variables are; `None` leaves it
            to TensorFlow.

    Returns:
        The history: a dict with `loss` and `accuracy` of training for each epoch.

    Raises:
        ValueError: the loss is not finite, or there are fewer images than a batch.
    """
    tf_keras = tf_keras_bridge.import_tf_keras()
    steps = images.steps_per_epoch(section.batch_size)
    rates = optimizers.Schedule(section.learning_rate, 0, section.epochs * steps, "cosine")
    weights = list(model.trainable_variables)
    with tf.device(device):
        optimizer = tf_keras.optimizers.Adam(section.learning_rate)
        optimizer.build(weights)

    @tf.function
    def update(pixels, labels):
        with tf.device(device):
            return update_there(pixels, labels)

    def update_there(pixels, labels):
        with tf.GradientTape() as tape:
            logits = model(pixels, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        right = tf.argmax(logits, -1, tf.int32) == tf.cast(labels, tf.int32)
        return {"loss": loss, "accuracy": tf.reduce_mean(tf.cast(right, tf.float32))}

    def step(batch, number):
        optimizer.learning_rate.assign(rates(number))
        return update(*batch)

    def batches(epoch, skip):
        return images.epoch(section.batch_size, epoch, seed, skip_batches=skip)

    with images.reading():
        return loop.run(
            step=step,
            batches=batches,
            epochs=section.epochs,
            steps_per_epoch=steps,
            keep=loop.Keep(
                folder,
                _each_once([*model.variables, *optimizer.variables]),
                section.checkpoint_seconds,
            ),
            show=loop.Show(label, section.batch_size),
        )


def _each_once(variables):
    """Drops repetitions: wrappers list the variables of the layers that they wrap again."""
    return list({id(variable): variable for variable in variables}.values())
