"""The parts of a teacher as keys of a cost table: each of its own blocks, and its head.

A layer of a path is the same in every network, so its key says what it computes. A teacher's block
can be anything: its key names the teacher, by the fingerprint of its weights, and the layers
between which it lies. So the costs of one teacher are never taken for those of another.
"""

import dataclasses

from dna_tf.common import checks, records

PART = "teacher"
FIELDS = ("part", "teacher", "start", "end", "height", "width", "channels")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherKey:
    """Identifies a part of a teacher.

    Args:
        part: `"teacher"`, which tells such a key from that of a layer.
        teacher: fingerprint of the teacher's weights, as `assemblies.TeacherFacts` has it.
        start: name of the layer whose map it reads; `""` for the image.
        end: name of its last layer; `""` for the teacher's end.
        height: of what it reads, in pixels.
        width: of what it reads, in pixels.
        channels: of what it reads.
    """

    part: str = PART
    teacher: str
    start: str
    end: str
    height: int
    width: int
    channels: int

    def __str__(self):
        start, end = self.start or "the image", self.end or "the answers"
        return (
            f"the teacher's part from {start} to {end} at {self.height}x{self.width}x"
            f"{self.channels} (teacher {self.teacher})"
        )


def block_keys(teacher):
    """The keys of a teacher's own blocks, first block first.

    Args:
        teacher: an `assemblies.TeacherFacts`.

    Returns:
        A list of `TeacherKey`.
    """
    ends = list(teacher.cuts)
    starts = ["", *ends[:-1]]
    return [_key(teacher, *place) for place in zip(starts, ends, teacher.shapes[:-1], strict=True)]


def head_key(teacher):
    """The key of what comes after a teacher's last block, with the answers.

    Args:
        teacher: an `assemblies.TeacherFacts`.
    """
    return _key(teacher, teacher.cuts[-1], "", teacher.shapes[-1])


def _key(teacher, start, end, shape):
    height, width, channels = shape
    return TeacherKey(
        teacher=teacher.fingerprint,
        start=start,
        end=end,
        height=height,
        width=width,
        channels=channels,
    )


def whole_name(teacher):
    """The name of a whole teacher among measured networks: `"0123456789abcdef 96x96x3"`.

    Args:
        teacher: an `assemblies.TeacherFacts`.
    """
    return f"{teacher.fingerprint} {'x'.join(map(str, teacher.shapes[0]))}"


def read_key(item, what):
    """Makes a key from the fields in a file.

    Args:
        item: a dict with the fields of a `TeacherKey`.
        what: the entry that it is of, in words.

    Returns:
        A `TeacherKey`.

    Raises:
        ValueError: a field is missing, unknown, of another type or out of range.
    """
    item = checks.check_keys(what, item, FIELDS)
    for name in ("teacher", "start", "end"):
        records.text(item[name], f"The {name} of {what}")
    for name in ("height", "width", "channels"):
        checks.check_whole(f"{name} of {what}", item[name], 1, records.MOST)
    return TeacherKey(**item)
