"""Search spaces as plain data: ops, cells, blocks, stem, head, and ready-made spaces.

A search space is a chain of blocks. Each block offers one or more *cells*, and
a cell is a chain of layers of one width. Every layer of a cell holds one op of
each kind; a *path* picks one op index per layer and is always a tuple of ints.

No TensorFlow is imported here: tools that only handle tables start at once.
"""

import dataclasses
import itertools
import math
import re

from dna_tf import checks, space_presets

ACTIVATIONS = ("swish", "relu6")
_OP_NAME = re.compile(r"k(\d+)e(\d+)")


@dataclasses.dataclass(frozen=True, order=True)
class Op:
    """One choice for a layer: an MBConv with a kernel and an expansion rate.

    Args:
        kernel: side of the depthwise kernel, odd.
        expand: expansion rate of the width, at least 1.
    """

    kernel: int
    expand: int

    def __post_init__(self):
        checks.check_whole("kernel", self.kernel, 1)
        checks.check_whole("expand", self.expand, 1)
        if self.kernel % 2 == 0:
            raise ValueError(f"An op's kernel must be odd. Received: kernel={self.kernel}")

    @property
    def name(self):
        """The op as text, such as `"k3e6"`."""
        return f"k{self.kernel}e{self.expand}"

    @classmethod
    def parse(cls, name):
        """Makes an op from its name, such as `"k3e6"`."""
        match = _OP_NAME.fullmatch(name) if isinstance(name, str) else None
        if not match:
            raise ValueError(
                f"An op is written as kernel and expansion, such as 'k3e6'. Received: {name!r}"
            )
        return cls(int(match[1]), int(match[2]))


@dataclasses.dataclass(frozen=True)
class Cell:
    """A chain of `layers` layers of one `width` (output channels in the student)."""

    layers: int
    width: int

    def __post_init__(self):
        checks.check_whole("layers", self.layers, 1)
        checks.check_whole("width", self.width, 1)


@dataclasses.dataclass(frozen=True)
class Block:
    """The cells that compete for one block, and the stride of their first layer."""

    stride: int
    cells: tuple[Cell, ...]

    def __post_init__(self):
        checks.check_whole("stride", self.stride, 1)  # 1.0 would make all costs floats
        if self.stride not in (1, 2):
            raise ValueError(f"A block's stride must be 1 or 2. Received: stride={self.stride!r}")
        if not self.cells:
            raise ValueError("A block needs at least one cell. Received: cells=()")


