"""Fine-tuning of tf_keras classifiers by the project's loop: seeded, resumed to the bit.

The models of quantisation-aware training and pruning are of tf_keras, which the trainer of
students (`classifier`) does not take. Loop, batches and learning rates are the same.
"""

import tensorflow as tf

from dna_tf.compression import tf_keras_bridge
from dna_tf.training import loop, optimizers


def fine_tune(label, folder, model, images, section, seed):
    """Trains a classifier for a few epochs by Adam, resuming where a run was killed.

    Args:
        label: what the progress line says.
        folder: where `checkpoints/` and `history.json` go.
        model: a `tf_keras.Model` from images in 0..255 to logits `(batch, num_classes)`;
            it is changed. It must draw nothing at random: such draws are not resumed.
        images: a `labelled_images.Images`.
        section: a config section with `epochs`, `batch_size`, `learning_rate` (it falls to
            zero by a cosine) and `checkpoint_seconds`.
        seed: decides order and augmentation of the images.

    Returns:
        The history: a dict with `loss` and `accuracy` of training for each epoch.

    Raises:
        ValueError: the loss is not finite, or there are fewer images than a batch.
    """
    tf_keras = tf_keras_bridge.import_tf_keras()
    steps = images.steps_per_epoch(section.batch_size)
    rates = optimizers.Schedule(section.learning_rate, 0, section.epochs * steps, "cosine")
    optimizer = tf_keras.optimizers.Adam(section.learning_rate)
    weights = list(model.trainable_variables)
    optimizer.build(weights)

    @tf.function
    def update(shown, labels):
        with tf.GradientTape() as tape:
            logits = model(shown, training=True)
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
    """Without repetitions: wrappers list the variables of what they wrap again."""
    return list({id(variable): variable for variable in variables}.values())
