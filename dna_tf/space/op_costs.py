"""Costs measured or made up for each op: a file such as `latency.json`.

A network is taken apart into *parts*: the stem's convolution, each layer (an MBConv), and
the head (1x1 convolution, pooling and classifier). A part is known by what it computes and
for which input size. A file has one entry for each distinct part and a `fixed` cost of
every network (what calling it costs, say); the cost of a network is their sum. A file holds
for every space, network and resolution whose parts it lists.

    {"kind": "dna_tf.op_costs", "version": 1,
     "cost": "latency_ms", "device": "...", "runtime": "...", "about": {...},
     "fixed": 0.4,
     "entries": [
      {"part": "layer", "kernel": 3, "expand": 6, "in_width": 16, "out_width": 24,
       "stride": 2, "size": 112, "activation": "swish", "se_ratio": 0.25,
       "value": 1.31, "repeats": 50, "spread": 0.02}, ...]}

`size` is height and width of the part's input in pixels; `repeats` and `spread` (in the
cost's own unit) are optional and tell how an entry was measured. `device`, `runtime` and
`about` tell where; nothing is computed from them.
"""

import dataclasses
import math

import numpy as np

from dna_tf.common import checks, files
from dna_tf.latency import commands
from dna_tf.space import cost_limits, cost_tables, layer_specs

KIND = "dna_tf.op_costs"
VERSION = 1
PARTS = ("stem", "layer", "head")
_SPEC = ("part", "kernel", "expand", "in_width", "out_width", "stride", "size")
_SPEC += ("activation", "se_ratio", "num_classes")
_FIELDS = ("kind", "version", "cost", "device", "runtime", "about", "fixed", "entries")
_HINT = "A file of op costs is JSON of the form that dna_tf/op_costs.py describes."


@dataclasses.dataclass(frozen=True)
class Part:
    """What a cost is known for: one part of a network with its input size.

    Args:
        part: `"stem"`, `"layer"` or `"head"`.
        kernel: side of the (depthwise) kernel.
        expand: expansion rate; 1 for stem and head.
        in_width: input channels.
        out_width: output channels; of a head those before the classifier.
        stride: stride.
        size: height and width of its input in pixels.
        activation: `"swish"` or `"relu6"`.
        se_ratio: of squeeze-and-excitation; 0 for stem and head.
        num_classes: outputs of the classifier; 0 for stem and layers.
    """

    part: str
    kernel: int
    expand: int
    in_width: int
    out_width: int
    stride: int
    size: int
    activation: str
    se_ratio: float = 0.0
    num_classes: int = 0

    def spec(self):
        """What it computes: an `layer_specs.MBConvSpec`, or the `ConvSpec` of stem and head."""
        ends = (self.in_width, self.out_width, self.stride, self.activation)
        if self.part == "layer":
            return layer_specs.MBConvSpec(self.kernel, self.expand, *ends, self.se_ratio)
        return layer_specs.ConvSpec(self.kernel, *ends)

    def __str__(self):
        ends = f"{self.in_width}->{self.out_width} stride {self.stride} at {self.size} px"
        if self.part == "layer":
            return f"k{self.kernel}e{self.expand} {ends}"
        classes = f", {self.num_classes} classes" if self.num_classes else ""
        return f"{self.part} {ends}{classes}"


def layer_part(spec, size):
    """The part that an `layer_specs.MBConvSpec` is for an input of `size` pixels."""
    widths = (spec.in_width, spec.out_width)
    kind = (spec.activation, float(spec.se_ratio))
    return Part("layer", spec.kernel, spec.expand, *widths, spec.stride, size, *kind)


def conv_part(part, spec, size, num_classes=0):
    """The `"stem"` or `"head"` that an `layer_specs.ConvSpec` is for an input of `size` pixels."""
    widths = (spec.in_width, spec.out_width)
    kind = (spec.activation, 0.0, num_classes)
    return Part(part, spec.kernel, 1, *widths, spec.stride, size, *kind)


@dataclasses.dataclass(frozen=True)
class Entry:
    """The cost of a part.

    Args:
        value: the cost, at least 0.
        repeats: how often it was measured; `None` if that is not known.
        spread: how far the measurements lie apart, in the cost's unit; `None` likewise.
    """

    value: float
    repeats: int | None = None
    spread: float | None = None


