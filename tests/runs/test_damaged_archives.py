"""Damaged archives, weights, caches and checkpoints: read rightly, or refused by name."""

import io
import json
import pickle
import types
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from dna_tf.common import files
from dna_tf.data import label_checks, source_base
from dna_tf.features import shard_files
from dna_tf.models import keras_files, weight_files
from dna_tf.supernet import cell_files, cell_models, trained_cells
from dna_tf.training import kept_weights
from tests.helpers import mutations, toy_training
from tests.helpers.small_cells import SHAPES, SPACE

FAST, SLOW = 30, 2000


def _model():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="conv")(image)
    return keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))


def _npz(folder):
    path = folder / "weights.npz"
    np.savez(path, a=np.arange(6.0).reshape(2, 3), b=np.int64(7))

    def read():
        assert all(isinstance(array, np.ndarray) for array in weight_files.read(path).values())

    return path, path.read_bytes(), read, mutations.damaged


def _safetensors(folder):
    path, body = folder / "weights.safetensors", np.arange(6, dtype=np.float32).tobytes()
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
    }

    def read():
        arrays = weight_files.read(path)
        assert sum(array.nbytes for array in arrays.values()) <= 2 * len(body)

    def write(encoded):
        path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + body)

    return path, header, read, mutations.broken, write


def _keras(folder):
    path = folder / "model.keras"
    _model().save(path)

    def read():
        keras_files.load_model(path)(np.zeros((1, 8, 8, 3)))

    return path, path.read_bytes(), read, mutations.damaged


def _keras_config(folder):
    """The archive is whole, and the layers in it are not."""
    path = folder / "model.keras"
    _model().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def write(encoded):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, encoded if name == "config.json" else content)

    content = json.loads(parts["config.json"])
    return path, content, lambda: keras_files.load_model(path), mutations.broken, write


def _best_weights(folder):
    path = folder / "checkpoints" / "best.npz"
    best = kept_weights.BestWeights(folder, _model())
    best.offer(1, 0.5)
    return path, path.read_bytes(), best.load, mutations.damaged


def _cell_file(folder):
    folder = files.as_path(folder)
    cell = cell_models.build_cells(SPACE, SHAPES, seed=9, names=["block1_cell1"])[0]
    weights = trained_cells.weights_of(cell)
    trained = trained_cells.TrainedCell(
        SPACE, 0, 0, weights, {"teacher": "t", "losses": [1.0, 0.5], "rate_factor": 1.0}
    )
    cell_files.save(trained, folder)
    return folder, lambda: cell_files.load(folder, SPACE, SHAPES, ["block1_cell1"], "t")


def _cell(folder):
    folder, read = _cell_file(folder)
    path = folder / "block1_cell1.json"
    return path, json.loads(path.read_text()), read, mutations.broken


def _cell_weights(folder):
    folder, read = _cell_file(folder)
    path = folder / "block1_cell1.npz"
    return path, path.read_bytes(), read, mutations.damaged


def _features(folder):
    origin = {"teacher": "t", "cuts": ["a"], "data": "d", "dtype": "float16"}
    plan = shard_files.Plan(files.as_path(folder), origin, ((8, 8, 3), (4, 4, 2)), 20, 8)
    entries = {plan.name(n): {"name": plan.name(n), "images": 8, "sha256": "0"} for n in range(3)}
    shard_files.write_manifest(plan, entries)

    def read():
        loaded, entries = shard_files.read_plan(plan.folder)
        if loaded is not None and loaded.num_shards < 100:
            assert not any(shard_files.present(loaded, entries))
            assert loaded.layout.frame_bytes > 0

    return plan.manifest, json.loads(plan.manifest.read_text()), read, mutations.broken


def _source():
    return types.SimpleNamespace(
        name="s", num_examples=6, counts_by_reading=False, fingerprint=lambda: "f",
        former_fingerprint=lambda: None,
        labels=lambda: np.arange(6) % 3,
        check=lambda: None, refused=lambda text: [1, 4], place=lambda number: f"s[{number}]",
    )  # fmt: skip


