"""Whether a cut teacher fits the blocks of a space, and where to cut it so that it does."""

import math

from dna_tf.space import layer_specs, presets


def block_sizes(space, image_shape):
    """Height and width of the output of each block of a space.

    Args:
        space: a `spaces.SearchSpace`.
        image_shape: `(height, width, channels)` of the images.

    Returns:
        A list of `(height, width)`.
    """
    size, sizes = layer_specs.output_size(*image_shape[:2], space.frame.stem_stride), []
    for block in space.blocks:
        size = layer_specs.output_size(*size, block.stride)
        sizes.append(size)
    return sizes


def choose(points, ends, image_shape, space):
    """Chooses a point to cut a teacher at for each block of a space.

    Ends of stages are preferred, then maps of the shape of such an end, then any other map;
    among equals the latest. Every block gets at least one layer with a kernel larger than 1x1.

    Args:
        points: `cut_points.CutPoint`s of a teacher, in order.
        ends: those of them that end a stage, of any resolution.
        image_shape: `(height, width, channels)` of the images.
        space: a `spaces.SearchSpace`.

    Returns:
        A list with one point per block; `None` if the blocks do not fit.
    """
    tables = _tables(points, ends, block_sizes(space, image_shape))
    if not tables[-1]:
        return None
    _, place = max((total, place) for place, (total, _) in tables[-1].items())
    chosen = []
    for table in reversed(tables):
        chosen.append(points[place])
        place = table[place][1]
    return chosen[::-1]


def _tables(points, ends, sizes):
    """The places where each block can end.

    Returns:
        A list with one dict per block, up to the first block that cannot be placed. It maps
        an index in `points` to the best total worth of the blocks so far, and to the index at
        which the block before ends.
    """
    shapes = {end.shape for end in ends}
    worth = [2 if p in ends else 1 if p.shape in shapes else 0 for p in points]
    spatial = [0]  # layers with a kernel larger than 1x1, up to each point
    for point in points:
        spatial.append(spatial[-1] + point.spatial)
    tables = [{-1: (0, None)}]
    for size in sizes:
        table = {}
        for place, point in enumerate(points):
            earlier = [
                (total, i)
                for i, (total, _) in tables[-1].items()
                if point.shape[:2] == size and spatial[place + 1] > spatial[i + 1]
            ]
            if earlier:
                total, i = max(earlier)
                table[place] = (total + worth[place], i)
        tables.append(table)
        if not table:
            break
    return tables[1:]


def fitting_presets(points, ends, image_shape):
    """Names of the ready-made spaces for images of about this size that fit a teacher.

    Args:
        points: as for `choose`.
        ends: as for `choose`.
        image_shape: as for `choose`.
    """
    return [
        name
        for name, space in presets.PRESETS.items()
        if 0.5 <= image_shape[0] / space.image_size <= 2
        and choose(points, ends, image_shape, space)
    ]


def misfit_text(name, points, ends, image_shape, space):
    """Explains why the blocks of a space do not fit a teacher, for an error message.

    Args:
        name: name of the teacher.
        points: as for `choose`, which returned `None` for these arguments.
        ends: as for `choose`.
        image_shape: as for `choose`.
        space: as for `choose`.
    """
    sizes = block_sizes(space, image_shape)
    block = len(_tables(points, ends, sizes))
    height, width = sizes[block - 1]
    first = next((i for i, point in enumerate(points) if point.spatial), len(points))
    maps = [point.shape[:2] for point in points[first:] if not point.is_padding]
    offered = list(dict.fromkeys(maps))
    left = (height, width) in offered
    return (
        f"Block {block} of the space {space.name!r} needs {'another' if left else 'a'} map of "
        f"{height}x{width} for images of {image_shape[0]}x{image_shape[1]}, and the teacher "
        f"{name!r} has none {'left ' if left else ''}to cut at. It offers maps of "
        f"{', '.join(f'{h}x{w}' for h, w in offered) or 'no size'}. Likely fix: "
        f"{_fix_text(points, ends, offered, image_shape, (height, width))}."
    )


