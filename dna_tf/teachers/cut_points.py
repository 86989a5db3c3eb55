"""Finds the layers at which a teacher can be cut, and proposes cuts."""

import dataclasses

from dna_tf.models import graph, model_costs
from dna_tf.space import fit

# More blocks than this make no search space; DenseNet's widths grow with every layer.
_MAX_STAGES = 12
# With fewer left, maps larger than a quarter of the image are no longer dropped.
_MIN_STAGES = 3


@dataclasses.dataclass(frozen=True)
class CutPoint:
    """A layer whose output is the only way through a teacher.

    Counts are of everything between the previous such layer (or the image) and this one.

    Args:
        layer: its name.
        kind: its class.
        shape: `(height, width, channels)` of its output.
        params: trainable parameters.
        macs: multiply-accumulates for one image; `None` if unknown.
        joins: whether it reads several tensors, as the end of a residual unit does.
        pointwise: number of layers with matrices of weights that read single pixels.
        spatial: number of layers with such weights that read neighbouring pixels.
    """

    layer: str
    kind: str
    shape: tuple[int, int, int]
    params: int
    macs: int | None
    joins: bool
    pointwise: int
    spatial: int

    @property
    def is_padding(self):
        """Whether it only pads: the size of its map occurs nowhere else."""
        return "Padding" in self.kind


def single_way_layers(model, image_shape):
    """Lists the layers at which a functional model can be cut.

    A layer is the only way through the graph if no edge of the graph jumps over it, in an
    order in which each layer comes after all that it reads. It must have one output, a map,
    and be used once; otherwise its name does not identify one place in the graph.

    Args:
        model: a functional `keras.Model` with one input and one output. A model inside it
            is one layer.
        image_shape: `(height, width, channels)` of the images it will see.

    Returns:
        A list of `CutPoint`, from the image to the model's output.

    Raises:
        ValueError: the model is not a functional graph, or takes other images.
    """
    model = graph.functional(model)
    graph.check_image_shape(model, image_shape)
    graph.check_channels_last(model, f"The teacher {model.name!r}")
    listed = graph.nodes(model)
    shapes = graph.output_shapes(model, listed, image_shape)
    costs = model_costs.count(listed, shapes)
    points, start = [], 1
    for place in single_places(listed):
        params, macs, pointwise, spatial = zip(*costs[start : place + 1], strict=True)
        node, start = listed[place], place + 1
        points.append(
            CutPoint(
                layer=node.name,
                kind=type(node.layer).__name__,
                shape=tuple(int(n) for n in shapes[place][0]),
                params=sum(params),
                macs=model_costs.add_macs(macs),
                joins=len(node.reads) > 1,
                pointwise=sum(pointwise),
                spatial=sum(spatial),
            )
        )
    return points


def single_places(listed):
    """The places in `graph.nodes` of the layers at which a model can be cut."""
    over, jumping = [0] * (len(listed) + 1), 0
    for place, node in enumerate(listed):
        for read in node.reads:  # the edge jumps over all places in between
            over[read + 1] += 1
            over[place] -= 1
    calls, places = graph.num_calls(listed), []
    for place, node in enumerate(listed):
        jumping += over[place]
        if place > 0 and jumping == 0 and node.is_map and calls[node.name] == 1:
            places.append(place)
    return places