@dataclasses.dataclass(frozen=True)
class Frame:
    """What all students of a space share around and inside their blocks.

    The stem is a 3x3 convolution with `stem_stride` to `stem_width`, batch norm
    and activation, then `stem_layers` MBConvs without expansion (3x3, stride 1) to
    `stem_output_width`. The head is a 1x1 convolution to `head_width`, batch norm,
    activation, mean over the image, dropout and the classifier.

    Args:
        stem_width: channels of the stem's convolution.
        stem_stride: stride of the stem's convolution, 1 or 2.
        stem_output_width: channels that block 1 reads.
        head_width: channels before the classifier.
        activation: `"swish"` or `"relu6"`.
        se_ratio: squeeze-and-excitation width over the layer's input width; 0 for none.
        norm_epsilon: added to the variance by every batch norm.
        norm_momentum: how much of its old moving statistics a batch norm keeps in a
            training step. PyTorch's momentum 0.1, the authors', is 0.9 here.
        stem_layers: MBConvs of the stem; 1 but in scaled networks.

    Source: DNA Table 1 and the authors' code.
    """

    stem_width: int = 32
    stem_stride: int = 2
    stem_output_width: int = 16
    head_width: int = 1280
    activation: str = "swish"
    se_ratio: float = 0.25
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9
    stem_layers: int = 1

    def __post_init__(self):
        for name in ("stem_width", "stem_output_width", "stem_layers", "head_width", "stem_stride"):
            checks.check_whole(name, getattr(self, name), 1)
        if self.stem_stride not in (1, 2):
            raise ValueError(f"stem_stride must be 1 or 2. Received: {self.stem_stride!r}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {ACTIVATIONS}. Received: {self.activation!r}"
            )
        if not isinstance(self.se_ratio, int | float) or not 0 <= self.se_ratio <= 1:
            raise ValueError(f"se_ratio must lie in [0, 1]. Received: {self.se_ratio!r}")
        for name, highest in (("norm_epsilon", 0.1), ("norm_momentum", 0.9999)):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 1e-8 <= value <= highest:
                raise ValueError(f"{name} must lie in [1e-08, {highest}]. Received: {value!r}")


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """All architectures that a search may find.

    Args:
        name: how the space is called in files and reports.
        ops: the ops of every layer, in the order that paths index.
        blocks: the blocks, first to last.
        frame: stem, head, activation, norm and squeeze-and-excitation.
        image_size: height and width in pixels of the images that the space is made for;
            a config may ask for another size.
        description: one line for people; it is no part of what the space is, so neither
            comparing nor `to_dict`, which identifies the space in files, looks at it.
    """

    name: str
    ops: tuple[Op, ...]
    blocks: tuple[Block, ...]
    frame: Frame = Frame()
    image_size: int = 224
    description: str = dataclasses.field(default="", compare=False)

    def __post_init__(self):
        if not self.ops:
            raise ValueError("A search space needs at least one op. Received: ops=()")
        if len(set(self.ops)) != len(self.ops):
            names = [op.name for op in self.ops]
            raise ValueError(f"The ops of a search space must differ. Received: ops={names}")
        if not self.blocks:
            raise ValueError("A search space needs at least one block. Received: blocks=()")
        checks.check_whole("image_size", self.image_size, 1)

    def num_paths(self, block, cell):
        """The number of paths of one cell (both indices start at 0)."""
        return len(self.ops) ** self.blocks[block].cells[cell].layers

    def paths(self, block, cell):
        """All paths of one cell in the order of rating files: the last layer turns fastest."""
        layers = self.blocks[block].cells[cell].layers
        return list(itertools.product(range(len(self.ops)), repeat=layers))

    def path_index(self, block, cell, path):
        """The index of a path in `paths(block, cell)`, an int.

        Raises:
            ValueError: the block has no such cell, or the cell no such path.
        """
        cells, num_ops, index = self.blocks[block].cells, len(self.ops), 0
        if cell not in range(len(cells)):
            raise ValueError(
                f"Block {block + 1} of the space {self.name!r} has {len(cells)} cells, counted "
                f"from 0. Received: cell={cell!r}"
            )
        if len(path) != cells[cell].layers or not all(op in range(num_ops) for op in path):
            raise ValueError(
                f"A path of cell {cell} in block {block + 1} of the space {self.name!r} has "
                f"{cells[cell].layers} op indices from 0 to {num_ops - 1}. Received: {path!r}"
            )
        for op in path:
            index = index * num_ops + int(op)
        return index

    def num_architectures(self):
        """The number of architectures in the space, an exact int."""
        return math.prod(
            sum(self.num_paths(b, c) for c in range(len(block.cells)))
            for b, block in enumerate(self.blocks)
        )

    def cells(self):
        """Yields `(block index, cell index, Cell)` for all cells, first block first."""
        for b, block in enumerate(self.blocks):
            for c, cell in enumerate(block.cells):
                yield b, c, cell

    def input_widths(self, block):
        """The widths that a student's block may read, ascending, each once.

        They are those of the cells of the block before; the first block reads the stem's output.
        """
        if block == 0:
            return (self.frame.stem_output_width,)
        return tuple(sorted({cell.width for cell in self.blocks[block - 1].cells}))

    def to_dict(self):
        """The space as JSON-able data; `from_dict` reads it."""
        return {
            "name": self.name,
            "ops": [op.name for op in self.ops],
            "blocks": [
                {"stride": block.stride, "cells": [[c.layers, c.width] for c in block.cells]}
                for block in self.blocks
            ],
            "frame": dataclasses.asdict(self.frame),
            "image_size": self.image_size,
        }

    @classmethod
    def from_dict(cls, data):
        """Makes a space from data such as a config or a JSON file holds.

        Args:
            data: a dict with `name`, `ops` (such as `["k3e6", "k5e6"]`), `blocks`
                (each `{"stride": 2, "cells": [[layers, width], ...]}`) and,
                optionally, `frame` (fields of `Frame`), `image_size` and `description`.

        Raises:
            ValueError: a part is missing, unknown or out of range; the message names it.
        """
        needed, optional = ("name", "ops", "blocks"), ("frame", "image_size", "description")
        data = checks.check_keys("search space", data, needed, optional)
        blocks = []
        for number, block in enumerate(checks.check_sequence("blocks", data["blocks"]), 1):
            block = checks.check_keys(f"block {number}", block, ("stride", "cells"))
            cells = checks.check_sequence(f"cells of block {number}", block["cells"])
            for cell in cells:
                if not isinstance(cell, list | tuple) or len(cell) != 2:
                    raise ValueError(
                        f"A cell of block {number} is written (layers, width), such as (3, 24). "
                        f"Received: {cell!r}"
                    )
            try:
                blocks.append(Block(block["stride"], tuple(Cell(*cell) for cell in cells)))
            except ValueError as error:
                raise ValueError(f"Block {number} of the search space: {error}") from None
        known = [field.name for field in dataclasses.fields(Frame)]
        frame = Frame(**checks.check_keys("frame", data.get("frame", {}), (), known))
        ops = tuple(Op.parse(name) for name in checks.check_sequence("ops", data["ops"]))
        size, description = data.get("image_size", 224), str(data.get("description", ""))
        return cls(str(data["name"]), ops, tuple(blocks), frame, size, description)


