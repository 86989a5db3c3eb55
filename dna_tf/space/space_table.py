"""A search space as a table for people: its blocks with their sizes, widths and paths.

The cells of a block may have different widths, so in a student the first layer of the next block
may read several widths; in the supernet it reads the teacher's channels. The table shows both.
"""

from dna_tf.common import checks, formatting
from dna_tf.space import layer_specs

_HEADER = ("block", "stride", "pixels", "reads", "cells (layers x width)", "paths of a cell")


def table(space, image_size=None, teacher_shapes=None, cuts=None):
    """The table as JSON-able data.

    Args:
        space: a `spaces.SearchSpace`.
        image_size: height and width of the image in pixels; `None` takes the size in
            `teacher_shapes`, or without a teacher the space's.
        teacher_shapes: `(height, width, channels)` of the image and of each block's output
            in a cut teacher; `None` leaves the teacher out.
        cuts: the teacher's layer that ends each block; `None` leaves the names out.

    Returns:
        A dict with `name`, `description`, `image`, `ops`, `frame`, `stem`, `blocks` (a
        list of dicts), `head`, `paths` (a list with an int per block) and
        `num_architectures` (their product). Sizes are `[height, width]` in pixels. With a
        teacher each block has `teacher`: its `layer`, `reads` and `gives` as `[height, width,
        channels]`, and `fits`: whether the block turns the one size into the other.

    Raises:
        ValueError: `teacher_shapes` or `cuts` do not match the blocks or the image size.
    """
    _check_teacher(space, image_size, teacher_shapes, cuts)
    image = [image_size or space.image_size] * 2
    if teacher_shapes:
        image = list(teacher_shapes[0][:2])
    size = list(layer_specs.output_size(*image, space.frame.stem_stride))
    frame, paths = space.frame, _paths_of_blocks(space)
    stem = {
        "stride": frame.stem_stride,
        "size": [image, size],
        "conv_width": frame.stem_width,
        "mbconv_layers": frame.stem_layers,
        "output_width": frame.stem_output_width,
    }
    blocks = []
    for b, block in enumerate(space.blocks):
        output_size = list(layer_specs.output_size(*size, block.stride))
        row = {
            "block": b + 1,
            "stride": block.stride,
            "size": [size, output_size],
            "input_widths": list(space.input_widths(b)),
            "cells": [{"layers": cell.layers, "width": cell.width} for cell in block.cells],
            "paths_of_cells": [space.num_paths(b, c) for c in range(len(block.cells))],
            "paths": paths[b],
        }
        if teacher_shapes:
            row["teacher"] = _teacher_row(space, b, teacher_shapes, cuts)
        blocks.append(row)
        size = output_size
    return {
        "name": space.name,
        "description": space.description,
        "image": image,
        "ops": [op.name for op in space.ops],
        "frame": space.to_dict()["frame"],
        "stem": stem,
        "blocks": blocks,
        "head": {"size": size, "input_widths": _last_widths(space), "width": frame.head_width},
        "paths": paths,
        "num_architectures": space.num_architectures(),
    }


def lines(space, image_size=None, teacher_shapes=None, cuts=None):
    """The table as lines of text; the arguments are those of `table`.

    Returns:
        A list of texts without line breaks.
    """
    data = table(space, image_size, teacher_shapes, cuts)
    frame, stem, head = space.frame, data["stem"], data["head"]
    rows = [[*_HEADER, "paths"]]
    stem_text = f"conv 3x3 {frame.stem_width}"
    if frame.stem_layers:
        stem_text += f", {_count(frame.stem_layers, 'MBConv')} k3e1 {frame.stem_output_width}"
    rows.append(["stem", str(stem["stride"]), _sizes(*stem["size"]), "image", stem_text, "", ""])
    for row in data["blocks"]:
        cells = "  ".join(f"{cell['layers']}x{cell['width']}" for cell in row["cells"])
        rows.append(
            [
                str(row["block"]),
                str(row["stride"]),
                _sizes(*row["size"]),
                _either(row["input_widths"]),
                cells,
                " + ".join(f"{paths:,}" for paths in row["paths_of_cells"]),
                f"{row['paths']:,}",
            ]
        )
    head_text = f"conv 1x1 {head['width']}, mean, classifier"
    rows.append(["head", "", _sizes(head["size"], [1, 1]), _either(head["input_widths"])])
    rows[-1] += [head_text, "", ""]
    if teacher_shapes:
        rows = [
            [*row[:3], teacher, *row[3:]]
            for row, teacher in zip(rows, _teacher_column(data), strict=True)
        ]
    title = f"{space.name}: {space.description}" if space.description else space.name
    notes = _notes(space, data, teacher_shapes is not None)
    return [title, "", *formatting.aligned(rows), "", *notes]


