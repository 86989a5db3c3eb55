"""Small students and pictures for tests of exports."""

import keras
import numpy as np
from ai_edge_litert import interpreter

from dna_tf.common import files
from dna_tf.models import keras_files, students
from dna_tf.space import architectures, spaces, tasks

SIZE, CLASSES = 16, 5
_DRAWS = np.random.default_rng(0)
# Smooth pictures that differ in colour, so that a model tells them apart.
IMAGES = np.clip(
    _DRAWS.uniform(0, 255, (60, 1, 1, 3)) + _DRAWS.normal(0, 20, (60, SIZE, SIZE, 3)), 0, 255
).astype(np.float32)
_COLOURS = _DRAWS.uniform(0, 255, (CLASSES, 3))
_MEANS = IMAGES.mean((1, 2))
LABELS = np.linalg.norm(_MEANS[:, None] - _COLOURS, axis=-1).argmin(-1)


def tiny_architecture(activation="swish", se_ratio=0.25, classes=CLASSES):
    """An architecture of two blocks and three layers."""
    ops = (spaces.Op(3, 6), spaces.Op(5, 3))
    blocks = (architectures.BlockChoice(2, 16, ops), architectures.BlockChoice(1, 24, ops[:1]))
    frame = spaces.Frame(16, 2, 8, 64, activation, se_ratio)
    return architectures.Architecture("tiny", blocks, frame, tasks.Task(SIZE, 3, classes))


def tiny_student(images=IMAGES, spoiled=False, **kwargs):
    """A student that classifies colours: only its batch norms and its classifier are fitted.

    Args:
        images: the images to which the batch norms are fitted.
        spoiled: whether one channel of a map is far larger than the others. An int8 file cannot
            represent it, as all channels of a map share one scale.
        kwargs: arguments of `tiny_architecture`.
    """
    model = students.build_student(tiny_architecture(**kwargs), seed=2)
    if spoiled:
        _spoil(model)
    for _ in range(30):
        model(images, training=True)
    fit_classifier(model, IMAGES, LABELS)
    return model


def fit_classifier(model, images, labels):
    """Fits the classifier of a student by ridge regression."""
    pool = keras.Model(model.input, model.get_layer("head_pool").output)
    features = pool.predict(images, verbose=0).astype(np.float64)
    mean, classes = features.mean(0), model.output_shape[-1]
    inputs = features - mean
    square = inputs.T @ inputs
    targets = 4.0 * np.eye(classes)[labels] - 4.0 / classes
    # Small weights, for which 8 bits are enough.
    weights = np.linalg.solve(square + 1e-4 * np.trace(square) * np.eye(64), inputs.T @ targets)
    model.get_layer("classifier").kernel.assign(weights)
    model.get_layer("classifier").bias.assign(-mean @ weights)


def undelegated(content, **more):
    """A LiteRT interpreter without XNNPACK, so that it has the operators of the file.

    Args:
        content: the bytes of a TFLite file.
        more: other arguments of `Interpreter`.
    """
    kind = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return interpreter.Interpreter(
        model_content=content, experimental_op_resolver_type=kind, **more
    )


def write_student(workdir, model, arch):
    """Writes a student of seed 0 into a workdir, as training there would."""
    folder = workdir.student(arch.name, 0)
    keras_files.save_model(model, folder / "model.keras")
    architectures.save(arch, folder / "architecture.json")
    result = {"kind": "dna_tf.student", "architecture": arch.name, "test_accuracy": 0.125}
    files.write_json(folder / "result.json", result)


def _spoil(model, factor=300.0):
    norm = model.get_layer("block1_layer1_dw_bn")
    gamma, beta = norm.gamma.numpy(), norm.beta.numpy()
    # Swish does not change large positive numbers, so the channel is kept well above 0.
    gamma[0], beta[0] = factor / 30, factor
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    project = model.get_layer("block1_layer1_project_conv")
    kernel = project.kernel.numpy()
    kernel[:, :, 0, :] /= factor
    project.kernel.assign(kernel)
