"""Event files: read back with TensorBoard's own readers."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from dna_tf.training import tensorboard
from tests.helpers import toy_training
from tests.helpers.toy_training import EPOCHS, STEPS


def _shown(folder):
    """What TensorBoard shows: a dict from name to a list of `(step, value)`, images as arrays.

    Both of its readers must agree: the one of its pages and the one for programs.
    """
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    plugins = pytest.importorskip("tensorboard.backend.event_processing.plugin_event_accumulator")
    for_programs = accumulators.EventAccumulator(str(folder)).Reload()
    for_pages = plugins.EventAccumulator(str(folder)).Reload()
    tags = for_programs.Tags()
    curves = {
        tag: [(e.step, e.value) for e in for_programs.Scalars(tag)] for tag in tags["scalars"]
    }
    for tag, points in curves.items():
        events = for_pages.Tensors(tag)
        assert [(e.step, tf.make_ndarray(e.tensor_proto).item()) for e in events] == points
    for tag in tags["images"]:
        images = [(e.step, e.encoded_image_string) for e in for_programs.Images(tag)]
        events = for_pages.Tensors(tag)
        # Width, height, and the images.
        pictures = [(e.step, tf.make_ndarray(e.tensor_proto)[2]) for e in events]
        assert pictures == images
        curves[tag] = [(step, tf.io.decode_png(png).numpy()) for step, png in images]
        sizes = [(e.height, e.width) for e in for_programs.Images(tag)]
        assert sizes == [image.shape[:2] for _, image in curves[tag]]
    assert set(curves) == set(for_pages.Tags()["tensors"])
    return curves


def _records(folder):
    """All events in the files, by TensorFlow's own reader, in order."""
    paths = sorted(str(path) for path in folder.iterdir())
    return [event for path in paths for event in tf.compat.v1.train.summary_iterator(path)]


def test_scalars_and_images_are_shown(tmp_path):
    image = np.random.RandomState(0).randint(0, 256, (5, 7, 3)).astype(np.uint8)
    with tensorboard.Watcher(tmp_path / "new" / "run") as watcher:
        watcher.start(1)
        watcher.scalars(10, {"loss/block1_cell1": 0.1, "images_per_second": 250})
        watcher.image(10, "maps/block1", image)
        watcher.scalars(20, {"loss/block1_cell1": np.float32(-2.5e-20)})
        watcher.scalars(30, {})
    curves = _shown(tmp_path / "new" / "run")
    [(step, read)] = curves.pop("maps/block1")
    assert step == 10 and read.dtype == np.uint8 and np.array_equal(read, image)
    assert curves == {
        "loss/block1_cell1": [(10, np.float32(0.1)), (20, np.float32(-2.5e-20))],
        "images_per_second": [(10, 250.0)],
    }


def test_the_files_are_event_files_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # an import of it fails
    with tensorboard.Watcher(tmp_path) as watcher:
        watcher.start(8)
        watcher.scalars(9, {"rate": 0.5})
    version, start, event = _records(tmp_path)
    assert version.file_version == "brain.Event:2"
    assert start.step == 8 and start.session_log.status == start.session_log.START
    assert event.step == 9 and event.wall_time >= version.wall_time > 1e9
    assert [(value.tag, value.simple_value) for value in event.summary.value] == [("rate", 0.5)]


def test_there_is_no_file_before_there_is_something_to_show(tmp_path):
    with tensorboard.Watcher(tmp_path / "run") as watcher:
        watcher.start(3)
        watcher.flush()
        watcher.scalars(4, {})
    assert not list(tmp_path.iterdir())


def test_what_was_written_can_be_seen_at_once(tmp_path):
    watcher = tensorboard.Watcher(tmp_path)
    for step in range(1, 4):
        watcher.scalars(step, {"rate": 0.5})
        assert _records(tmp_path)[-1].step == step
    watcher.close()
    watcher.close()  # harmless


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=lambda bad: f"{bad.dtype}{bad.shape}",
)
def test_what_is_no_image_is_refused(tmp_path, bad):
    watcher = tensorboard.Watcher(tmp_path / "run")
    with pytest.raises(ValueError, match=r"'maps' must be a uint8 array \(height, width, 3\)"):
        watcher.image(1, "maps", bad)
    assert not list(tmp_path.iterdir())