def stage_ends(points, image_shape):
    """Proposes cuts: the last layer of each stage, a stage being a resolution and width.

    1. Of neighbours with equal `(height, width, channels)` the last one counts. A
       normalisation after the end of a residual unit belongs to the next unit, so the cut
       comes before it. Padded maps are not candidates, and neither is anything from global
       pooling on.
    2. Layers without weights (pooling alone) are not a stage.
    3. The inner widths of inverted bottlenecks are not candidates: after merging neighbours
       of equal width, those that are wider than the one before and the one after.
    4. A last stage of 1x1 convolutions is not a stage; it belongs to the head.
    5. A stage that only shrinks the maps of the one before, while the width grows at the
       same resolution after it, is not a stage: the stride is part of the next stage.
    6. Maps larger than a quarter of the largest map, or of the image, are not candidates:
       the student's stem and first block halve twice. If fewer than three stages are left,
       the bound is a half, then the whole size: networks for small images have no stem that
       halves.
    7. If more than twelve stages are left, the last one of each resolution is taken.

    Args:
        points: as `single_way_layers` returns them.
        image_shape: `(height, width, channels)` of the images.

    Returns:
        A list of `CutPoint`, a part of `points`.

    For EfficientNet these are the cuts of DNA Table 1.
    """
    stages = _stages(points, image_shape)
    sides = [point.shape for point in points if not point.is_padding] + [image_shape]
    largest = [max(shape[axis] for shape in sides) for axis in (0, 1)]
    for part in (4, 2, 1):
        height, width = (-(-side // part) for side in largest)  # rounded up
        fitting = [p for p in stages if p.shape[0] <= height and p.shape[1] <= width]
        if len(fitting) >= min(_MIN_STAGES, len(stages)):
            break
    if len(fitting) > _MAX_STAGES:
        fitting = [run[-1] for run in _runs(fitting, lambda point: point.shape[:2])]
    return fitting


def unit_ends(points, image_shape):
    """Proposes more cuts than `stage_ends`: the end of each unit of each stage, as LANA cuts.

    A unit lies between two layers of the width and the resolution of its stage, and has weights
    that read neighbouring pixels: a residual unit, an inverted bottleneck, a convolution. Where
    it ends follows rule 1 of `stage_ends`.

    Args:
        points, image_shape: as for `stage_ends`.

    Returns:
        A list of `CutPoint`, a part of `points`; the stage ends are among them.

    Source: Molchanov et al., 2022 (LANA), for one layer in a block; the cuts are ours.
    """
    ends, place = [], {point.layer: i for i, point in enumerate(points)}
    before = 0
    for stage in stage_ends(points, image_shape):
        end = place[stage.layer]
        units, spatial = [], 0
        for point in points[before : end + 1]:
            spatial += point.spatial
            if point.shape != stage.shape or point.is_padding:
                continue
            if not units or (point.pointwise + point.spatial and spatial):
                units.append([])
                spatial = 0
            units[-1].append(point)
        ends += [*(_end_of_run(unit) for unit in units[:-1]), stage]
        before = end + 1
    return ends


def _stages(points, image_shape):
    """Rules 1 to 5 of `stage_ends`."""
    points = _body(points, image_shape)
    place = {point.layer: i for i, point in enumerate(points)}

    def inside(before, end):
        """Counts the layers between two stage ends; `before` is `None` for the image."""
        start = 0 if before is None else place[before.layer] + 1
        between = points[start : place[end.layer] + 1]
        return sum(p.pointwise for p in between), sum(p.spatial for p in between)

    ends = [_end_of_run(run) for run in _runs(points, lambda point: point.shape)]
    kept = []
    for end in ends:
        if sum(inside(kept[-1] if kept else None, end)):
            kept.append(end)
    kept = _last_of_runs(_without_inner_widths(kept))
    while len(kept) > 1 and inside(kept[-2], kept[-1])[1] == 0:
        kept.pop()
    return [
        q
        for p, q, r in zip([None, *kept], kept, [*kept[1:], None], strict=False)
        if not (p and r and _only_shrinks(p, q, r))
    ]


def _body(points, image_shape):
    """The points before global pooling, without padded maps."""
    body, height = [], image_shape[0]
    for point in points:
        # A stride turns 2 into 1; only a mean over the image turns 3 or more into 1.
        if "Global" in point.kind or (point.shape[:2] == (1, 1) and height > 2):
            break
        if not point.is_padding:
            height = point.shape[0]
            body.append(point)
    return body


def _runs(points, key):
    """Splits points into lists of neighbours with equal keys."""
    runs = []
    for point in points:
        if runs and key(runs[-1][-1]) == key(point):
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _last_of_runs(points):
    return [run[-1] for run in _runs(points, lambda point: point.shape)]


def _end_of_run(run):
    joins = [i for i, point in enumerate(run) if point.joins]
    for i in range(joins[-1] + 1 if joins else len(run), len(run)):
        if run[i].pointwise or run[i].spatial:
            break
        if "Norm" in run[i].kind:
            return run[i - 1]
    return run[-1]


def _without_inner_widths(points):
    runs = _runs(points, lambda point: point.shape[2])
    widths = [run[0].shape[2] for run in runs]
    return [
        point
        for i, run in enumerate(runs)
        for point in run
        if i in (0, len(runs) - 1) or not widths[i - 1] < widths[i] > widths[i + 1]
    ]


def _only_shrinks(before, point, after):
    same_width = before.shape[2] == point.shape[2] < after.shape[2]
    return same_width and before.shape[:2] != point.shape[:2] == after.shape[:2]


def propose(model, image_shape, space=None, ends_of=stage_ends):
    """Proposes the cuts of a teacher.

    Args:
        model: a functional `keras.Model`.
        image_shape: `(height, width, channels)` of the images.
        space: a `spaces.SearchSpace` whose blocks must fit; `None` proposes `ends_of`.
        ends_of: `stage_ends` or `unit_ends`.

    Returns:
        A tuple with the name of the last layer of each block.

    Raises:
        ValueError: the model cannot be cut at all, or the blocks of the space do not fit;
            the message has the block, the size that it needs, and the teacher's sizes.
    """
    points = single_way_layers(model, image_shape)
    if space is None:
        ends = ends_of(points, image_shape)
        if not ends:
            raise ValueError(
                f"No layer of the teacher {model.name!r} is the only way through its graph and "
                "returns a map, so it cannot be cut. Take another teacher."
            )
        return tuple(point.layer for point in ends)
    ends = _stages(points, image_shape)
    chosen = fit.choose(points, ends, image_shape, space)
    if chosen is None:
        raise ValueError(fit.misfit_text(model.name, points, ends, image_shape, space))
    return tuple(point.layer for point in chosen)
