"""Keys of the parts of networks in cost tables, and their form in files.

A layer of a network is identified by what it computes and by the size of its input, a part of a
teacher by where it lies (`teacher_parts.py`).
"""

import dataclasses

from dna_tf.common import checks, records
from dna_tf.space import layer_specs, spaces, teacher_parts

VERSIONS = (1, 2)  # of files of keys; with parts of a teacher it is the second
PARTS = ("stem", "layer", "head")
_NEEDED = ("part", "kernel", "expand", "in_width", "out_width", "stride", "size", "activation")
_OPTIONAL = ("se_ratio", "num_classes", "kind")
FIELDS = (*_NEEDED, *_OPTIONAL, *teacher_parts.FIELDS)  # of any key


@dataclasses.dataclass(frozen=True)
class LayerKey:
    """Identifies a part of a network: what it computes, for which size of input.

    Args:
        part: `"stem"`, `"layer"` or `"head"`.
        kernel: side of the (depthwise) kernel.
        expand: expansion rate; 1 for stem and head.
        in_width: input channels.
        out_width: output channels; of a head those before the classifier.
        stride: stride.
        size: height and width of its input in pixels.
        activation: of `spaces.ACTIVATIONS`.
        se_ratio: of squeeze-and-excitation; 0 for stem and head.
        num_classes: outputs of the classifier; 0 for stem and layers.
        kind: of the op, of `spaces.KINDS`; `"mb"` for stem and head.
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
    kind: str = "mb"

    def spec(self):
        """What it computes: the spec of a layer, or the `ConvSpec` of stem and head."""
        rest = (self.in_width, self.out_width, self.stride, self.activation)
        if self.part == "layer":
            of_kind = layer_specs.spec_class(self.kind)
            return of_kind(self.kernel, self.expand, *rest, self.se_ratio)
        return layer_specs.ConvSpec(self.kernel, *rest)

    def __str__(self):
        rest = f"{self.in_width}->{self.out_width} stride {self.stride} at {self.size} px"
        if self.part == "layer":
            return f"{spaces.KINDS[self.kind]}k{self.kernel}e{self.expand} {rest}"
        classes = f", {self.num_classes} classes" if self.num_classes else ""
        return f"{self.part} {rest}{classes}"


def layer_key(layer):
    """The `LayerKey` of a `network_layers.NetworkLayer`."""
    spec, kind = layer.spec, "mb"
    if isinstance(spec, layer_specs.MBConvSpec):
        part, expand, se_ratio = "layer", spec.expand, float(spec.se_ratio)
        kind = layer_specs.kind_of(spec)
    else:
        part, expand, se_ratio = ("head" if layer.num_classes else "stem"), 1, 0.0
    return LayerKey(
        part=part,
        kernel=spec.kernel,
        expand=expand,
        in_width=spec.in_width,
        out_width=spec.out_width,
        stride=spec.stride,
        size=layer.size,
        activation=spec.activation,
        se_ratio=se_ratio,
        num_classes=layer.num_classes,
        kind=kind,
    )


def fields_of(key):
    """The fields of a key; the kind of most ops is left out, as in files of before."""
    fields = dataclasses.asdict(key)
    if fields.get("kind") == "mb":
        del fields["kind"]
    return fields


def version_of(keys):
    """The version of a file with entries of these keys."""
    return VERSIONS[any(key.part == teacher_parts.PART for key in keys)]


def check_version(data):
    """Checks the version of a file's content; raises `ValueError` if it is another one."""
    if data.get("version") not in VERSIONS:
        expected = " and ".join(map(str, VERSIONS))
        raise ValueError(f"It has version {data.get('version')!r}; this reads {expected}.")


def read_key(fields, what):
    """Makes the key of a part from its fields in a file.

    Args:
        fields: a dict.
        what: the entry that it is of, in words.

    Returns:
        A `LayerKey`, or a `teacher_parts.TeacherKey`.

    Raises:
        ValueError: a field is missing, unknown, of another type, or out of range.
    """
    if fields["part"] == teacher_parts.PART:
        return teacher_parts.read_key(fields, what)
    key = LayerKey(**checks.check_keys(what, fields, _NEEDED, _OPTIONAL))
    check_key(key, what)
    return key


def check_key(key, what):
    """Checks the values of a `LayerKey` from a file.

    Args:
        key: the key.
        what: the entry that it is of, in words.

    Raises:
        ValueError: a value is of another type, or out of range.
    """
    if key.part not in PARTS:
        raise ValueError(
            f"The part of {what} must be one of {list(PARTS)}. Received: "
            f"{checks.short_repr(key.part)}"
        )
    for name in ("kernel", "expand", "in_width", "out_width", "stride", "size"):
        checks.check_whole(f"{name} of {what}", getattr(key, name), 1, records.MOST)
    records.text(key.activation, f"The activation of {what}")
    checks.choose(key.kind, spaces.KINDS, f"kind of op in {what}")
    records.number(0, 1)(key.se_ratio, f"The se_ratio of {what}")
    records.whole()(key.num_classes, f"The num_classes of {what}")
