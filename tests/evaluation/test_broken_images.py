"""Images to evaluate on: broken ones are left out."""

import pytest

from dna_tf.evaluation import evaluation_images
from tests.helpers.data_files import broken_data


@pytest.mark.parametrize("kind", ["folder", "tfrecord"])
def test_evaluation_leaves_broken_images_out_too(tmp_path, capsys, kind):
    broken = (1, 13, 26)
    config = broken_data(kind, tmp_path, broken=broken, max_broken_images=3)
    images = evaluation_images.of_source(config)
    assert "3 images cannot be decoded and are left out." in capsys.readouterr().err
    pairs = [(x.tobytes(), int(y[0])) for x, y in images.dataset(1).as_numpy_iterator()]
    whole = evaluation_images.of_source(broken_data(kind, tmp_path / "good"))
    good = [(x.tobytes(), int(y[0])) for x, y in whole.dataset(1).as_numpy_iterator()]
    assert (images.count, len(pairs), len(good)) == (33, 33, 36)
    assert set(pairs) < set(good)
    few = [y for _, y in evaluation_images.of_source(config, limit=30).dataset(40)]
    assert few[0].shape == (30,)
    config.max_broken_images = 0
    assert evaluation_images.of_source(config).fingerprint != images.fingerprint
    config.max_broken_images = 2
    with pytest.raises(ValueError, match=r"3 images cannot be .* allows 2"):
        evaluation_images.of_source(config)
