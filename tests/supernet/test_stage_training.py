"""Learning rates, the images that are watched, and the images that outputs start from."""

import numpy as np

from dna_tf.data import loading
from dna_tf.supernet import phase_settings, stage_training
from tests.helpers.data_files import data_config, write_folder


def test_the_learning_rate_is_the_papers():
    settings = phase_settings.SupernetSettings(
        first_block_learning_rate=0.002, learning_rate=0.005, learning_rate_decay=0.9
    )
    rates = [
        [stage_training.learning_rate(settings, block, e) for e in (0, 1, 19)] for block in range(3)
    ]
    np.testing.assert_allclose(rates[0], [0.002, 0.0018, 0.000270170], rtol=1e-5)
    np.testing.assert_allclose(rates[1], [0.005, 0.0045, 0.000675426], rtol=1e-5)
    assert rates[2] == rates[1]


def test_held_out_images_are_of_all_classes(tmp_path):
    write_folder(tmp_path, ["ant", "bee", "cat"], 20)
    config = data_config(source=f"folder:{tmp_path}", rating_per_class=6, image_size=8)
    loaded = loading.load(config, 0)
    images, maps = stage_training.held_out_maps(lambda x: (x + 1.0,), loaded, 6)
    np.testing.assert_array_equal(maps, images + 1.0)
    pixels, labels = loaded.arrays("rating")
    label_of = {x.tobytes(): int(y) for x, y in zip(pixels, labels, strict=True)}
    assert {label_of[x.tobytes()] for x in images.numpy()} == {0, 1, 2}


def test_outputs_start_with_the_statistics_of_images_of_all_classes(tmp_path):
    write_folder(tmp_path, ["ant", "bee", "cat"], 20)
    loaded = loading.load(
        data_config(source=f"folder:{tmp_path}", rating_per_class=6, image_size=8), 0
    )
    starts = stage_training.start_statistics(
        lambda x: (x + 1.0, x[:, ::2, ::2] * 2.0), loaded, batch_size=8
    )
    pixels, _ = loaded.arrays("train")  # 42 images, fewer than are asked for
    expected = [pixels + 1.0, pixels[:, ::2, ::2] * 2.0]
    for (mean, deviation), maps in zip(starts, expected, strict=True):
        np.testing.assert_allclose(mean, maps.mean((0, 1, 2)), rtol=1e-4)
        np.testing.assert_allclose(deviation, maps.std((0, 1, 2)), rtol=1e-3)
