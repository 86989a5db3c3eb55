"""Split depthwise kernels compute what whole ones do, by operators that XNNPACK has."""

import keras
import numpy as np
import pytest
from ai_edge_litert import interpreter

from dna_tf.export import conversion, prepare, split_kernels
from dna_tf.models import litert
from tests.helpers import small_exports

pytestmark = pytest.mark.usefixtures("seeded")


def _pair(size, shape, **settings):
    image = keras.Input(shape)
    settings = {"padding": "same", "bias_initializer": "random_normal", **settings}
    layer = keras.layers.DepthwiseConv2D(size, name="large", **settings)
    model = keras.Model(image, layer(image))
    return model, split_kernels.split(model)


@pytest.mark.parametrize("size", [(6, 6), (7, 7), (9, 9), (13, 2), (3, 9), (2, 25), (31, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_split_kernels_compute_the_same(size, stride, padding):
    for shape in ((33, 27, 2), (14, 15, 5), (9, 8, 3), (5, 2, 4), (2, 3, 4), (1, 1, 3)):
        if padding == "valid" and (size[0] > shape[0] or size[1] > shape[1]):
            continue
        model, split = _pair(size, shape, strides=stride, padding=padding, activation="relu")
        assert split is not model
        images = np.random.RandomState(0).normal(size=(2, *shape)).astype(np.float32)
        np.testing.assert_allclose(split(images), model(images), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(
            split.get_layer("large").kernel, model.get_layer("large").kernel
        )


@pytest.mark.parametrize(
    "size, settings",
    [
        *((5, {}), ((7, 3), {}), ((1, 25), {}), (3, {"strides": 2})),
        *((7, {"dilation_rate": 2}), (7, {"depth_multiplier": 2})),
    ],
)
def test_other_kernels_are_left_alone(size, settings):
    model, split = _pair(size, (16, 25, 4), **settings)
    assert split is model


def test_parts_have_no_more_taps_than_xnnpack_takes():
    assert split_kernels.row_parts((7, 7)) == (3, 3, 1)
    assert split_kernels.row_parts((9, 9)) == (2, 2, 2, 2, 1)
    for height in range(1, 40):
        for width in range(1, 26):
            parts = split_kernels.row_parts((height, width))
            assert sum(parts) == height and max(parts) * width <= 25


def _kernels(content):
    """Height and width of the depthwise kernels of a file."""
    lite = small_exports.undelegated(content)
    lite.allocate_tensors()
    shapes = {d["index"]: tuple(d["shape"]) for d in lite.get_tensor_details()}
    ops = [op for op in lite._get_ops_details() if op["op_name"] == "DEPTHWISE_CONV_2D"]
    return [shapes[op["inputs"][1]][1:3] for op in ops]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_files_have_small_kernels_and_the_same_scores(precision):
    images = small_exports.IMAGES
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, name="stem")(image)
    x = keras.layers.DepthwiseConv2D(7, padding="same", name="large")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(5)(x))
    prepared = prepare.prepare(model)
    assert prepared.whole is model
    content = conversion.convert(prepared.model, precision, images, io="float32")
    whole = prepare.prepare(model, split=False).model
    assert whole is model
    assert _kernels(conversion.convert(whole, precision, images)) == [(7, 7)]
    assert _kernels(content) == [(3, 7), (3, 7), (1, 7)]
    if precision == "int8":  # the parts are still known by their layer
        kept = conversion.FloatLayers(prepared.model, images).nodes.values()
        assert sum("large" in layers for layers in kept) >= 3
    lite = interpreter.Interpreter(model_content=content)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], images[:1])
    lite.invoke()
    scores = lite.get_tensor(lite.get_output_details()[0]["index"])
    expected = model.predict_on_batch(images[:1])
    bound = {"float32": 1e-4, "int8": 0.05}[precision] * np.abs(expected).max()
    assert np.abs(scores - expected).max() < bound


@pytest.mark.parametrize("size, stride", [(1, 1), (2, 1), (2, 2), (3, 2), (4, 2)])
def test_int8_files_of_maps_smaller_than_the_kernel_run(size, stride):
    model, split = _pair(7, (size, size, 16), strides=stride)
    assert split is not model
    images = np.random.RandomState(0).normal(size=(40, size, size, 16)).astype(np.float32)
    content = conversion.convert(split, "int8", images)
    scores = litert.TFLitePredictor(content, "the file").scores(images)  # with XNNPACK
    expected = model.predict(images, verbose=0)
    assert np.abs(scores - expected.reshape(scores.shape)).max() < 0.03 * np.ptp(expected)
