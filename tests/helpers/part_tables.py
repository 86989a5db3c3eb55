"""Made-up latencies of the parts of students that inherit: tables, graphs and a meter."""

from dna_tf.latency import graphs, measurements, teacher_graphs
from dna_tf.space import assembly_costs, op_costs, teacher_parts

FIXED = 0.05


def part_ms(key):
    """An invented latency of a part."""
    if key.part == teacher_parts.PART:
        return 0.9 if key.end else 0.1
    return 0.01 + 0.02 * key.kernel * key.expand / key.stride + 0.003 * key.out_width


def table(space, facts, cost="latency_ms", **fields):
    """An `op_costs.OpCosts` of all parts."""
    entries = {key: op_costs.CostEntry(part_ms(key)) for key in assembly_costs.keys(space, facts)}
    return op_costs.OpCosts(cost, entries, FIXED, **fields)


class Key:
    """What `part_ms` reads of a layer."""

    part = "layer"

    def __init__(self, kernel, expand, stride, out_width):
        self.kernel, self.expand = kernel, expand
        self.stride, self.out_width = stride, out_width


def keys_by_hand(space, shapes, block, cell, path):
    """The layers of a path in a teacher's place, spelled out."""
    shape, frame = space.blocks[block].cells[cell], space.frame
    keys = []
    if block == 0:
        keys.append(Key(3, 1, frame.stem_stride, frame.stem_width))
        keys.append(Key(3, 1, 1, frame.stem_output_width))
    for layer, op in enumerate(path):
        last = layer == shape.layers - 1
        width = shapes[block + 1][-1] if last else shape.width
        stride = 1 if layer else space.blocks[block].stride
        kernel, expand = space.ops[op].kernel, space.ops[op].expand
        keys.append(Key(kernel, expand, stride, width))
    return keys


class Meter:
    """Takes graphs that are latencies; `fails_at` is the call at which it is interrupted."""

    def __init__(self, fails_at=None, device="made up"):
        self.asked, self.calls, self.fails_at, self.device = [], 0, fails_at, device

    def conditions(self):
        return {"device": self.device, "runtime": "none 1.0", "threads": 1, "cores": [0]}

    def state(self):
        return {"load_average": 0.5}

    def measure(self, latencies):
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        self.asked += [key for key in latencies if key != measurements.REFERENCE]
        return {key: op_costs.CostEntry(ms, 9, 0.0) for key, ms in latencies.items()}


def replace_graphs(monkeypatch):
    """Latencies in place of TFLite files: of networks 0.3 ms and 80 % of the sum of the parts."""

    def network_ms(assembly, teacher, precision):
        return 0.3 + 0.8 * sum(map(part_ms, assembly_costs.network_keys(assembly)))

    monkeypatch.setattr(graphs, "part_graph", lambda key, precision: part_ms(key))
    monkeypatch.setattr(graphs, "student_graph", lambda student, precision: 1.0)
    monkeypatch.setattr(graphs, "file_graph", lambda path: 1.5)
    monkeypatch.setattr(teacher_graphs, "part_graph", lambda teacher, key, precision: part_ms(key))
    monkeypatch.setattr(teacher_graphs, "whole_graph", lambda teacher, precision: 2.0)
    monkeypatch.setattr(teacher_graphs, "assembly_graph", network_ms)
