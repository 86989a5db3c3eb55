"""The tables that `tools.teacher` prints: layers to cut at, blocks of a cut, and config lines."""

import dataclasses

from dna_tf.common import formatting
from dna_tf.models import graph, model_costs
from dna_tf.phases import teacher_config
from dna_tf.space import fit
from dna_tf.teachers import cut_points, cutting


@dataclasses.dataclass(frozen=True)
class View:
    """A cut of a teacher as text.

    Args:
        cuts: the name of the last layer of each block.
        lines: the tables and the config lines.
        config_lines: only the config lines.
    """

    cuts: tuple[str, ...]
    lines: list[str]
    config_lines: list[str]


def image_shape(model, size, channels, is_requested):
    """The shape of the images with which a teacher's tables are computed.

    Args:
        model: a functional `keras.Model`.
        size: height and width in pixels.
        channels: of the images.
        is_requested: whether the user named `size`; otherwise the model's input size has priority.

    Returns:
        `(height, width, channels)`. It is not checked that the model accepts it.
    """
    usual = (size, size, channels)
    input_shape = tuple(graph.functional(model).input.shape[1:])
    if len(input_shape) != 3:
        return usual
    if is_requested:
        return (size, size, input_shape[2] or channels)
    return tuple(b if a is None else a for a, b in zip(input_shape, usual, strict=True))


def look(model, section, image_shape, cuts=(), space=None, usual_space=None, show_all=False):
    """Checks a cut of a teacher, or proposes one, and describes it.

    Args:
        model: a functional `keras.Model`.
        section: the config's `teacher` section, for the config lines.
        image_shape: `(height, width, channels)`.
        cuts: the layers to cut at; `()` proposes a cut.
        space: the `spaces.SearchSpace` that the cut must fit; `None` checks no space.
        usual_space: a space that a proposed cut fits if possible.
        show_all: whether to list all layers at which the teacher can be cut.

    Returns:
        A `View`. The space of its config lines is the first of `space`, `usual_space` and
        the presets that fits.

    Raises:
        ValueError: the teacher cannot be cut, or not at these layers; the space does not fit.
    """
    points = cut_points.single_way_layers(model, image_shape)
    ends = cut_points.stage_ends(points, image_shape)
    notes, title = [], "Blocks of this cut:"
    if not cuts:
        notes, title, cuts = _proposal(model, image_shape, space, usual_space)
    cut = cutting.cut_model(model, cuts, image_shape)
    if space:
        fit.check_fit(space, cut.shapes, cut.cuts)
    shapes, first = cut.shapes[1:], [s for s in (space, usual_space) if s]
    fitting = teacher_config.fitting_space(image_shape, shapes, first)
    config_lines = teacher_config.lines(section, cut.cuts, image_shape, shapes, fitting)
    params = model_costs.count_params(cut.model)
    total = (params, model_costs.total_macs(cut.model, image_shape))
    lines = [
        *notes,
        model_line(section.model, *total, image_shape),
        "",
        *layer_lines(points, ends, cut.cuts, image_shape, total, show_all),
        *("", title, *block_lines(points, cut.cuts)),
        *("", "Config lines:", *config_lines, ""),
    ]
    if fitting is None:
        lines += _other_cuts(fit.fitting_presets(points, ends, image_shape))
    return View(cut.cuts, lines, config_lines)


def _proposal(model, image_shape, space, usual_space):
    """Introductory lines, the title of the proposed cut, and the cut."""
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
        f"With other cuts these presets fit it: {', '.join(names)}. "
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
        show_all: whether to list all points, or only `ends` and `cuts`.

    Returns:
        A list of lines. Parameters and MACs are those since the line before.
    """
    names = {point.layer for point in ends} | set(cuts)
    listed = points if show_all else parts(points, names)
    rows = [_LAYER_HEADER]
    for point in listed:
        mark = f"<- block {cuts.index(point.layer) + 1}" if point.layer in cuts else ""
        stride = f"{image_shape[0] / point.shape[0]:.3g}"
        counts = (f"{point.params:,}", _macs(point.macs))
        rows.append((point.layer, point.kind, _shape_text(point.shape), stride, *counts, mark))
    params = total[0] - sum(point.params for point in listed)
    has_macs = total[1] is not None and all(point.macs is not None for point in listed)
    macs = total[1] - sum(point.macs for point in listed) if has_macs else None
    rows.append(("(what follows)", "", "", "", f"{params:,}", _macs(macs), ""))
    lines = formatting.aligned(rows, right=(3, 4, 5))
    more = len(points) - len(listed)
    if more:
        lines.append(f"It can be cut at {more} more layers; --all lists them.")
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
    """Merges points: each named one counts everything since the named one before it.

    Args:
        points: `cut_points.CutPoint`s in order, all of a teacher.
        names: of the layers that remain.

    Returns:
        A list of `cut_points.CutPoint`; what follows the last named one is left out.
    """
    merged, waiting = [], []
    for point in points:
        waiting.append(point)
        if point.layer in names:
            macs = [part.macs for part in waiting]
            merged.append(
                dataclasses.replace(
                    point,
                    params=sum(part.params for part in waiting),
                    macs=None if None in macs else sum(macs),
                    pointwise=sum(part.pointwise for part in waiting),
                    spatial=sum(part.spatial for part in waiting),
                )
            )
            waiting = []
    return merged


def _macs(count):
    return "unknown" if count is None else formatting.format_count(count)


def _shape_text(shape):
    return "x".join(map(str, shape))
