"""What `tools.teacher` prints: where a teacher can be cut, and the blocks of a cut."""

import dataclasses

from dna_tf import limits, text_table

_LAYER_HEADER = ("layer", "kind", "map", "stride", "params", "MACs", "")
_BLOCK_HEADER = ("block", "ends with", "map", "params", "MACs")


def model_line(name, params, macs, image_shape):
    """One line about a whole teacher.

    Args:
        name: of the model.
        params: its trainable parameters.
        macs: multiply-accumulates for one image; `None` where unknown.
        image_shape: `(height, width, channels)`.
    """
    return (
        f"{name}: {params:,} parameters, {_macs(macs)} MACs, images of {_shape_text(image_shape)}"
    )


def layer_lines(points, ends, cuts, image_shape, total, show_all=False):
    """The table of the layers at which a teacher can be cut.

    Args:
        points: `cut_points.CutPoint`s of the teacher, all of them.
        ends: those that end stages, as `cut_points.stage_ends` returns them.
        cuts: names of the layers to mark, in order.
        image_shape: `(height, width, channels)`.
        total: `(params, macs)` of the whole teacher; `macs` may be `None`.
        show_all: whether to show all points, or just `ends` and `cuts`.

    Returns:
        A list of lines. Parameters and MACs are those since the line before.
    """
    names = {point.layer for point in ends} | set(cuts)
    shown = points if show_all else parts(points, names)
    rows = [_LAYER_HEADER]
    for point in shown:
        mark = f"<- block {cuts.index(point.layer) + 1}" if point.layer in cuts else ""
        stride = f"{image_shape[0] / point.shape[0]:.3g}"
        counts = (f"{point.params:,}", _macs(point.macs))
        rows.append((point.layer, point.kind, _shape_text(point.shape), stride, *counts, mark))
    params = total[0] - sum(point.params for point in shown)
    known = total[1] is not None and all(point.macs is not None for point in shown)
    macs = total[1] - sum(point.macs for point in shown) if known else None
    rows.append(("(what follows)", "", "", "", f"{params:,}", _macs(macs), ""))
    lines = text_table.aligned(rows, right=(3, 4, 5))
    more = len(points) - len(shown)
    if more:
        lines.append(f"{more} more layers are the only way through; --all shows them.")
    return lines


def block_lines(points, cuts):
    """The table of the blocks of a cut.

    Args:
        points: `cut_points.CutPoint`s of the teacher, all of them.
        cuts: the name of the last layer of each block, in order.

    Returns:
        A list of lines.
    """
    rows = [_BLOCK_HEADER]
    for number, part in enumerate(parts(points, cuts), 1):
        counts = (f"{part.params:,}", _macs(part.macs))
        rows.append((str(number), part.layer, _shape_text(part.shape), *counts))
    return text_table.aligned(rows, right=(0, 3, 4))


def parts(points, names):
    """Merges points so that each counts all since the one before that is named.

    Args:
        points: `cut_points.CutPoint`s in order, all of a teacher.
        names: of the layers that stay.

    Returns:
        A list of `cut_points.CutPoint`; what follows the last named one is left out.
    """
    found, waiting = [], []
    for point in points:
        waiting.append(point)
        if point.layer in names:
            macs = [part.macs for part in waiting]
            found.append(
                dataclasses.replace(
                    point,
                    params=sum(part.params for part in waiting),
                    macs=None if None in macs else sum(macs),
                    pointwise=sum(part.pointwise for part in waiting),
                    spatial=sum(part.spatial for part in waiting),
                )
            )
            waiting = []
    return found


def _macs(count):
    return "unknown" if count is None else limits.format_count(count)


def _shape_text(shape):
    return "x".join(map(str, shape))
