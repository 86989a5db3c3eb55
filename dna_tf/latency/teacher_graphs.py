"""Builds the TFLite graphs of a teacher's parts, of the whole teacher, and of assemblies.

The teacher's layers have their weights as they are, the layers of paths fresh ones. The head ends
in logits, as that of a student does.
"""

import keras

from dna_tf.inheritance import realising
from dna_tf.latency import graphs
from dna_tf.models import logits, plain_models

_ADVICE = (
    "Take a teacher whose layers TFLite has, or cut it at other layers, so that this block is "
    "smaller."
)


def part_graph(teacher, key, precision="float32"):
    """Builds the TFLite file of one of a teacher's own blocks or of its head, as bytes.

    Args:
        teacher: a `cutting.Teacher`.
        key: a `teacher_parts.TeacherKey` of that teacher.
        precision: one of `graphs.PRECISIONS`.

    Raises:
        ValueError: the converter failed; the part is named.
    """
    place = list(teacher.cuts).index(key.end) if key.end else len(teacher.cuts)
    parts = [*teacher.blocks, None]

    def build():
        part = logits.with_logits(teacher.head) if parts[place] is None else parts[place]
        return _alone(part, teacher.shapes[place])

    return graphs.converted(build, str(key), precision, _ADVICE)


def whole_graph(teacher, precision="float32"):
    """Builds the TFLite file of a whole teacher, as bytes.

    Raises:
        ValueError: the converter failed.
    """

    def build():
        return _alone(logits.with_logits(teacher.model), teacher.shapes[0])

    return graphs.converted(build, f"the teacher {teacher.model.name!r}", precision, _ADVICE)


def assembly_graph(assembly, teacher, precision="float32"):
    """Builds the TFLite file of an `assemblies.Assembly` with fresh paths, as bytes.

    Raises:
        ValueError: the converter failed; the assembly is named.
    """
    name = f"the network {assembly.name!r} ({assembly.describe()})"
    return graphs.converted(lambda: realising.build(assembly, teacher), name, precision, _ADVICE)


def _alone(part, shape):
    """A part as a flat model for inputs of one size."""
    inputs = keras.Input(shape, name="input")
    return plain_models.flat(keras.Model(inputs, part(inputs)))
