"""A teacher as `tools.teacher` shows it: its layers, a checked or proposed cut, config lines."""

import dataclasses

from dna_tf import (
    cut_fit,
    cut_points,
    model_graph,
    model_macs,
    node_costs,
    supernet,
    teacher,
    teacher_config,
    teacher_table,
)


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
    own = tuple(model_graph.functional(model).input.shape[1:])
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
        space: the `search_space.SearchSpace` that the cut must fit; `None` asks for none.
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
    cut = teacher.cut_teacher(model, cuts, image_shape)
    if space:
        supernet.check_fit(space, cut.shapes, cut.cuts)
    shapes, first = cut.shapes[1:], [one for one in (space, usual_space) if one]
    fitting = teacher_config.fitting_space(image_shape, shapes, first)
    made = teacher_config.lines(section, cut.cuts, image_shape, shapes, fitting)
    params = model_macs.count_params(cut.model)
    total = (params, node_costs.total_macs(cut.model, image_shape))
    lines = [
        *notes,
        teacher_table.model_line(section.model, *total, image_shape),
        "",
        *teacher_table.layer_lines(points, ends, cut.cuts, image_shape, total, show_all),
        *("", title, *teacher_table.block_lines(points, cut.cuts)),
        *("", "Config lines:", *made, ""),
    ]
    if fitting is None:
        lines += _other_cuts(cut_fit.fitting_presets(points, ends, image_shape))
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