def _labels(folder):
    path = folder / "data.json"
    label_checks.read_labels([_source()], folder)

    def read():
        (labels,) = label_checks.read_labels([_source()], folder)
        assert labels.shape == (6,)

    return path, json.loads(path.read_text()), read, mutations.broken


def _broken_images(folder):
    path = folder / source_base.FILE
    source_base.leave_out([_source()], 6, folder)

    def read():
        (good,) = source_base.leave_out([_source()], 1000, folder)
        assert len(good) <= 6

    return path, json.loads(path.read_text()), read, mutations.broken


def _checkpoint(folder):
    """The text in a checkpoint that says where the training is."""
    toy = toy_training.Toy()
    state = {"epoch": 1, "step": 2, "sums": {"loss": 1.5}, "history": [{"loss": 2.0, "norm": 1.0}]}
    state["data_fingerprint"] = "d"
    text = tf.Variable("", dtype=tf.string, trainable=False)
    saver = tf.train.Checkpoint(variables=toy.variables, state=text)

    def write(encoded):
        text.assign(encoded)
        saver.write(str(folder / "checkpoints" / "ckpt-1"))

    def read():
        toy_training.run(folder, toy, data_fingerprint="d", seconds=1000)

    return folder / "checkpoints", state, read, mutations.broken, write


KINDS = {
    "npz": _npz,
    "safetensors": _safetensors,
    "keras": _keras,
    "layers of keras": _keras_config,
    "best weights": _best_weights,
    "cell": _cell,
    "weights of a cell": _cell_weights,
    "features": _features,
    "labels": _labels,
    "broken images": _broken_images,
    "checkpoint": _checkpoint,
}


def _counts(kind, folder, examples, seed=0):
    path, content, read, change, *write = KINDS[kind](folder)
    return mutations.counts(path, content, read, examples, seed, change, *write)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_rightly_or_refused_by_name(tmp_path, kind):
    assert _counts(kind, tmp_path, FAST)["refused"] > FAST // 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_read_rightly_or_refused_by_name(tmp_path, kind):
    assert _counts(kind, tmp_path, SLOW, seed=1)["refused"] > SLOW // 10


def test_archives_that_unfold_to_gigabytes_are_refused_unread(tmp_path):
    zeros = b"\x00" * 2**24
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2**30,)}
    )
    for name, read in (("a.npz", weight_files.read), ("a.keras", keras_files.load_model)):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("a.npy", "w", force_zip64=True) as entry:
                entry.write(header.getvalue())
                for _ in range(16):  # 256 MiB in 260 kB
                    entry.write(zeros)
        with pytest.raises(ValueError, match=rf"{name}.* would unfold to 268,4"):
            read(path)


def test_arrays_that_lie_about_their_size_or_hold_objects_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    with pytest.raises(ValueError, match="a.npz cannot be read"):
        weight_files.read(path)
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return marker.touch, ()

    np.savez(path, a=np.array([Payload()], dtype=object))
    with pytest.raises(ValueError, match="contains Python objects"):
        weight_files.read(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ValueError, match="a.npz cannot be read"):
        weight_files.read(path)
    assert not marker.exists()


def test_a_keras_file_runs_no_code_of_its_own(tmp_path, monkeypatch):
    """Neither a Lambda layer, nor a class of a module that Keras does not know."""
    image = keras.Input((4, 4, 3))
    path = tmp_path / "lambda.keras"
    keras.Model(image, keras.layers.Lambda(lambda x: x + 1)(image)).save(path)
    with pytest.raises(ValueError, match="lambda.keras is not a Keras model that can be loaded"):
        keras_files.load_model(path)
    (tmp_path / "payload_of_a_file.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Layer: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    _model().save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for module, name in (("payload_of_a_file", "Layer"), ("os", "system"), ("builtins", "eval")):
        config = json.loads(parts["config.json"])
        layer = next(one for one in config["config"]["layers"] if one["config"]["name"] == "conv")
        layer |= {"module": module, "class_name": name, "registered_name": name}
        path = tmp_path / f"{module}.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for part, content in parts.items():
                archive.writestr(part, json.dumps(config) if part == "config.json" else content)
        with pytest.raises(ValueError, match=f"{module}.keras is not a Keras model"):
            keras_files.load_model(path)
    assert not (tmp_path / "ran").exists()
