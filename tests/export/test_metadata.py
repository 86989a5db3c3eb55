"""What a file says about itself, read back by a zip program and by a walk over its bytes."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

from dna_tf.export import conversion, metadata
from dna_tf.models import litert
from tests.helpers import small_exports

DESCRIPTION = {
    "name": "tiny",
    "text": "A classifier.",
    "image_size": 16,
    "channels": 3,
    "mean": [123.5, 116.0, 103.25],
    "std": [58.5, 57.0, 57.5],
    "class_names": ["tench", "gold fish", "Größe", "d", "e\nf"],
    "precision": "float32",
}


@pytest.fixture(scope="module")
def plain():
    return conversion.convert(small_exports.tiny_student(), "float32", None)


@pytest.fixture(scope="module")
def content(plain):
    return metadata.write(plain, DESCRIPTION)


class Walk:
    """A flatbuffer's table, read by the format's description alone."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from("<i", data, at)[0]

    @classmethod
    def root(cls, data):
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def place(self, field):
        """Where a field lies; 0 if it is left out."""
        if 4 + 2 * field >= struct.unpack_from("<H", self.data, self.vtable)[0]:
            return 0
        offset = struct.unpack_from("<H", self.data, self.vtable + 4 + 2 * field)[0]
        return self.at + offset if offset else 0

    def far(self, field):
        at = self.place(field)
        return at + struct.unpack_from("<I", self.data, at)[0]

    def table(self, field):
        return Walk(self.data, self.far(field))

    def number(self, field, form):
        return struct.unpack_from(form, self.data, self.place(field))[0]

    def text(self, field):
        at = self.far(field)
        size = struct.unpack_from("<I", self.data, at)[0]
        return self.data[at + 4 : at + 4 + size].decode()

    def elements(self, field):
        at = self.far(field)
        return [at + 4 + 4 * n for n in range(struct.unpack_from("<I", self.data, at)[0])]

    def tables(self, field):
        return [
            Walk(self.data, at + struct.unpack_from("<I", self.data, at)[0])
            for at in self.elements(field)
        ]

    def floats(self, field):
        return [struct.unpack_from("<f", self.data, at)[0] for at in self.elements(field)]

    def bytes(self, field):
        at = self.far(field)
        size = struct.unpack_from("<I", self.data, at)[0]
        return self.data[at + 4 : at + 4 + size]


def buffer_of(content, name):
    """A model's metadata buffer; `Model`: buffers 4, metadata 6; `Metadata`: name, buffer."""
    model = Walk.root(content)
    (entry,) = [each for each in model.tables(6) if each.text(0) == name]
    return model.tables(4)[entry.number(1, "<I")].bytes(0)


def test_labels_are_in_a_zip_archive(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["labels.txt"] and archive.testzip() is None
        lines = archive.read("labels.txt").decode().splitlines()
    assert lines == ["tench", "gold fish", "Größe", "d", "e f"]  # one line each


def test_the_schemas_fields_lie_where_the_schema_says(content):
    data = buffer_of(content, "TFLITE_METADATA")
    assert data[4:8] == b"M001"
    root = Walk.root(data)
    assert (root.text(0), root.text(1), root.text(7)) == ("tiny", "A classifier.", "1.0.0")
    (graph,) = root.tables(3)
    (image_tensor,), (scores_tensor,) = graph.tables(2), graph.tables(3)
    assert image_tensor.text(0) == "image" and scores_tensor.text(0) == "scores"
    image = image_tensor.table(3)
    assert image.number(0, "<B") == 2  # ImageProperties in the union ContentProperties
    assert image.table(1).number(0, "<B") == 1  # RGB
    size = image.table(1).table(1)
    assert (size.number(0, "<I"), size.number(1, "<I")) == (16, 16)
    (unit,) = image_tensor.tables(4)
    assert unit.number(0, "<B") == 1  # NormalizationOptions in the union ProcessUnitOptions
    assert unit.table(1).floats(0) == DESCRIPTION["mean"]
    assert unit.table(1).floats(1) == DESCRIPTION["std"]
    assert image_tensor.table(5).floats(0) == [255.0] and image_tensor.table(5).floats(1) == [0.0]
    (labels,) = scores_tensor.tables(6)
    assert labels.text(0) == "labels.txt" and labels.number(2, "<B") == 2  # TENSOR_AXIS_LABELS


def test_the_description_is_plain_json(content):
    description = json.loads(buffer_of(content, "dna_tf"))
    assert description == {"kind": "dna_tf.tflite", **DESCRIPTION}


def test_the_reader_reads_what_the_walk_does(content):
    contents = metadata.read(content)
    assert contents["description"] == {"kind": "dna_tf.tflite", **DESCRIPTION}
    assert contents["labels"] == ["tench", "gold fish", "Größe", "d", "e f"]
    assert contents["metadata"] == {
        "name": "tiny", "text": "A classifier.", "image_size": (16, 16),
        "mean": DESCRIPTION["mean"], "std": DESCRIPTION["std"], "labels_file": "labels.txt",
    }  # fmt: skip


def test_the_file_computes_what_it_did(plain, content):
    images = small_exports.IMAGES[:5]
    before = litert.TFLitePredictor(plain, "before").scores(images)
    np.testing.assert_array_equal(litert.TFLitePredictor(content, "after").scores(images), before)
    assert len(content) - len(plain) < 4000


def test_writing_again_replaces(plain, content):
    assert metadata.write(content, DESCRIPTION) == content  # and is the same each time
    other = metadata.write(content, {**DESCRIPTION, "name": "other"})
    assert metadata.read(other)["metadata"]["name"] == "other"
    with zipfile.ZipFile(io.BytesIO(other)) as archive:
        assert archive.namelist() == ["labels.txt"]
    assert abs(len(other) - len(content)) < 20


def test_files_without_metadata_are_read_too(plain):
    nothing = {"description": None, "labels": None, "metadata": None}
    assert metadata.read(plain) == nothing


def test_grey_images_are_said_to_be_grey(plain):
    grey = metadata.write(plain, {**DESCRIPTION, "channels": 1, "mean": [0.0], "std": [1.0]})
    graph = Walk.root(buffer_of(grey, "TFLITE_METADATA")).tables(3)[0]
    assert graph.tables(2)[0].table(3).table(1).number(0, "<B") == 2  # GRAYSCALE


def test_bad_input_is_refused(plain):
    with pytest.raises(ValueError, match="a name for each of the 5 scores .* Received: 2 class"):
        metadata.write(plain, {**DESCRIPTION, "class_names": ["a", "b"]})
    for bad in (b"", b"no model at all"):
        with pytest.raises(ValueError, match="the bytes of a TFLite file, with 'TFL3'"):
            metadata.read(bad)