def summary(space):
    """The row of a space in a list of spaces, as a JSON-able dict."""
    return {
        "name": space.name,
        "description": space.description,
        "image_size": space.image_size,
        "blocks": len(space.blocks),
        "ops": [op.name for op in space.ops],
        "num_architectures": space.num_architectures(),
    }


def summary_lines(spaces):
    """A table of several spaces, one per line, as a list of texts.

    Args:
        spaces: the `spaces.SearchSpace`s.
    """
    rows = [["space", "image", "blocks", "ops", "architectures", "what it is"]]
    for space in spaces:
        row = summary(space)
        size, number = row["image_size"], formatting.scientific(row["num_architectures"])
        counts = [f"{size}x{size}", str(row["blocks"]), str(len(row["ops"])), number]
        rows.append([space.name, *counts, space.description])
    return formatting.aligned(rows)


def _check_teacher(space, image_size, shapes, cuts):
    blocks = len(space.blocks)
    if image_size is not None:
        checks.check_whole("image_size", image_size, 1)
    if shapes is None:
        if cuts is not None:
            raise ValueError("The names of cuts need the teacher's shapes: give teacher_shapes.")
        return
    if len(shapes) != blocks + 1 or (cuts is not None and len(cuts) != blocks):
        received = f"{len(shapes)} shapes" + ("" if cuts is None else f" and {len(cuts)} cuts")
        raise ValueError(
            f"The space {space.name!r} has {blocks} blocks: the teacher needs {blocks + 1} shapes "
            f"(the image's and one for each block) and {blocks} cuts. Received: {received}"
        )
    if image_size is not None and tuple(shapes[0][:2]) != (image_size, image_size):
        raise ValueError(
            f"The teacher's shapes are those of an image of {shapes[0][0]}x{shapes[0][1]}. "
            f"Received: image_size={image_size}"
        )


def _paths_of_blocks(space):
    return [
        sum(space.num_paths(b, c) for c in range(len(block.cells)))
        for b, block in enumerate(space.blocks)
    ]


def _last_widths(space):
    return sorted({cell.width for cell in space.blocks[-1].cells})


def _teacher_row(space, b, shapes, cuts):
    """Input and output of a block in the supernet, both given by the teacher."""
    size = shapes[b][:2]
    if b == 0:  # it reads the image, through the stem
        size = layer_specs.output_size(*size, space.frame.stem_stride)
    output_size = layer_specs.output_size(*size, space.blocks[b].stride)
    return {
        "layer": None if cuts is None else cuts[b],
        "reads": list(shapes[b]),
        "gives": list(shapes[b + 1]),
        "fits": tuple(output_size) == tuple(shapes[b + 1][:2]),
    }


def _teacher_column(data):
    """The teacher's column: header, stem, blocks and head."""
    column = ["teacher", ""]
    for row in data["blocks"]:
        teacher = row["teacher"]
        reads, gives = ("x".join(map(str, teacher[key])) for key in ("reads", "gives"))
        layer = f" {teacher['layer']}" if teacher["layer"] else ""
        fits = "" if teacher["fits"] else " (does not fit)"
        column.append(f"{reads} -> {gives}{layer}{fits}")
    return [*column, ""]


def _notes(space, data, has_teacher):
    frame = space.frame
    ratio = f"{frame.se_ratio:g} of a layer's input width" if frame.se_ratio else "none"
    product = " x ".join(f"{paths:,}" for paths in data["paths"])
    number = data["num_architectures"]
    count = f"{number:,}"
    if number >= 100_000:
        count += f" = {formatting.scientific(number)}"
    notes = [
        f"ops: {' '.join(data['ops'])}",
        f"activation: {frame.activation}; squeeze-and-excitation: {ratio}; batch norm: epsilon "
        f"{frame.norm_epsilon:g}, momentum {frame.norm_momentum:g}",
        "reads: channels that the first layer of a block may read in a student",
    ]
    if has_teacher:
        notes.append(
            "teacher: what the first layer reads and the last one gives in the supernet"
            + _misfits(data)
        )
    return [*notes, f"architectures: {product} = {count}"]


def _misfits(data):
    wrong = [str(row["block"]) for row in data["blocks"] if not row["teacher"]["fits"]]
    if not wrong:
        return ""
    return f"; the sizes do not fit in {_count(len(wrong), 'block')}: {', '.join(wrong)}"


def _sizes(size, output_size):
    def text(pair):
        return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"

    return f"{text(size)} -> {text(output_size)}"


def _either(widths):
    return " or ".join(map(str, widths))


def _count(number, noun):
    return f"{number} {noun}{'s' if number > 1 else ''}"