def _fix_text(points, ends, offered, image_shape, needed):
    names = fitting_presets(points, ends, image_shape)
    if names:
        return f"a space that fits, such as the ready-made {names[0]!r}"
    if needed in offered:
        return "a space with fewer blocks of this size"
    if any(abs(h - needed[0]) <= 2 and abs(w - needed[1]) <= 2 for h, w in offered):
        sides = [image_shape[0], *(height for height, _ in offered)]
        if any(a > b > a / 1.5 for a, b in zip(sides, sides[1:], strict=False)):
            return "another teacher: layers of this one cut off the borders of maps (no padding)"
        if image_shape[0] % 32 or image_shape[1] % 32:
            return (
                "an image size that is a multiple of 32, so that teacher and students halve all "
                "maps evenly"
            )
    return "a space with other strides (stem_stride, and stride of each block)"


def check_fit(space, shapes, cut_names):
    """Checks that the blocks of a space have the sizes of a cut teacher's blocks.

    Args:
        space: a `spaces.SearchSpace`.
        shapes: `(height, width, channels)` of the image and of each block's output.
        cut_names: the teacher layer that ends each block.

    Raises:
        ValueError: the numbers of blocks or the sizes differ; the message has the block,
            both shapes, and the likely fix.
    """
    if len(cut_names) != len(space.blocks):
        raise ValueError(
            f"The teacher is cut at {len(cut_names)} layers {list(cut_names)}, and the space "
            f"{space.name!r} has {len(space.blocks)} blocks. Name one cut for the end of each "
            "block, or choose another space."
        )
    for b in range(len(space.blocks)):
        reads, gives = shapes[b], shapes[b + 1]
        size = reads[:2]
        for stride in _strides(space, b):
            size = layer_specs.output_size(*size, stride)
        if size != tuple(gives[:2]):
            start = f"reads {cut_names[b - 1]!r} and " if b else ""
            before = cut_names[b - 1] if b else None
            raise ValueError(
                f"Block {b + 1} of the space {space.name!r} {start}turns {_text(reads)} into "
                f"{_text((*size, gives[2]))}, and the teacher's layer {cut_names[b]!r} gives "
                f"{_text(gives)}. Likely fix: {_fix(space, b, reads, size, gives, before)}."
            )


def _strides(space, b):
    """The strides of a block, with that of the stem for block 1."""
    return [space.frame.stem_stride] * (b == 0) + [space.blocks[b].stride]


def _fix(space, b, reads, size, gives, before):
    """The likely fix if the output of a block has another size than the teacher's map."""
    stride = math.prod(_strides(space, b))
    if before and stride > 1 and tuple(reads[:2]) == tuple(gives[:2]):
        return (
            f"the layers lie within one block: both have maps of {reads[0]}x{reads[1]}, and block "
            f"{b + 1} has stride {stride}. Name a layer with a map of {size[0]}x{size[1]} for its "
            f"end, or one before {before!r} with a larger map for the end of block {b}"
        )
    for side, mine, theirs in zip(reads, size, gives[:2], strict=False):
        received = (
            f"the teacher turns {side} into {theirs}, and a student's stride {stride} into {mine}: "
        )
        if side % stride and theirs == side // stride:
            return (
                f"{received}the teacher rounds down where students round up. Take an image size "
                "that is a multiple of 32, so that both halve all maps evenly"
            )
        if theirs == mine - 1 and mine > 4:
            return (
                f"{received}the teacher's layers cut off borders (no padding), and students do "
                "not. Take another teacher"
            )
    ratio = reads[0] / gives[0]
    if ratio in ((1, 2, 4) if b == 0 else (1, 2)) and ratio != stride:
        return f"block {b + 1} of the space needs stride {ratio:g} in all (it has {stride})"
    return f"cut the teacher at a layer with a map of {size[0]}x{size[1]}"


def _text(shape):
    return "x".join(map(str, shape))
