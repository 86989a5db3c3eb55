"""Assemblies: networks of trained paths and of a teacher's own blocks, as data and as files.

For each block of a teacher an assembly has a path of a cell, or the teacher's own block; the head,
everything after the last block, is the teacher's. A file is JSON and versioned. It has everything
that the costs depend on; the weights are in the teacher and in the trained cells.
"""

import dataclasses
import functools
import operator

from dna_tf.common import checks, files, records
from dna_tf.space import part_costs, spaces

KIND = "dna_tf.assembly"
VERSION = 1
_FIELDS = ("kind", "version", "name", "teacher", "space", "blocks", "head", "costs", "origin")
_HINT = "Assemblies are written by tools.compress."
_CHECK_COSTS = records.mapping_of(records.number(0))
_CHECK_TEACHER = records.table(
    {
        "fingerprint": records.text,
        "cuts": records.list_of(records.text),
        "shapes": records.list_of(records.list_of(records.whole(1, 2**20), length=3)),
        "num_classes": records.whole(1),
    }
)


@dataclasses.dataclass(frozen=True)
class TeacherFacts:
    """What an assembly knows of its teacher.

    Args:
        fingerprint: of its weights, as `keras_files.weights_fingerprint` gives it.
        cuts: name of the last layer of each block.
        shapes: `(height, width, channels)` of the image and of each block's output.
        num_classes: how many classes it tells apart.
        blocks: the costs of each of its blocks: dicts from each name of `part_costs.COSTS` to
            a number; for a cost that is not known `None`.
        head: the costs of what comes after the last block.
    """

    fingerprint: str
    cuts: tuple[str, ...]
    shapes: tuple[tuple[int, int, int], ...]
    num_classes: int
    blocks: tuple[dict, ...]
    head: dict

    def costs(self):
        """The costs of the whole teacher, as a dict; `None` for a cost that is not known."""
        return part_costs.total([*self.blocks, self.head])


@dataclasses.dataclass(frozen=True)
class Part:
    """What stands in the place of one block of the teacher.

    Args:
        cell: index of the cell in its search space, from 0; `None` for the teacher's own block.
        path: op index of each layer; `None` for the teacher's own block.
        rating: its rating, lower is better; 0 for the teacher's own block.
        costs: a dict from each name of `part_costs.COSTS` to a number.
    """

    cell: int | None
    path: tuple[int, ...] | None
    rating: float
    costs: dict

    @property
    def is_own(self) -> bool:
        """Whether it is the teacher's own block."""
        return self.cell is None


@dataclasses.dataclass(frozen=True)
class Assembly:
    """A network of trained paths and of a teacher's own blocks.

    Args:
        name: its name in files and reports: letters, digits, dots, _ and -.
        space: the `SearchSpace` of its paths.
        teacher: what it knows of the teacher.
        parts: a `Part` for each block.
        origin: where it comes from, JSON-able.
    """

    name: str
    space: spaces.SearchSpace
    teacher: TeacherFacts
    parts: tuple[Part, ...]
    origin: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        checks.check_file_name("an assembly", self.name)
        counts = {len(self.parts), len(self.space.blocks), len(self.teacher.shapes) - 1}
        if len(counts) != 1:
            raise ValueError(
                f"The assembly {self.name!r} needs one part for each block. Received: "
                f"{len(self.parts)} parts, {len(self.space.blocks)} blocks of the space, "
                f"{len(self.teacher.shapes) - 1} blocks of the teacher."
            )

    def costs(self) -> dict:
        """`params` and `macs` of the network, and `int8_kb` and `peak_kb` of its int8 file."""
        return part_costs.total([*(part.costs for part in self.parts), self.teacher.head])

    @property
    def rating(self) -> float:
        """The sum of the ratings of its parts."""
        return functools.reduce(operator.add, [part.rating for part in self.parts])

    def describe(self) -> str:
        """The parts as text: the ops of a path, such as `"k3e6 k5e3"`, or `"own"`."""
        texts = [
            "own" if part.is_own else " ".join(self.space.ops[op].name for op in part.path)
            for part in self.parts
        ]
        return " | ".join(texts)

    def to_dict(self) -> dict:
        """The JSON-able content of its file."""
        teacher = self.teacher
        return {
            "kind": KIND,
            "version": VERSION,
            "name": self.name,
            "teacher": {
                "fingerprint": teacher.fingerprint,
                "cuts": list(teacher.cuts),
                "shapes": [list(shape) for shape in teacher.shapes],
                "num_classes": teacher.num_classes,
                "blocks": list(teacher.blocks),
            },
            "space": self.space.to_dict(),
            "blocks": [
                {
                    "cell": part.cell,
                    "path": None if part.is_own else list(part.path),
                    "rating": part.rating,
                    "costs": part.costs,
                }
                for part in self.parts
            ],
            "head": teacher.head,
            "costs": self.costs(),
            "origin": self.origin,
        }

    @classmethod
    def from_dict(cls, data: dict) -> "Assembly":
        """Makes an assembly from the content of its file.

        Raises:
            ValueError: an entry is missing, unknown or out of range, or the costs are not those
                of the parts.
        """
        if isinstance(data, dict) and data.get("version", VERSION) != VERSION:
            raise ValueError(
                f"The assembly has version {checks.short_repr(data['version'])}, and this dna_tf "
                f"reads version {VERSION}. Install the dna_tf that wrote it, or compress again."
            )
        data = checks.check_keys("assembly", data, _FIELDS)
        teacher = _teacher_from(data["teacher"], data["head"])
        space = spaces.SearchSpace.from_dict(data["space"])
        if not isinstance(data["origin"], dict):
            raise ValueError("The origin of an assembly must be a mapping.")
        blocks = checks.check_sequence("blocks of the assembly", data["blocks"])
        if len(blocks) != len(space.blocks) or len(teacher.shapes) != len(blocks) + 1:
            raise ValueError(
                f"The assembly has {len(blocks)} blocks, its space {len(space.blocks)}, and its "
                f"teacher {len(teacher.shapes) - 1}."
            )
        parts = tuple(_part_from(block, b, space, teacher) for b, block in enumerate(blocks))
        assembly = cls(data["name"], space, teacher, parts, data["origin"])
        if data["costs"] != assembly.costs():
            raise ValueError(
                "The costs in the assembly are not those of its parts: it was changed by hand or "
                f"damaged. In it: {data['costs']}; counted: {assembly.costs()}"
            )
        return assembly


