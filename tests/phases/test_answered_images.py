"""Images without labels: the model's answers stand for labels."""

import keras
import numpy as np
import pytest

from dna_tf.config import run_config
from dna_tf.data import loading, sources
from dna_tf.phases import answered_images, compressing
from tests.helpers.data_files import picture, png

SIZE = 12


def _model(bias=0.0):
    """Answers with the channel that has the largest mean."""
    image = keras.Input((SIZE, SIZE, 3))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    answer = keras.layers.Dense(4, activation="softmax")
    model = keras.Model(image, answer(mean))
    weights = np.zeros((3, 4), np.float32)
    weights[[0, 1, 2], [0, 1, 3]] = 50.0
    answer.set_weights([weights, np.array([0, 0, bias, 0], np.float32)])
    return model


def _photos(folder, count=24):
    """Writes images in which one channel is the brightest; returns that channel of each."""
    brightest = {}
    for number in range(count):
        name = f"{number:02}.png" if number % 2 else f"below/{number:02}.png"
        pixels = picture(number, SIZE, SIZE) // 2
        pixels[..., number % 3] += 100
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(pixels))
        brightest[name] = number % 3
    (folder / ".hidden.png").write_bytes(b"no image")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "0.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    return brightest


def _data():
    config = run_config.default_config()
    config.data.update(image_size=SIZE, channels=3)
    return config.data


def test_each_image_has_the_models_answer(tmp_path, capsys):
    expected = _photos(tmp_path / "photos")
    source = f"images:{tmp_path}/photos"
    path = tmp_path / "run" / "answers.csv"
    listed = answered_images.label(source, _model(), _data(), path)
    assert listed == f"list:{path}"
    assert "3 of its classes" in capsys.readouterr().out
    data = _data()
    data.update(source=listed, num_classes=4, rating_fraction=0.2)
    opened = sources.open_source(data)
    names = sorted(expected)
    assert opened.labels().tolist() == [(0, 1, 3)[expected[name]] for name in names]
    assert [opened.place(n) for n in range(3)] == [f"{tmp_path}/photos/{n}" for n in names[:3]]
    assert loading.load(data, 0).num_classes == 4


def test_images_that_tell_nothing_are_refused(tmp_path):
    _photos(tmp_path / "photos")
    cases = (
        ("none", 0.0, FileNotFoundError, "There is no folder"),
        ("empty", 0.0, ValueError, r"holds no images .*It holds: notes\.txt"),
        ("photos", 1e3, ValueError, r"answers class 2 for all 24 images.*--preprocessing"),
    )
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    for folder, bias, error, message in cases:
        path = tmp_path / "answers.csv"
        with pytest.raises(error, match=message):
            answered_images.label(f"images:{tmp_path}/{folder}", _model(bias), _data(), path)
        assert not path.exists()


def test_only_a_folder_of_images_is_asked():
    assert answered_images.folder_of("images:photos") == "photos"
    assert (
        answered_images.folder_of("folder:photos") is answered_images.folder_of("images:") is None
    )


@pytest.mark.slow
def test_a_run_without_labels_learns_from_the_answers_alone(tmp_path):
    keras.utils.set_random_seed(0)  # before layers draw their weights
    layers, image = keras.layers, keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255)(image)
    for width in (8, 16):
        x = layers.Conv2D(width, 3, 2, "same", activation="relu")(x)
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, x).save(tmp_path / "model.keras")
    _photos(tmp_path / "photos", 60)
    config = compressing.new_config(
        run_config.default_config(),
        tmp_path / "model.keras",
        f"images:{tmp_path}/photos",
        overrides={"supernet.epochs": 1},
        answers=tmp_path / "answers.csv",
    )
    assert config.data.num_classes == 3 and config.data.rating_fraction == 0.1
    assert (config.fine_tune.labels, config.fine_tune.answers) == (0.0, 1.0)
    source = sources.open_source(config.data)
    model = keras.models.load_model(tmp_path / "model.keras")
    files = [source.place(number) for number in range(60)]
    pixels = np.stack([keras.utils.img_to_array(keras.utils.load_img(file)) for file in files])
    expected = model.predict(pixels, verbose=0).argmax(-1)
    np.testing.assert_array_equal(source.labels(), expected)