def test_a_program_that_starts_again_takes_back_what_it_repeats(tmp_path):
    image = np.zeros((2, 2, 3), np.uint8)
    first = tensorboard.Watcher(tmp_path)
    first.start(1)
    for step in (10, 20, 30, 40):
        first.scalars(step, {"a": step, "only_first": step})
        first.image(step, "image", image)
    again = tensorboard.Watcher(tmp_path)  # the first was killed, and never closed
    again.start(21)
    again.scalars(35, {"a": 350})
    again.start(31)  # the same program, once more
    again.scalars(32, {"a": 320})
    again.close()
    curves = _shown(tmp_path)
    assert curves["a"] == [(10, 10.0), (20, 20.0), (32, 320.0)]
    assert curves["only_first"] == [(10, 10.0), (20, 20.0)]
    assert [step for step, _ in curves["image"]] == [10, 20]


def test_the_half_record_of_a_killed_program_harms_nothing(tmp_path):
    with tensorboard.Watcher(tmp_path) as first:
        first.start(1)
        for step in (10, 20):
            first.scalars(step, {"a": step})
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    with tensorboard.Watcher(tmp_path) as again:
        again.start(11)
        again.scalars(15, {"a": 15})
    assert _shown(tmp_path)["a"] == [(10, 10.0), (15, 15.0)]


class Noted:
    """A watcher that keeps its figures."""

    seconds = 10.0

    def __init__(self):
        self.began, self.figures, self.calls = [], [], []

    def start(self, first_step):
        self.began.append(first_step)

    def scalars(self, step, figures):
        self.figures.append((step, figures))

    def flush(self):
        self.calls.append("flush")