def _teacher_from(data, head):
    fields = ("fingerprint", "cuts", "shapes", "num_classes", "blocks")
    data = checks.check_keys("teacher of the assembly", data, fields)
    _CHECK_TEACHER(data, "The teacher")
    blocks = checks.check_sequence("blocks of the teacher", data["blocks"])
    shapes = tuple(map(tuple, data["shapes"]))
    if len({len(shapes) - 1, len(data["cuts"]), len(blocks)}) != 1:
        raise ValueError(
            f"The teacher has {len(shapes)} shapes (of the image and of each block), "
            f"{len(data['cuts'])} cuts and {len(blocks)} blocks."
        )
    return TeacherFacts(
        data["fingerprint"],
        tuple(data["cuts"]),
        shapes,
        data["num_classes"],
        tuple(_costs_from(costs, "a block of the teacher") for costs in blocks),
        _costs_from(head, "the head"),
    )


def _costs_from(data, what):
    costs = checks.check_keys(f"costs of {what}", data, part_costs.COSTS)
    numbers = {name: value for name, value in costs.items() if value is not None}
    _CHECK_COSTS(numbers, f"The costs of {what}")
    return costs


def _part_from(data, block, space, teacher):
    what = f"block {block + 1} of the assembly"
    data = checks.check_keys(what, data, ("cell", "path", "rating", "costs"))
    records.number()(data["rating"], f"The rating of {what}")
    costs = _costs_from(data["costs"], what)
    if data["cell"] is None and data["path"] is None:
        expected, part = teacher.blocks[block], Part(None, None, data["rating"], costs)
    else:
        checks.check_whole(f"The cell of {what}", data["cell"], 0)
        path = tuple(checks.check_sequence(f"path of {what}", data["path"]))
        expected = part_costs.path_costs(space, block, data["cell"], path, teacher.shapes)
        part = Part(data["cell"], path, data["rating"], costs)
    if costs != expected:
        raise ValueError(
            f"The costs of {what} are not those of its part: it was changed by hand or damaged."
        )
    return part


def save(assembly, path):
    """Writes an `Assembly` to a file, atomically."""
    files.write_json(path, assembly.to_dict())


def load(path):
    """Reads the file of an assembly.

    Returns:
        An `Assembly`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, foreign, of another version or inconsistent.
    """
    data = files.read_json(path, KIND, _HINT)
    try:
        return Assembly.from_dict(data)
    except (ValueError, TypeError) as error:
        raise ValueError(f"The assembly {path} cannot be used. {checks.cut(error)}") from error
