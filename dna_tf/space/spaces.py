"""Search spaces as data: ops, cells, blocks, stem and head; paths of a cell and their indices.

A search space is a chain of blocks. Each block offers one or more *cells*; a cell is a chain of
layers of one width. Every layer of a cell can have any op of the space. A *path* picks one op
per layer: a tuple of op indices. Paths are numbered in the order of `SearchSpace.paths`.
"""

import dataclasses
import itertools
import math
import re

import numpy as np

from dna_tf.common import checks

ACTIVATIONS = ("swish", "relu6", "relu")
# Larger sizes are mistakes.
MOST_WIDTH, MOST_PIXELS, MOST_LAYERS, MOST_KERNEL, MOST_EXPAND = 2**24, 2**14, 1000, 255, 1000
KINDS = {"mb": "", "fused": "f"}  # of ops, with what their names begin with
_OP_NAME = re.compile(r"(f?)k(\d+)e(\d+)(?:se(\d+(?:\.\d+)?))?")


@dataclasses.dataclass(frozen=True, order=True)
class Op:
    """A candidate for a layer: an MBConv, or a fused one, with a kernel and an expansion rate.

    Args:
        kernel: side of the kernel that sees neighbours, odd.
        expand: expansion rate of the width, at least 1; of a fused op at least 2.
        kind: `"mb"`: a 1x1 convolution expands, and a depthwise one sees neighbours. `"fused"`:
            one convolution does both, which accelerators compute fast (EfficientNetV2).
        se_ratio: of squeeze-and-excitation, as in `Frame`; `None` takes the frame's for `"mb"`
            and none for `"fused"`.
    """

    kernel: int
    expand: int
    kind: str = "mb"
    se_ratio: float | None = None

    def __post_init__(self):
        checks.check_whole("kernel", self.kernel, 1, MOST_KERNEL)
        checks.check_whole("expand", self.expand, 1, MOST_EXPAND)
        if self.kernel % 2 == 0:
            raise ValueError(f"An op's kernel must be odd. Received: kernel={self.kernel}")
        checks.choose(self.kind, KINDS, "kind of op")
        if self.kind == "fused" and self.expand < 2:
            raise ValueError(
                "A fused op expands at least twice: without expansion it is a plain convolution. "
                f"Received: expand={self.expand}"
            )
        if self.se_ratio is not None and not 0 <= self.se_ratio <= 1:
            raise ValueError(f"An op's se_ratio must lie in [0, 1]. Received: {self.se_ratio!r}")

    @property
    def name(self):
        """The op as text, such as `"k3e6"`, `"fk3e4"` (fused) or `"k3e6se0.25"`."""
        se_text = "" if self.se_ratio is None else f"se{self.se_ratio:g}"
        return f"{KINDS[self.kind]}k{self.kernel}e{self.expand}{se_text}"

    @classmethod
    def parse(cls, name):
        """Returns the op of a name such as `"k3e6"`, `"fk3e4"` or `"k3e6se0.25"`."""
        match = _OP_NAME.fullmatch(name) if isinstance(name, str) else None
        if not match:
            raise ValueError(
                "An op is written as kernel and expansion, such as 'k3e6'; a fused one as 'fk3e4'; "
                f"with its own squeeze-and-excitation as 'k3e6se0.25'. Received: {name!r}"
            )
        se_ratio = None if match[4] is None else float(match[4])
        return cls(int(match[2]), int(match[3]), "fused" if match[1] else "mb", se_ratio)


@dataclasses.dataclass(frozen=True)
class Cell:
    """A chain of layers.

    Args:
        layers: how many.
        width: output channels of every layer in a student.
    """

    layers: int
    width: int

    def __post_init__(self):
        checks.check_whole("layers", self.layers, 1, MOST_LAYERS)
        checks.check_whole("width", self.width, 1, MOST_WIDTH)


