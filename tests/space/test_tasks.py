"""Tasks: their numbers are checked."""

import pytest

from dna_tf.space import tasks


def test_a_task_of_the_shape_of_images():
    task = tasks.Task.from_image_shape((32, 32, 1), 7)
    assert task == tasks.Task(image_size=32, channels=1, num_classes=7)
    assert str(task) == "32 px with 1 channels and 7 classes"
    assert tasks.Task() == tasks.Task(224, 3, 1000)


@pytest.mark.parametrize("name", ["image_size", "channels", "num_classes"])
@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "3", None])
def test_numbers_that_are_not_whole_and_above_0_are_refused(name, bad):
    with pytest.raises(ValueError) as caught:
        tasks.Task(**{name: bad})
    assert str(caught.value) == f"{name} must be a whole number above 0. Received: {bad!r}"