@dataclasses.dataclass(frozen=True)
class OpCosts:
    """The content of a file of op costs.

    Args:
        cost: the cost's name with its unit, such as `"latency_ms"`.
        entries: `Entry` by `Part`.
        fixed: the cost of every network beside its parts.
        device: where it was measured.
        runtime: what ran it.
        about: more of how it was made, JSON-able.
    """

    cost: str
    entries: dict
    fixed: float = 0.0
    device: str = ""
    runtime: str = ""
    about: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if not isinstance(self.cost, str) or not cost_limits.is_cost_name(self.cost):
            raise ValueError(
                "The name of a cost is lower case and ends in its unit, such as 'latency_ms'. "
                f"Received: {self.cost!r}"
            )
        if self.cost in cost_tables.COSTS:
            raise ValueError(f"{self.cost!r} is counted by dna_tf. Give the cost another name.")
        if not _is_cost(self.fixed):
            raise ValueError(f"fixed must be finite and at least 0. Received: {self.fixed!r}")
        bad = [f"{part}: {entry.value!r}" for part, entry in self.entries.items() if not _ok(entry)]
        if bad:
            raise ValueError(
                f"Costs {self.cost!r} must be finite numbers of at least 0, repeats and spreads "
                f"too. Received for {checks.some(bad, separator='; ')}"
            )

    def sizes_text(self):
        """The sizes in pixels of the images that there are parts for, as text."""
        sizes = sorted({part.size for part in self.entries if part.part == "stem"})
        return ", ".join(map(str, sizes)) or "no known"

    def path_costs(self, space, task, words=""):
        """The cost of every path of a space, for `problems.make`.

        Args:
            space: a `spaces.SearchSpace`.
            image_size: height and width of the image in pixels.
            channels: channels of the image.
            num_classes: outputs of the classifier.
            words: flags that tell `tools.latency_table` of this space, such as
                `"--workdir=W"`; by default its name and sizes.

        Returns:
            A `cost_tables.PathCosts`.

        Raises:
            ValueError: parts of the space are not in the file; see `check_covers`.
        """
        wanted = _parts(space, task)
        words = words or commands.space_words(space, task)
        what = f"the space {space.name!r} at {task.image_size} px with {task.num_classes} classes"
        check_covers(self, wanted.all(), what, words)
        paths = {}
        for key, layers in wanted.layers.items():
            total = np.zeros(1)
            for ops in layers:
                of_ops = np.array([self.entries[part].value for part in ops], np.float64)
                total = (total[:, None] + of_ops).reshape(-1)
            paths[key] = total
        stem = self.fixed
        for part in wanted.stem:
            stem = stem + self.entries[part].value
        heads = {width: self.entries[part].value for width, part in wanted.heads.items()}
        return cost_tables.PathCosts(self.cost, paths, float(stem), heads)


def check_covers(op_costs, parts, what, words):
    """Checks that op costs have parts.

    Args:
        op_costs: an `OpCosts`.
        parts: the parts that are needed.
        what: whose they are.
        words: flags that tell `tools.latency_table` of them.

    Raises:
        ValueError: some are missing; they are listed, with the command that measures them.
    """
    parts = dict.fromkeys(parts)
    missing = [str(part) for part in parts if part not in op_costs.entries]
    if missing:
        raise ValueError(
            f"The file of {op_costs.cost!r} lacks {len(missing)} of {len(parts)} parts of {what}: "
            f"{checks.some(missing, separator='; ')}. It has {len(op_costs.entries)} parts, for "
            f"images of {op_costs.sizes_text()} px. {commands.advice(op_costs, words)}"
        )


def needed_parts(space, task):
    """The distinct parts of all networks of a space: what a file must list.

    Returns:
        A list of `Part`, stem first, each once.
    """
    return _parts(space, task).all()


def from_function(name, function, space, task, fixed=0.0):
    """Makes op costs from a function, for a cost of your own.

    Args:
        name: such as `"energy_mj"`.
        function: from a `Part` to its cost.
        space: the `spaces.SearchSpace`.
        task: the `tasks.Task`: size of the images and number of classes.
        fixed: the cost of every network beside its parts.

    Returns:
        An `OpCosts`.
    """
    parts = needed_parts(space, task)
    return OpCosts(name, {part: Entry(float(function(part))) for part in parts}, fixed)


