"""The model that is exported: its rescaling is left to the caller, or stays."""

import keras
import numpy as np
import pytest
from ai_edge_litert import interpreter

from dna_tf.export import conversion, prepare
from dna_tf.models import litert, preprocessing
from tests.helpers import small_exports


@pytest.mark.parametrize("kind", ["zero_one", "minus_one_one", "torch"])
def test_every_kind_of_rescaling_is_recognised(kind):
    image = keras.Input((8, 8, 3))
    x = preprocessing.apply(kind, image)
    x = keras.layers.Conv2D(4, 3)(x)
    x = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalMaxPooling2D()(x))
    model = keras.Model(image, x)
    prepared = prepare.prepare(model, 0, "outside")
    assert prepared.preprocessing == kind and prepared.gives == "probabilities"
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    scores = prepared.model(prepared.images(pixels)).numpy()
    np.testing.assert_allclose(scores, model(pixels).numpy(), atol=1e-5)


def test_rescaling_that_is_not_at_the_start_stays():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(2.0, offset=1.0)(keras.layers.Rescaling(0.5, offset=3.0)(image))
    y = keras.layers.Rescaling(3.0, name="inner")(keras.layers.Conv2D(3, 1)(x))
    x = keras.layers.Add()([x, y])
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    prepared = prepare.prepare(model, 0, "outside")
    assert prepared.mean == (-7.0,) and prepared.std == (1.0,) and len(prepared.left_out) == 2
    assert prepared.preprocessing is None and prepared.model.get_layer("inner")
    bare = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    with pytest.raises(ValueError, match=r"starts with 'flatten\w*' \(Flatten\). Use 'inside'"):
        prepare.prepare(bare, 0, "outside")


def test_ranges_are_taken_from_what_the_file_is_given():
    model, images = small_exports.tiny_student(), small_exports.IMAGES
    prepared = prepare.prepare(model, 0, "outside")
    expected = model.predict(images, verbose=0).argmax(1)
    content = conversion.convert(prepared.model, "int8", prepared.images(images), "uint8")
    scores = litert.TFLitePredictor(content, "a file").scores(prepared.images(images))
    assert np.mean(scores.argmax(1) == expected) > 0.8
    (details,) = interpreter.Interpreter(model_content=content).get_input_details()
    scale, zero_point = details["quantization"]
    np.testing.assert_allclose([-zero_point * scale, (255 - zero_point) * scale], [-1, 1], atol=0.1)