def variant(space, ops=None, single=False, lite=False):
    """Makes a variant of a space; its name says what was changed.

    Args:
        space: a `SearchSpace`, or what `get_space` takes.
        ops: other ops, as `Op` or names such as `"k3e6"`; `None` keeps the ops.
        single: whether to keep one cell of each block: cell B, or the only one. In DNA's
            space these have EfficientNet-B0's widths and at least its depths.
        lite: whether to take ReLU6 and no squeeze-and-excitation, which suits int8
            hardware. Widths stay, those of stem and head too.

    Returns:
        A `SearchSpace`; what it has already is not changed and not named again.

    Source: DNA 4.1 (four ops), EfficientNet-Lite (lite); which cell stays is our choice.
    """
    space = get_space(space)
    name, told, blocks, frame = space.name, [space.description], space.blocks, space.frame
    ops = space.ops if ops is None else checks.check_sequence("ops", ops)
    ops = tuple(op if isinstance(op, Op) else Op.parse(op) for op in ops)
    if ops != space.ops:
        names = tuple(op.name for op in ops)
        four = names == space_presets.FOUR_OPS
        name += "_four_ops" if four else f"_{'_'.join(names)}"
        told.append("four ops (no kernel of 7)" if four else f"ops {' '.join(names)}")
    if single and any(len(block.cells) > 1 for block in blocks):
        blocks = tuple(Block(block.stride, block.cells[:2][-1:]) for block in blocks)
        name += "_single"
        told.append("one cell in each block")
    if lite and (frame.activation, frame.se_ratio) != ("relu6", 0.0):
        frame = dataclasses.replace(frame, activation="relu6", se_ratio=0.0)
        name += "_lite"
        told.append("ReLU6, no squeeze-and-excitation")
    told = ", ".join(text for text in told if text)
    return SearchSpace(name, ops, blocks, frame, space.image_size, told)


_BASES = {data["name"]: SearchSpace.from_dict(data) for data in space_presets.BASES}
_ENDINGS = "".join(f"({ending})?" for ending in space_presets.ENDINGS)
_NAME = re.compile(f"({'|'.join(_BASES)}){_ENDINGS}")


def _ready_made(name):
    """The base or variant of this name, or `None`."""
    match, changes = _NAME.fullmatch(name), {}
    if not match:
        return None
    for ending in match.groups()[1:]:
        changes |= space_presets.ENDINGS.get(ending, {})
    made = variant(_BASES[match[1]], **changes)
    return made if made.name == name else None  # digits has four ops: no digits_four_ops


def get_space(name_or_dict):
    """Returns a ready-made space by name, or one from data as `from_dict` takes it.

    Args:
        name_or_dict: a name of `PRESETS` or one made by the same scheme (a base of
            `space_presets.BASES` with `space_presets.ENDINGS`), a dict, or a `SearchSpace`,
            which is returned as it is.

    Raises:
        ValueError: there is no such space; near names are given.
    """
    if isinstance(name_or_dict, SearchSpace):
        return name_or_dict
    if not isinstance(name_or_dict, str):
        return SearchSpace.from_dict(name_or_dict)
    space = PRESETS.get(name_or_dict) or _ready_made(name_or_dict)
    if space is None:
        raise ValueError(
            f"There is no search space {name_or_dict!r}."
            f"{checks.near_names(name_or_dict, PRESETS)} Known spaces: {list(PRESETS)}. "
            f"{space_presets.ENDINGS_TEXT} A space of your own is a dict in the config file."
        )
    return space


PRESETS = {name: _ready_made(name) for name in space_presets.NAMES}


def space_of(config):
    """The search space that a config names or holds."""
    space = config.space
    return get_space(space.to_dict() if hasattr(space, "to_dict") else space)
