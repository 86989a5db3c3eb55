"""A teacher as `tools.teacher` shows it: its layers, a checked or proposed cut, config lines."""
# MERGED: 'What `tools.teacher` prints: where a teacher can be cut, and the blocks of a cut.'

import dataclasses

from dna_tf.common import formatting
from dna_tf.models import graph, model_costs
from dna_tf.space import fit
from dna_tf.teachers import config_file, cut_points, cutting


@dataclasses.dataclass(frozen=True)
class View:
    """What there is to show.

    Args:
        cuts: the name of the last layer of each block.
        lines: the tables and config lines as text.
        config_lines: the config lines alone.
    """

    cuts: tuple[str, ...]
    lines: list[str]
    config_lines: list[str]


def image_shape(model, size, channels, is_asked):
    """The shape of the images that a teacher is shown for.

    Args:
        model: a functional `keras.Model`.
        size: height and width in pixels.
        channels: of the images.
        is_asked: whether the user asked for `size`; else a model's own size comes first.

    Returns:
        `(height, width, channels)`. Whether the model takes it is not checked.
    """
    usual = (size, size, channels)
    own = tuple(graph.functional(model).input.shape[1:])
    if len(own) != 3:
        return usual
    if is_asked:
        return (size, size, own[2] or channels)
    return tuple(b if a is None else a for a, b in zip(own, usual, strict=True))


def look(model, section, image_shape, cuts=(), space=None, usual_space=None, show_all=False):
    """Checks a cut of a teacher, or proposes one, and writes all that there is to say.

    Args:
        model: a functional `keras.Model`.
        section: the config's `teacher` section, for the config lines.
        image_shape: `(height, width, channels)`.
        cuts: the layers to cut at; none proposes a cut.
        space: the `spaces.SearchSpace` that the cut must fit; `None` asks for none.
        usual_space: a space that a proposed cut fits if it can.
        show_all: whether to list all layers at which the teacher can be cut.

    Returns:
        A `View`. The space of its config lines is the first of `space`, `usual_space` and
        the ready-made ones that fits.

    Raises:
        ValueError: the teacher cannot be cut, or not so; the space does not fit.
    """
    points = cut_points.single_way_layers(model, image_shape)
    ends = cut_points.stage_ends(points, image_shape)
    notes, title = [], "Blocks of this cut:"
    if not cuts:
        notes, title, cuts = _proposal(model, image_shape, space, usual_space)
    cut = cutting.cut_model(model, cuts, image_shape)
    if space:
        fit.check_fit(space, cut.shapes, cut.cuts)
    shapes, first = cut.shapes[1:], [one for one in (space, usual_space) if one]
    fitting = config_file.fitting_space(image_shape, shapes, first)
    made = config_file.lines(section, cut.cuts, image_shape, shapes, fitting)
    params = model_costs.count_params(cut.model)
    total = (params, model_costs.total_macs(cut.model, image_shape))
    lines = [
        *notes,
        model_line(section.model, *total, image_shape),
        "",
        *layer_lines(points, ends, cut.cuts, image_shape, total, show_all),
        *("", title, *block_lines(points, cut.cuts)),
        *("", "Config lines:", *made, ""),
    ]
    if fitting is None:
        lines += _other_cuts(fit.fitting_presets(points, ends, image_shape))
    return View(cut.cuts, lines, made)


def _proposal(model, image_shape, space, usual_space):
    """Lines to say first, the title of the proposed cut, and the cut."""
    notes = []
    if space:
        cuts = cut_points.propose(model, image_shape, space)
        return notes, f"Proposed for the space {space.name}:", cuts
    if usual_space:
        try:
            cuts = cut_points.propose(model, image_shape, usual_space)
            return notes, f"Proposed for the config's space {usual_space.name}:", cuts
        except ValueError as error:
            notes = [f"The config's space cannot be used. {error}", ""]
    return notes, "Proposed, at the ends of stages:", cut_points.propose(model, image_shape)


def _other_cuts(names):
    if not names:
        return []
    return [
        f"Cut elsewhere, these ready-made spaces fit it: {', '.join(names)}. "
        f"--space={names[0]} proposes the cut."
    ]


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
    lines = formatting.aligned(rows, right=(3, 4, 5))
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
    return formatting.aligned(rows, right=(0, 3, 4))


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
    return "unknown" if count is None else formatting.format_count(count)


def _shape_text(shape):
    return "x".join(map(str, shape))
