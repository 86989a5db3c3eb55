"""Writes class names, TFLite's metadata and a JSON description into TFLite files, and reads them.

Three things go into a file. The buffer `TFLITE_METADATA` is a `ModelMetadata` flatbuffer, which
Android Studio and the TFLite task libraries read: names, the size of the image, the mean and the
deviation of its normalisation, and the name of the file with the labels. That file, `labels.txt`,
is in a zip archive behind the model: any zip program opens a `.tflite` file. The buffer `dna_tf`
is JSON for people and scripts.

Source: `metadata_schema.fbs` of tflite-support, version 1.0.0; a part of it is written here.
"""

import io
import json
import zipfile

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

KIND = "dna_tf.tflite"
LABELS_FILE = "labels.txt"
_METADATA, _DESCRIPTION = "TFLITE_METADATA", "dna_tf"  # names of the buffers
_FILE_IDENTIFIER, _METADATA_IDENTIFIER = b"TFL3", b"M001"
_PARSER_VERSION = "1.0.0"
# Members of the schema's enums and unions.
_TENSOR_AXIS_LABELS = 2
_IMAGE_PROPERTIES = 2
_NORMALIZATION_OPTIONS = 1
_RGB, _GRAYSCALE = 1, 2
# Zip archives have a time; a fixed one gives the same bytes for the same model.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def describe(name, prepared, precision, class_names, weights, architecture, float_layers=()):
    """Describes a file.

    Args:
        name: the name of the model.
        prepared: a `prepare.Prepared`.
        precision: in words, such as `"int8"`.
        class_names: one for each score.
        weights: the fingerprint of the weights.
        architecture: the fingerprint of the architecture; `None` if it is unknown.
        float_layers: names of the layers that an int8 file keeps in float.

    Returns:
        The dict that `write` takes.
    """
    if prepared.left_out:
        takes = "(x - mean) / std of pixels x in 0..255: the file does no rescaling"
    else:
        takes = "pixels in 0..255 as they are: the file does the rescaling"
    size, _, channels = prepared.input_shape
    return {
        "name": name,
        "text": f"Image classifier of {prepared.num_outputs} classes in {precision}, made by "
        f"dna_tf. It takes {takes}.",
        "architecture": architecture,
        "weights": weights,
        "precision": precision,
        "image_size": size,
        "channels": channels,
        "colours": "RGB" if channels == 3 else "grey",
        "input_range": [0, 255],
        "preprocessing": "outside" if prepared.left_out else "inside",
        "preprocessing_kind": prepared.preprocessing,
        "mean": list(prepared.mean),
        "std": list(prepared.std),
        "gives": prepared.gives,
        "float_layers": list(float_layers),
        "class_names": list(class_names),
    }


def write(content, description):
    """Puts metadata, labels and a description into a TFLite file.

    Args:
        content: the bytes of a file with one input, images, and one output, scores. The
            metadata of an earlier call is replaced.
        description: a JSON-able dict, which is written as it is. TFLite's metadata is made
            from these entries: `name`; `text`; `class_names`, one for each score;
            `image_size`; `channels`; `mean` and `std`, lists with one value or one for
            each channel: the file takes `(x - mean) / std` of pixels x in 0..255.

    Returns:
        The bytes of the new file, which computes the same.

    Raises:
        ValueError: the bytes are not a TFLite file, or the number of classes is not that
            of its scores.
    """
    model = _model(content)
    shape = model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]].shape
    names = description["class_names"]
    if len(names) != shape[-1]:
        raise ValueError(
            f"Expected a name for each of the {shape[-1]} scores of the file. Received: "
            f"{len(names)} class names."
        )
    text = json.dumps({"kind": KIND, **description}, allow_nan=False).encode()
    _put(model, _METADATA, _metadata(description))
    _put(model, _DESCRIPTION, text)
    builder = flatbuffers.Builder(len(content) + len(text))
    builder.Finish(model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    file = io.BytesIO()
    file.write(builder.Output())
    with zipfile.ZipFile(file, "a") as archive:
        entry = zipfile.ZipInfo(LABELS_FILE, _ZIP_TIME)
        archive.writestr(entry, "".join(f"{_one_line(name)}\n" for name in names))
    return file.getvalue()


def read(content):
    """Reads what `write` wrote into a file.

    Args:
        content: the bytes of a TFLite file.

    Returns:
        A dict: `description`, the JSON description; `labels`, a list of text; `metadata`,
        a dict with `name`, `text`, `image_size`, `mean`, `std` and `labels_file` of
        TFLite's metadata. Whatever is missing in the file is `None`.

    Raises:
        ValueError: the bytes are not a TFLite file.
    """
    model, buffers = _model(content), {}
    for entry in model.metadata or []:
        data = model.buffers[entry.buffer].data
        buffers[entry.name.decode()] = b"" if data is None else bytes(data)
    metadata = _read_metadata(buffers[_METADATA]) if buffers.get(_METADATA) else None
    labels = None
    if metadata and metadata["labels_file"] and zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if metadata["labels_file"] in archive.namelist():
                labels = archive.read(metadata["labels_file"]).decode().splitlines()
    description = buffers.get(_DESCRIPTION)
    return {
        "description": json.loads(description) if description else None,
        "labels": labels,
        "metadata": metadata,
    }


def _model(content):
    if len(content) < 8 or content[4:8] != _FILE_IDENTIFIER:
        raise ValueError(
            "Expected the bytes of a TFLite file, with 'TFL3' as bytes 4 to 7. Received: "
            f"{len(content)} bytes that begin with {bytes(content[:8])!r}."
        )
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def _one_line(name):
    return " ".join(str(name).split())


def _put(model, name, data):
    """Adds a named buffer to a model, or replaces the one of that name."""
    buffer = schema.BufferT()
    buffer.data = list(data)
    entries = model.metadata = model.metadata or []
    for entry in entries:
        if entry.name in (name, name.encode()):
            model.buffers[entry.buffer] = buffer
            return
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    entries.append(entry)


def _metadata(description):
    """The bytes of a `ModelMetadata` flatbuffer; its tables are lists of `(field, type, value)`."""
    labels = [
        (0, "text", LABELS_FILE),
        (1, "text", "The name of each class, one a line."),
        (2, "byte", _TENSOR_AXIS_LABELS),
    ]
    size = description["image_size"]
    image = [
        (0, "byte", _RGB if description["channels"] == 3 else _GRAYSCALE),
        (1, "table", [(0, "uint", size), (1, "uint", size)]),
    ]
    normalisation = [(0, "floats", description["mean"]), (1, "floats", description["std"])]
    input_tensor = [
        (0, "text", "image"),
        (1, "text", "Pixels in 0..255, normalised as (x - mean) / std; RGB where there is colour."),
        (3, "table", [(0, "byte", _IMAGE_PROPERTIES), (1, "table", image)]),
        (4, "tables", [[(0, "byte", _NORMALIZATION_OPTIONS), (1, "table", normalisation)]]),
        (5, "table", [(0, "floats", [255.0]), (1, "floats", [0.0])]),
    ]
    output_tensor = [
        (0, "text", "scores"),
        (1, "text", "A score for each class; the highest is the answer."),
        (6, "tables", [labels]),
    ]
    root = [
        (0, "text", description["name"]),
        (1, "text", description["text"]),
        (3, "tables", [[(2, "tables", [input_tensor]), (3, "tables", [output_tensor])]]),
        (7, "text", _PARSER_VERSION),
    ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, root), file_identifier=_METADATA_IDENTIFIER)
    return bytes(builder.Output())