@dataclasses.dataclass(frozen=True)
class Block:
    """The cells that compete for one place in the network.

    Args:
        stride: stride of their first layer, 1 or 2.
        cells: the `Cell`s.
    """

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
    """What all students of a space have in common: stem, head, activation, norm.

    The stem is a 3x3 convolution with `stem_stride` to `stem_width`, batch norm
    and activation, then `stem_layers` MBConvs without expansion (3x3, stride 1) to
    `stem_output_width`. The head is a 1x1 convolution to `head_width`, batch norm,
    activation, mean over the image, dropout and the classifier.

    Args:
        stem_width: channels of the stem's convolution.
        stem_stride: stride of the stem's convolution, 1 or 2.
        stem_output_width: channels that block 1 reads.
        head_width: channels before the classifier.
        activation: of `ACTIVATIONS`.
        se_ratio: width of squeeze-and-excitation over the layer's input width; 0 for none. An op
            may have its own.
        norm_epsilon: added to the variance by every batch norm.
        norm_momentum: the share of its moving statistics that a batch norm keeps in a
            training step. The authors' 0.1 in PyTorch is 0.9 here.
        stem_layers: MBConvs of the stem; 1 except in scaled networks. 0 leaves the convolution
            alone, and `stem_output_width` is then `stem_width`.

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
        for name in ("stem_width", "stem_output_width", "head_width", "stem_stride"):
            checks.check_whole(name, getattr(self, name), 1, MOST_WIDTH)
        checks.check_whole("stem_layers", self.stem_layers, 0, MOST_WIDTH)
        if not self.stem_layers and self.stem_output_width != self.stem_width:
            raise ValueError(
                "A stem without MBConvs gives the channels of its convolution. Expected "
                f"stem_output_width={self.stem_width}, as stem_width. Received: "
                f"{self.stem_output_width}"
            )
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
        description: one line for people. Ignored by `==` and by `to_dict`.

    Example:

        >>> import dna_tf
        >>> space = dna_tf.SearchSpace.from_dict({
        ...     "name": "mine",
        ...     "ops": ["k3e6", "k5e6"],
        ...     "blocks": [
        ...         {"stride": 2, "cells": [(2, 16)]},
        ...         {"stride": 2, "cells": [(1, 32), (2, 32)]},
        ...     ],
        ...     "image_size": 32,
        ... })
        >>> space.num_architectures()
        24
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
        checks.check_whole("image_size", self.image_size, 1, MOST_PIXELS)

    def num_paths(self, block: int, cell: int) -> int:
        """The number of paths of one cell (both indices start at 0)."""
        return len(self.ops) ** self.blocks[block].cells[cell].layers

    def paths(self, block: int, cell: int) -> list[tuple[int, ...]]:
        """All paths of one cell in the order of rating files: the last layer changes fastest."""
        layers = self.blocks[block].cells[cell].layers
        return list(itertools.product(range(len(self.ops)), repeat=layers))

    def path_index(self, block: int, cell: int, path: tuple[int, ...]) -> int:
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

    def num_architectures(self) -> int:
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

    def input_widths(self, block: int) -> tuple[int, ...]:
        """The widths that a block of a student may read, ascending, each once.

        They are the widths of the cells of the block before; the first block reads the stem.
        """
        if block == 0:
            return (self.frame.stem_output_width,)
        return tuple(sorted({cell.width for cell in self.blocks[block - 1].cells}))

    def to_dict(self) -> dict:
        """The space as JSON-able data, for `from_dict`."""
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
    def from_dict(cls, data: dict) -> "SearchSpace":
        """Makes a space from data such as a config or a JSON file contains.

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
        fields = [field.name for field in dataclasses.fields(Frame)]
        frame = Frame(**checks.check_keys("frame", data.get("frame", {}), (), fields))
        ops = tuple(Op.parse(name) for name in checks.check_sequence("ops", data["ops"]))
        size, description = data.get("image_size", 224), str(data.get("description", ""))
        return cls(str(data["name"]), ops, tuple(blocks), frame, size, description)


def path(space, block, cell, index):
    """Returns the path of an index, the inverse of `SearchSpace.path_index`.

    Unlike `space.paths(block, cell)[index]` it does not list all paths.

    Args:
        space: a `SearchSpace`.
        block: block index from 0.
        cell: cell index from 0.
        index: index of the path.

    Returns:
        A tuple of ints, the op index of each layer.

    Raises:
        ValueError: the cell has no such path.
    """
    shape = [len(space.ops)] * space.blocks[block].cells[cell].layers
    return tuple(int(op) for op in np.unravel_index(index, shape))


def text(space, block, cell, index):
    """The ops of a path as text, such as `"k3e6 k5e3"`; the arguments are those of `path`."""
    return " ".join(space.ops[op].name for op in path(space, block, cell, index))


def cell_name(block, cell):
    """The name of a cell in files and logs; `block1_cell1` for the indices 0 and 0."""
    return f"block{block + 1}_cell{cell + 1}"