def identity(op_costs):
    """A fingerprint of all that a search takes from op costs."""
    entries = [[*dataclasses.astuple(part), e.value] for part, e in op_costs.entries.items()]
    return files.fingerprint([op_costs.cost, op_costs.fixed, sorted(entries)])


def save(op_costs, path):
    """Writes op costs to a file, atomically."""
    entries = []
    for part, entry in op_costs.entries.items():
        about = {k: v for k, v in dataclasses.asdict(entry).items() if v is not None}
        entries.append({**dataclasses.asdict(part), **about})
    head = {k: getattr(op_costs, k) for k in ("cost", "device", "runtime", "about", "fixed")}
    files.write_json(path, {"kind": KIND, "version": VERSION, **head, "entries": entries})


def load(path):
    """Reads a file of op costs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, foreign, of another version, or has an entry that is
            unknown, twice there, negative or no number.
    """
    data = files.read_json(path, KIND, _HINT)
    try:
        if data.get("version") != VERSION:
            raise ValueError(f"It has version {data.get('version')!r}; this reads {VERSION}.")
        data = checks.check_keys("file", data, ("kind", "version", "cost", "entries"), _FIELDS)
        entries = {}
        for number, given in enumerate(checks.check_sequence("entries", data["entries"]), 1):
            part, entry = _read_entry(number, given)
            if part in entries:
                raise ValueError(f"Entry {number} repeats {part}.")
            entries[part] = entry
        rest = {k: data[k] for k in ("fixed", "device", "runtime", "about") if k in data}
        return OpCosts(data["cost"], entries, **rest)
    except ValueError as error:
        raise ValueError(f"The file of op costs {path} cannot be used. {error}") from error


def _read_entry(number, given):
    what = f"entry {number}"
    given = checks.check_keys(
        what, given, (*_SPEC[:8], "value"), ("se_ratio", "num_classes", "repeats", "spread")
    )
    if given["part"] not in PARTS:
        raise ValueError(
            f"The part of {what} must be one of {list(PARTS)}. Received: {given['part']!r}"
        )
    for name in ("kernel", "expand", "in_width", "out_width", "stride", "size"):
        checks.check_whole(f"{name} of {what}", given[name], 1)
    part = Part(**{name: given[name] for name in _SPEC if name in given})
    return part, Entry(given["value"], given.get("repeats"), given.get("spread"))


def _is_cost(value):
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return good and math.isfinite(value) and value >= 0


def _ok(entry):
    rest = [v for v in (entry.repeats, entry.spread) if v is not None]
    return all(_is_cost(value) for value in (entry.value, *rest))


@dataclasses.dataclass
class _Parts:
    """The parts of a space: of the stem, of each layer of each cell, of the heads."""

    stem: list
    layers: dict  # [block, cell, in_width]: for each layer a list with a part for each op
    heads: dict  # by width

    def all(self):
        found = dict.fromkeys(self.stem)
        for layers in self.layers.values():
            found.update(dict.fromkeys(part for ops in layers for part in ops))
        return [*found, *dict.fromkeys(self.heads.values())]


def _parts(space, task):
    frame = space.frame
    conv, *depthwise = layer_specs.stem_specs(frame, task.channels)
    size = cost_tables.stem_output_size(frame, task.image_size)
    stem = [conv_part("stem", conv, task.image_size), *(layer_part(s, size) for s in depthwise)]
    layers = {}
    for b, block in enumerate(space.blocks):
        after = layer_specs.output_size(size, size, block.stride)[0]
        for c, cell in enumerate(block.cells):
            for in_width in space.input_widths(b):
                layers[b, c, in_width] = _cell_parts(
                    space, cell, in_width, block.stride, (size, after)
                )
        size = after
    heads = {}
    for cell in space.blocks[-1].cells:
        spec = layer_specs.head_spec(frame, cell.width)
        heads[cell.width] = conv_part("head", spec, size, task.num_classes)
    return _Parts(stem, layers, heads)


def _cell_parts(space, cell, in_width, stride, sizes):
    widths = [cell.width] * cell.layers
    by_op = [
        layer_specs.layer_specs(space.frame, [op] * cell.layers, in_width, widths, stride)
        for op in space.ops
    ]
    return [
        [layer_part(specs[layer], sizes[0] if layer == 0 else sizes[1]) for specs in by_op]
        for layer in range(cell.layers)
    ]
