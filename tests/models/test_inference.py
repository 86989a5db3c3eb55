"""Model files of every kind answer as the Keras model that they were made of; correct answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.export import conversion
from dna_tf.models import inference
from tests.helpers import devices

SIZE, CLASSES = 12, 7


def _model(flatten=False):
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = keras.layers.Conv2D(6, 3, 2, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x) if flatten else keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.9)(x)  # would spoil the answers, were it at work
    return keras.Model(image, keras.layers.Dense(CLASSES)(x))


@pytest.fixture(scope="module")
def model_files(tmp_path_factory):
    """`(model, images, folder)`; the folder holds the model in every form."""
    keras.utils.set_random_seed(0)
    folder, model = tmp_path_factory.mktemp("models"), _model()
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (23, SIZE, SIZE, 3)).astype(np.float32)
    norm = model.layers[3]
    norm.set_weights([rng.rand(6) + 0.5, rng.rand(6), rng.rand(6), rng.rand(6) + 0.5])
    model.save(folder / "model.keras")
    _model(flatten=True).save(folder / "flatten.keras")
    model.export(folder / "exported", verbose=False)
    fixed = tf.function(lambda x: {"scores": model(x, training=False)})
    signature = fixed.get_concrete_function(tf.TensorSpec((4, SIZE, SIZE, 3), tf.float32))
    module = tf.Module()
    module.model = model
    tf.saved_model.save(module, str(folder / "fixed"), signatures={"answer": signature})
    tf.saved_model.save(tf.Module(), str(folder / "empty"))
    for precision in ("float32", "float16", "dynamic", "int8"):
        (folder / f"{precision}.tflite").write_bytes(conversion.convert(model, precision, images))
    two = keras.Model(model.input, [model.output, model.output])
    two.save(folder / "two.keras")
    return model, images, folder


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("model.keras", 1e-6),
        ("exported", 1e-6),
        ("fixed", 1e-6),
        ("float32.tflite", 1e-5),
        ("float16.tflite", 5e-3),
        ("dynamic.tflite", 2e-2),
        ("int8.tflite", 5e-2),
    ],
)
def test_every_form_answers_as_keras(model_files, name, tolerance):
    model, images, folder = model_files
    expected = model.predict(images, verbose=0)
    predict = inference.open_model(folder / name)
    assert (predict.input_shape, predict.num_outputs) == ((SIZE, SIZE, 3), CLASSES)
    for count in (23, 5, 1):
        scores = inference.as_array(predict.scores(tf.constant(images[:count])))
        assert scores.shape == (count, CLASSES)
        difference = np.max(np.abs(scores - expected[:count]))
        # On GPUs Keras compiles `predict`, whose products then have 10 bits after the point.
        assert difference <= max(tolerance, 1e-3 * devices.HAS_GPU) * np.ptp(expected)
    again = inference.open_model(folder / name)
    assert again.fingerprint == predict.fingerprint


def test_other_weights_and_other_layers_have_another_fingerprint(model_files, tmp_path):
    model, _, folder = model_files
    first = inference.open_model(folder / "model.keras").fingerprint
    other = keras.models.clone_model(model)
    other.set_weights([w * 1.001 for w in model.get_weights()])
    other.save(tmp_path / "weights.keras")
    model.layers[2].activation = keras.activations.tanh
    try:
        model.save(tmp_path / "tanh.keras")
    finally:
        model.layers[2].activation = keras.activations.relu
    fingerprints = {inference.open_model(p).fingerprint for p in sorted(tmp_path.iterdir())}
    assert len(fingerprints | {first}) == 3


def test_a_keras_model_runs_at_another_size(model_files, capsys):
    model, _, folder = model_files
    images = np.random.RandomState(1).randint(0, 256, (3, 18, 18, 3)).astype(np.float32)
    predict = inference.open_model(folder / "model.keras", 18)
    assert "was made for 12x12 and runs at 18x18" in capsys.readouterr().out
    assert predict.input_shape == (18, 18, 3)
    x = keras.Input((None, None, 3))
    y = x
    for layer in model.layers[1:]:
        y = layer(y)
    expected = keras.Model(x, y).predict(images, verbose=0)
    np.testing.assert_allclose(predict.scores(images), expected, atol=1e-6)


def test_what_cannot_be_run_is_refused(model_files, tmp_path):
    _, _, folder = model_files
    (tmp_path / "text.txt").write_text("x")
    for path, size, message in (
        (tmp_path / "no.keras", None, "There is no model file"),
        (tmp_path / "no.tflite", None, "There is no model file"),
        (tmp_path / "text.txt", None, r"\.keras or \.tflite file\. Received: .*text\.txt"),
        (tmp_path, None, "is not a SavedModel: it has no file saved_model.pb"),
        (folder / "empty", None, "has no signature"),
        (folder / "two.keras", None, r"from images to scores .*outputs \[\(None, 7\), \(None, 7\)"),
        (folder / "flatten.keras", 18, r"images of 12x12x3 and cannot run at 18x18: a layer"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            inference.open_model(path, size)


def _classifier():
    image = keras.Input((2, 2, 1))
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dropout(0.9)(x)  # would spoil the answers, were it at work
    return keras.Model(image, keras.layers.Dense(4)(x))


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("batch_size", [1, 7, 30, 100])
def test_right_answers_are_counted_as_numpy_counts_them(batch_size):
    model = _classifier()
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (30, 2, 2, 1)).astype(np.float32)
    labels = rng.integers(0, 4, 30).astype(np.int32)
    dense = model.layers[-1]
    scores = images.reshape(30, 4) @ dense.kernel.numpy() + dense.bias.numpy()
    expected = int(np.sum(scores.argmax(1) == labels))
    assert 0 < expected < 30
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)
    assert inference.count_correct(model, dataset) == (expected, 30)
    starts = range(0, 30, batch_size)
    pairs = [(images[i : i + batch_size], labels[i : i + batch_size]) for i in starts]
    assert inference.count_correct(model, pairs) == (expected, 30)


@pytest.mark.usefixtures("seeded")
def test_devices_share_the_images_of_a_batch():
    model = _classifier()
    images = np.random.default_rng(0).normal(0, 1, (7, 2, 2, 1)).astype(np.float32)
    spread = inference.class_function(model, ["CPU:0"] * 3)
    for count in (7, 6, 1):
        expected = inference.class_function(model)(images[:count])
        np.testing.assert_array_equal(spread(images[:count]), expected)
    names = ["/device:GPU:0", "/device:GPU:1"]
    graph = inference.class_function(model, names).get_concrete_function(images).graph
    operations = [op for op in graph.get_operations() if op.type == "MatMul"]
    assert sorted(op.device for op in operations) == names


def test_without_images_nothing_is_counted():
    assert inference.count_correct(_classifier(), []) == (0, 0)