def _table(builder, fields):
    """Writes a table; everything that it points to must be written before it."""
    written = [(field, kind, _value(builder, kind, value)) for field, kind, value in fields]
    builder.StartObject(1 + max(field for field, *_ in fields))
    for field, kind, value in written:
        if kind == "byte":
            builder.PrependUint8Slot(field, value, 0)
        elif kind == "uint":
            builder.PrependUint32Slot(field, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, value, 0)
    return builder.EndObject()


def _value(builder, kind, value):
    if kind == "text":
        return builder.CreateString(value)
    if kind == "table":
        return _table(builder, value)
    if kind == "floats":
        builder.StartVector(4, len(value), 4)
        for number in reversed(value):
            builder.PrependFloat32(number)
        return builder.EndVector()
    if kind == "tables":
        offsets = [_table(builder, fields) for fields in value]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    return value


def _read_metadata(data):
    root = _Table.root(data)
    graph = root.tables(3)
    (input_tensor, *_), (output_tensor, *_) = (
        (graph[0].tables(2), graph[0].tables(3)) if graph else ([None], [None])
    )
    size = mean = std = labels_file = None
    if input_tensor is not None:
        content = input_tensor.table(3)
        if content is not None and content.byte(0) == _IMAGE_PROPERTIES:
            sizes = content.table(1).table(1)
            size = None if sizes is None else (sizes.uint(1), sizes.uint(0))
        for unit in input_tensor.tables(4):
            if unit.byte(0) == _NORMALIZATION_OPTIONS:
                mean, std = unit.table(1).floats(0), unit.table(1).floats(1)
    for file in output_tensor.tables(6) if output_tensor is not None else ():
        if file.byte(2) == _TENSOR_AXIS_LABELS:
            labels_file = file.text(0)
    return {
        "name": root.text(0),
        "text": root.text(1),
        "image_size": size,
        "mean": mean,
        "std": std,
        "labels_file": labels_file,
    }


class _Table:
    """A table of a flatbuffer; its fields are read by their number."""

    def __init__(self, data, position):
        self._table = flatbuffers.table.Table(data, position)

    @classmethod
    def root(cls, data):
        return cls(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))

    def _at(self, field):
        offset = self._table.Offset(4 + 2 * field)
        return None if not offset else offset + self._table.Pos

    def _number(self, field, flags):
        at = self._at(field)
        return 0 if at is None else self._table.Get(flags, at)

    def byte(self, field):
        return self._number(field, flatbuffers.number_types.Uint8Flags)

    def uint(self, field):
        return self._number(field, flatbuffers.number_types.Uint32Flags)

    def text(self, field):
        at = self._at(field)
        return None if at is None else self._table.String(at).decode()

    def table(self, field):
        at = self._at(field)
        return None if at is None else _Table(self._table.Bytes, self._table.Indirect(at))

    def _elements(self, field):
        offset = self._table.Offset(4 + 2 * field)
        if not offset:
            return []
        start = self._table.Vector(offset)
        return [start + 4 * n for n in range(self._table.VectorLen(offset))]

    def tables(self, field):
        return [_Table(self._table.Bytes, self._table.Indirect(at)) for at in self._elements(field)]

    def floats(self, field):
        flags = flatbuffers.number_types.Float32Flags
        return [self._table.Get(flags, at) for at in self._elements(field)]
