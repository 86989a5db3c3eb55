"""Random assemblies: the networks to which a table for students that inherit is fitted."""

import dataclasses

import numpy as np

from dna_tf.common import files, seeding
from dna_tf.latency import graphs, sessions, tables, teacher_graphs, validation
from dna_tf.space import (
    assemblies,
    assembly_costs,
    part_costs,
    spaces,
    tasks,
    teacher_parts,
)
from dna_tf.teachers import cutting

_DRAWS = 40  # for each network that is taken
_MOST_OWN = 0.8  # largest probability of the teacher's own block in a place


@dataclasses.dataclass(frozen=True)
class RandomAssemblies:
    """The assemblies that a table is fitted to and validated on.

    It has what `sessions.RandomStudents` has.

    Args:
        space: the `spaces.SearchSpace` of the cells.
        facts: the `assemblies.TeacherFacts`.
        teacher: the `cutting.Teacher`.
        seed: seeds the draws.
    """

    space: spaces.SearchSpace
    facts: assemblies.TeacherFacts
    teacher: cutting.Teacher
    seed: int = 0

    @property
    def task(self):
        """Their `tasks.Task`."""
        size, _, channels = self.facts.shapes[0]
        return tasks.Task(size, channels, self.facts.num_classes)

    def keys(self):
        """The keys of all their parts, and of the teacher's own."""
        return assembly_costs.keys(self.space, self.facts)

    def draw(self, purpose, count, without=(), seed=None):
        """Draws assemblies, evenly spread over the MACs from the smallest to the teacher.

        Each draw has a share of the teacher's own blocks and a subset of the ops: if all were
        drawn alike, almost all networks would lie in the middle.

        Args:
            purpose: another purpose, such as `"fit"`, gives others.
            count: how many; a small space may have fewer.
            without: assemblies to leave out.
            seed: instead of the own one.

        Returns:
            A list of `assemblies.Assembly`, by ascending MACs.
        """
        seed = seeding.derive_seed(self.seed if seed is None else seed, f"latency {purpose}")
        draws, by_name = np.random.RandomState(seed), {}
        excluded = set(map(self.measured_name, without))
        for _ in range(_DRAWS * count):
            assembly = self._draw_one(draws)
            by_name.setdefault(self.measured_name(assembly), assembly)
        drawn = [assembly for name, assembly in by_name.items() if name not in excluded]
        return validation.evenly_spread(drawn, [self.size(each) for each in drawn], count)

    def _draw_one(self, draws):
        space, shapes, parts = self.space, self.facts.shapes, []
        ops = draws.permutation(len(space.ops))[: 1 + draws.randint(len(space.ops))]
        share = draws.uniform(0.0, _MOST_OWN)
        for b, block in enumerate(space.blocks):
            if draws.uniform() < share:
                parts.append(assemblies.Part(None, None, 0.0, self.facts.blocks[b]))
                continue
            c = int(draws.randint(len(block.cells)))
            path = tuple(int(ops[draws.randint(len(ops))]) for _ in range(block.cells[c].layers))
            costs = part_costs.path_costs(space, b, c, path, shapes)
            parts.append(assemblies.Part(c, path, 0.0, costs))
        return assemblies.Assembly("random", space, self.facts, tuple(parts))

    def size(self, assembly):
        """The MACs of an assembly; its parameters, if the teacher's MACs cannot be counted."""
        costs = assembly.costs()
        return costs["params"] if costs["macs"] is None else costs["macs"]

    def description(self):
        """Space, task and teacher as a dict; the same keys as in `fitted_to` of a table."""
        whole = teacher_parts.whole_name(self.facts)
        return {
            "space": self.space.name,
            **dataclasses.asdict(self.task),
            "teacher": f"{whole}, cut at {', '.join(self.facts.cuts)}",
        }

    def reference(self):
        """The network that is timed in turns with all others: a student of the space."""
        return sessions.RandomStudents(self.space, self.task, self.seed).reference()

    def measured_name(self, assembly):
        """The name of an assembly among measured networks."""
        return f"assembly {files.fingerprint(assembly_key(assembly))}"

    def parts_of(self, assembly):
        """The keys of the parts of an assembly in order."""
        return assembly_costs.network_keys(assembly)

    def part_graph(self, key, precision):
        """The TFLite file of a part, as bytes."""
        if key.part == teacher_parts.PART:
            return teacher_graphs.part_graph(self.teacher, key, precision)
        return graphs.part_graph(key, precision=precision)

    def graph(self, assembly, precision):
        """The TFLite file of an assembly, as bytes."""
        return teacher_graphs.assembly_graph(assembly, self.teacher, precision)

    def whole(self):
        """The whole teacher as a list of one `sessions.TimedNetwork`."""
        return [
            sessions.TimedNetwork(
                "teacher",
                f"{tables.TEACHER} {teacher_parts.whole_name(self.facts)}",
                task=self.task,
                macs=self.facts.costs()["macs"],
                parts=(
                    *teacher_parts.block_keys(self.facts),
                    teacher_parts.head_key(self.facts),
                ),
                make_graph=lambda precision: teacher_graphs.whole_graph(self.teacher, precision),
            )
        ]


def assembly_key(assembly):
    """What an assembly computes, JSON-able; differs for other paths, spaces and teachers."""
    content = assembly.to_dict()
    return [
        [content["teacher"][name] for name in ("fingerprint", "cuts", "shapes")],
        [dataclasses.asdict(key) for key in assembly_costs.network_keys(assembly)],
    ]