def test_the_loop_gives_means_since_the_last_time_and_the_rate(tmp_path, monkeypatch):
    clock, toy, noted = toy_training.Clock(monkeypatch), toy_training.Toy(), Noted()
    seen = []

    def step(batch, number):
        seen.append({n: float(value) for n, value in toy.step(batch, number).items()})
        clock.seconds += 100.0 if number == 0 else 5.0  # the first one traces
        return {name: tf.constant(value) for name, value in seen[-1].items()}

    def on_epoch(epoch):
        clock.seconds += 1000.0
        return {"relative_l1/block1_cell1": 0.5 * epoch}

    toy_training.run(
        tmp_path, toy, step, seconds=1e9, images_per_step=32, on_epoch=on_epoch, watcher=noted
    )
    assert noted.began == [1]
    # The first step takes ten seconds alone, then two do; an epoch's end is always one.
    times = [(0, 1), (1, 3), (3, 4), (4, 6), (6, 8), (8, 8), (8, 10), (10, 12), (12, 12)]
    assert [step for step, _ in noted.figures] == [end for _, end in times]
    for (begin, end), (_, figures) in zip(times, noted.figures, strict=True):
        figures = dict(figures)
        rate = figures.pop("images_per_second", None)
        assert rate == (pytest.approx(32 / 5) if end > max(begin, 1) else None)
        ended = figures.pop("relative_l1/block1_cell1", None)
        is_end = (begin, end) in ((3, 4), (8, 8), (12, 12))
        assert ended == (0.5 * (end // STEPS - 1) if is_end else None)
        part = seen[begin:end]
        for name in ("loss", "norm") if part else ():
            mean = np.mean([of_step[name] for of_step in part])
            assert figures.pop(name) == pytest.approx(mean, rel=1e-5, abs=1e-6)
        assert not figures


def test_the_losses_of_cells_are_one_group_and_failed_ones_are_left_out(tmp_path):
    cells, noted = toy_training.Cells(block1_cell2=5), Noted()
    toy_training.run(tmp_path, cells, watcher=noted, failures=cells.failures)
    for step, figures in noted.figures:
        figures.pop("images_per_second", None)
        alive = (1, 3) if step > 5 else (1, 2, 3)
        if figures:
            assert list(figures) == [f"loss/block1_cell{c}" for c in alive]
            assert np.isfinite(list(figures.values())).all()
    assert noted.figures[-1][0] == EPOCHS * STEPS


def test_all_is_on_the_disk_before_a_checkpoint(tmp_path, monkeypatch):
    noted = Noted()
    save = toy_training.loop.checkpoints.Checkpoint.save

    def noted_save(self, state):
        noted.calls.append(state["epoch"] * STEPS + state["step"])
        save(self, state)

    monkeypatch.setattr(toy_training.loop.checkpoints.Checkpoint, "save", noted_save)
    toy_training.run(tmp_path, toy_training.Toy(), watcher=noted)
    saves = [call for call in noted.calls if call != "flush"]
    assert noted.calls == [call for number in saves for call in ("flush", number)]


def _train(folder, step=None, toy=None, **more):
    toy = toy_training.Toy() if toy is None else toy
    on_epoch = {"on_epoch": lambda epoch: {"quality": float(tf.norm(toy.weights))}}
    watcher = tensorboard.Watcher(folder / "watch", seconds=0.0)  # after every step
    return toy_training.run(folder, toy, step, watcher=watcher, **{**on_epoch, **more})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    _train(folder)
    return _curves(folder)


def _curves(folder):
    curves = _shown(folder / "watch")
    curves.pop("images_per_second")
    return curves


def _compare(points, expected):
    """Asserts that two curves have the same steps, and but for rounding the same values."""
    assert [step for step, _ in points] == [step for step, _ in expected]
    values = [value for _, value in points]
    assert values == pytest.approx([value for _, value in expected], rel=1e-5, abs=1e-6)


def test_an_uninterrupted_run_is_shown_step_by_step(whole):
    steps = {name: [step for step, _ in points] for name, points in whole.items()}
    every = list(range(1, EPOCHS * STEPS + 1))
    assert steps == {"loss": every, "norm": every, "quality": [4, 8, 12]}


@pytest.mark.parametrize("seconds", [0, 1e9], ids=["saved", "by-epochs"])
@pytest.mark.parametrize("number", range(1, EPOCHS * STEPS))
def test_a_run_that_was_cut_off_is_shown_as_one_that_was_not(
    tmp_path, whole, monkeypatch, number, seconds
):
    monkeypatch.setattr(toy_training.loop, "EPOCH_END_SECONDS", -1.0)
    toy = toy_training.Toy()
    with pytest.raises(toy_training.Cut):
        _train(tmp_path, toy_training.cut_at(toy, number), toy, seconds=seconds)
    with pytest.raises(toy_training.Cut):  # and again, later
        toy = toy_training.Toy()
        _train(tmp_path, toy_training.cut_at(toy, min(number + 3, 11)), toy, seconds=seconds)
    _train(tmp_path, seconds=seconds)
    curves = _curves(tmp_path)
    assert set(curves) == set(whole)
    for name, points in curves.items():
        _compare(points, whole[name])


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_an_end_of_an_epoch_that_comes_again_is_shown_once(tmp_path, whole, monkeypatch, epoch):
    toy_training.Clock(monkeypatch)
    toy, save = toy_training.Toy(), toy_training.loop.checkpoints.Checkpoint.save

    def cut(self, state):
        if state["epoch"] == epoch + 1:
            raise toy_training.Cut  # shown, and not saved
        save(self, state)

    with monkeypatch.context() as patched:
        patched.setattr(toy_training.loop, "EPOCH_END_SECONDS", -1.0)
        patched.setattr(toy_training.loop.checkpoints.Checkpoint, "save", cut)
        with pytest.raises(toy_training.Cut):
            _train(tmp_path, toy=toy, seconds=-1)
    assert [step for step, _ in _shown(tmp_path / "watch")["quality"]][-1] == (epoch + 1) * STEPS
    _train(tmp_path, seconds=-1)
    curves = _shown(tmp_path / "watch")
    _compare(curves["quality"], whole["quality"])
    steps = [step for step, _ in curves["loss"]]
    assert steps == sorted(set(steps))
    # The last step's own figures went with the end that was taken back; no others did.
    assert set(range(1, 13)) - set(steps) == {(epoch + 1) * STEPS}


def test_a_run_that_was_finished_writes_no_file(tmp_path):
    _train(tmp_path)
    before = sorted((tmp_path / "watch").iterdir())
    _train(tmp_path)
    assert len(before) == 1 and sorted((tmp_path / "watch").iterdir()) == before


def test_an_error_of_the_disk_names_the_folder(tmp_path, monkeypatch):
    def fails(path):
        raise tf.errors.PermissionDeniedError(None, None, f"{path}; Permission denied")

    monkeypatch.setattr(tf.io, "TFRecordWriter", fails)
    with pytest.raises(OSError) as caught:
        tensorboard.Watcher(tmp_path).scalars(1, {"loss": 1.0})
    text = str(caught.value)
    assert text.startswith(f"The file {tmp_path}/events.out.tfevents could not be written: ")
    assert text.endswith(
        "Permission denied. Allow writing into its folder, or take another folder."
    )
