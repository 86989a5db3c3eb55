"""Architectures: networks as data, and the files that searches write and later tools read.

A file is JSON, versioned and self-contained: it contains the chosen ops, widths and strides of
each block, stem and head, the task, ratings, costs, the limits of the search, and where the
architecture comes from. No other file is needed to build the student.
"""

import dataclasses
import functools
import operator

from dna_tf.common import checks, files, records
from dna_tf.space import cost_tables, spaces, tasks

KIND = "dna_tf.architecture"
VERSION = 1
_FIELDS = ("kind", "version", "name", "image", "num_classes", "frame", "blocks", "costs", "origin")
# What is read of an origin; the rest is kept as it is.
_CHECK_ORIGIN = records.table(
    {
        "by": records.text,
        "source": records.text,
        "control_of": records.text,
        "limits": records.optional(records.mapping_of(records.number())),
        "costs": records.mapping_of(records.number()),
    }
)


@dataclasses.dataclass(frozen=True)
class BlockChoice:
    """One block of an architecture.

    Args:
        stride: stride of the first layer.
        width: output channels of every layer.
        ops: the op of each layer, as `spaces.Op`.
        cell: index of the cell in its search space, from 0; `None` if the architecture
            was not searched.
        path: op index of each layer in its search space; `None` if it was not searched.
        rating: rating of the path (lower is better); `None` if it was not rated.
    """

    stride: int
    width: int
    ops: tuple[spaces.Op, ...]
    cell: int | None = None
    path: tuple[int, ...] | None = None
    rating: float | None = None

    def __post_init__(self):
        # A broken file is refused by the same rules as a block of a space.
        spaces.Block(self.stride, (spaces.Cell(len(self.ops), self.width),))
        if self.path is not None and len(self.path) != len(self.ops):
            raise ValueError(
                f"A path has one op index per layer. Received: {len(self.ops)} ops and "
                f"the path {list(self.path)}"
            )
        for index in (*(self.path or ()), *([] if self.cell is None else [self.cell])):
            checks.check_whole("An index of the path, or of the cell,", index, 0)
        if self.rating is not None and not checks.is_number(self.rating):
            raise ValueError(
                f"A rating must be a finite number. Received: {checks.short_repr(self.rating)}"
            )


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One network: stem, blocks and head, for an input size and a number of classes.

    Args:
        name: its name in files and reports: letters, digits, dots, _ and -.
        blocks: a `BlockChoice` for each block.
        frame: stem, head, activation, norm and squeeze-and-excitation.
        task: the `tasks.Task`: size of the images and number of classes.
        origin: where it comes from, JSON-able: of a searched architecture space, limits,
            seed and fingerprints; of a published one its source.

    Example:

        >>> import dna_tf
        >>> architecture = dna_tf.load_architecture("dna_a").adapted(num_classes=10)
        >>> architecture.costs()["params"]
        2975128
        >>> architecture.describe().split(" | ")[0]
        '24: k5e3 k3e3 k3e6'
    """

    name: str
    blocks: tuple[BlockChoice, ...]
    frame: spaces.Frame = spaces.Frame()
    task: tasks.Task = tasks.Task()
    origin: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        checks.check_file_name("an architecture", self.name)
        if not self.blocks:
            raise ValueError("An architecture needs at least one block. Received: blocks=()")

    @property
    def image_size(self) -> int:
        """Height and width of the images in pixels."""
        return self.task.image_size

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.task.channels

    @property
    def num_classes(self) -> int:
        """Outputs of the classifier."""
        return self.task.num_classes

    def adapted(
        self,
        num_classes: int | None = None,
        image_size: int | None = None,
        channels: int | None = None,
    ) -> "Architecture":
        """Returns the same network for other data; name, ratings and origin stay.

        Args:
            num_classes: outputs of the classifier; `None` keeps the number.
            image_size: height and width of the image in pixels; `None` keeps it.
            channels: channels of the image; `None` keeps them.

        Returns:
            An `Architecture`. Its costs are those of the new sizes, so it may exceed the
            limits in its origin.

        Raises:
            ValueError: a number is not a whole number above 0.
        """
        sizes = {"num_classes": num_classes, "image_size": image_size, "channels": channels}
        changes = {name: value for name, value in sizes.items() if value is not None}
        return dataclasses.replace(self, task=dataclasses.replace(self.task, **changes))

    def costs(self) -> dict[str, int]:
        """Trainable `params`, `macs` and `authors_flops`, counted from shapes."""
        return cost_tables.network_costs(self)

    @property
    def rating(self) -> float | None:
        """The sum of the ratings of its blocks; `None` if a block was not rated."""
        ratings = [block.rating for block in self.blocks]
        # Added left to right, as a search adds: sum() rounds differently from Python 3.12 on.
        return None if None in ratings else functools.reduce(operator.add, ratings)

    def describe(self) -> str:
        """The blocks as text, each as `"24: k3e6 k5e3"` (width and ops), joined by `" | "`."""
        return " | ".join(
            f"{block.width}: {' '.join(op.name for op in block.ops)}" for block in self.blocks
        )

    def to_dict(self) -> dict:
        """The JSON-able content of its file."""
        return {
            "kind": KIND,
            "version": VERSION,
            "name": self.name,
            "image": {"size": self.image_size, "channels": self.channels},
            "num_classes": self.num_classes,
            "frame": dataclasses.asdict(self.frame),
            "blocks": [
                {
                    "stride": block.stride,
                    "width": block.width,
                    "ops": [op.name for op in block.ops],
                    "cell": block.cell,
                    "path": None if block.path is None else list(block.path),
                    "rating": block.rating,
                }
                for block in self.blocks
            ],
            "costs": self.costs(),
            "origin": self.origin,
        }

    @classmethod
    def from_dict(cls, data: dict) -> "Architecture":
        """Makes an architecture from the content of its file.

        Raises:
            ValueError: an entry is missing, unknown or out of range, or the costs in
                the file are not the costs of its blocks.
        """
        # The version is checked first: other versions may have other keys.
        if isinstance(data, dict) and data.get("version", VERSION) != VERSION:
            raise ValueError(
                f"The architecture has version {data['version']!r}, and this dna_tf reads "
                f"version {VERSION}. Install the dna_tf that wrote it, or search again."
            )
        data = checks.check_keys("architecture", data, _FIELDS)
        image = checks.check_keys("image", data["image"], ("size", "channels"))
        frame_keys = [field.name for field in dataclasses.fields(spaces.Frame)]
        frame = checks.check_keys("frame", data["frame"], frame_keys)
        if not isinstance(data["blocks"], list) or not isinstance(data["origin"], dict):
            raise ValueError("An architecture's blocks must be a list, and its origin a mapping.")
        _CHECK_ORIGIN(data["origin"], "The origin")
        architecture = cls(
            name=data["name"],
            blocks=tuple(_block_from_dict(block, i) for i, block in enumerate(data["blocks"], 1)),
            frame=spaces.Frame(**frame),
            task=tasks.Task(image["size"], image["channels"], data["num_classes"]),
            origin=data["origin"],
        )
        if data["costs"] != architecture.costs():
            raise ValueError(
                "The costs in the architecture are not those of its blocks: it was changed by "
                f"hand or damaged. In it: {data['costs']}; counted: {architecture.costs()}"
            )
        return architecture


def _block_from_dict(data, number):
    keys = [field.name for field in dataclasses.fields(BlockChoice)]
    data = checks.check_keys(f"block {number} of the architecture", data, keys)
    if not isinstance(data["ops"], list) or not isinstance(data["path"], list | None):
        raise ValueError(f"The ops and the path of block {number} must be lists.")
    path = None if data["path"] is None else tuple(data["path"])
    try:
        ops = tuple(spaces.Op.parse(name) for name in data["ops"])
        return BlockChoice(**{**data, "ops": ops, "path": path})
    except ValueError as error:
        raise ValueError(f"Block {number} of the architecture: {error}") from None


def save(architecture, path):
    """Writes an `Architecture` to a file, atomically."""
    files.write_json(path, architecture.to_dict())


def load(path):
    """Reads an architecture file.

    Returns:
        An `Architecture`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, foreign, of another version or inconsistent.
    """
    hint = "Architecture files are written by a search, as architectures/NAME.json."
    data = files.read_json(path, KIND, hint)
    try:
        return Architecture.from_dict(data)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The architecture file {path} cannot be used. {checks.cut(error)}"
        ) from error


def is_saved(architecture, path, hint):
    """Whether a file contains an architecture already.

    Args:
        architecture: an `Architecture`.
        path: the file.
        hint: what to do if the file contains something else, for the error.

    Returns:
        `True` if the file contains an equal architecture, `False` if there is no such file. The
        fingerprint of the config in its origin may differ, as some fields change no result.

    Raises:
        ValueError: the file contains something else, and should not be overwritten.
    """
    path = files.as_path(path)
    if not path.exists():
        return False
    try:
        same, reason = _without_config(load(path)) == _without_config(architecture), ""
    except ValueError as error:  # not an architecture
        same, reason = False, f" {error}"
    if not same:
        raise ValueError(
            f"The file {path} contains something else, and is not overwritten.{reason} {hint}"
        )
    return True


def _without_config(architecture):
    origin = {key: value for key, value in architecture.origin.items() if key != "config"}
    return dataclasses.replace(architecture, origin=origin)
