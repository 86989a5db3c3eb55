"""The contract of an op: its description, its Keras layers, its costs and its files agree.

A new kind of op, activation or ratio is one entry in `OPS`. tests/supernet/test_packed_ops.py holds
the packed form of the same specs.
"""

import dataclasses
import itertools

import keras
import pytest

from dna_tf.latency import graphs
from dna_tf.models import model_costs, peak_memory, students
from dna_tf.space import (
    architectures,
    cost_tables,
    layer_specs,
    network_layers,
    op_costs,
    part_keys,
    spaces,
    tasks,
)
from dna_tf.teachers import parts
from tests.helpers import keras_costs

OPS = ("k3e1", "k5e6", "k3e3se0.5", "k3e3se0", "fk3e4", "fk5e2se0.25")
SIZES = ((8, 8, 1), (6, 10, 2), (4, 3, 1))  # channels read and given, stride
CASES = list(itertools.product(OPS, spaces.ACTIVATIONS, SIZES))
FRAME = spaces.Frame(stem_width=6, stem_output_width=6, stem_layers=0, head_width=12)


def _spec(name, activation, sizes):
    frame = dataclasses.replace(FRAME, activation=activation)
    in_width, out_width, stride = sizes
    op = spaces.Op.parse(name)
    return layer_specs.layer_specs(frame, [op], in_width, [out_width], stride)[0]


def _model(spec, size=7):
    image = keras.Input((size, size, spec.in_width))
    return keras.Model(image, students.apply_mbconv(image, spec, "op"))


@pytest.mark.parametrize(("name", "activation", "sizes"), CASES, ids=str)
def test_the_costs_of_an_op_are_those_of_its_layers(name, activation, sizes):
    spec = _spec(name, activation, sizes)
    model = _model(spec)
    counted = keras_costs.counted(model)
    assert counted["params"] == spec.params
    assert counted["macs"] == spec.macs(7, 7)
    assert counted["authors_flops"] == spec.authors_flops(7, 7)
    assert peak_memory.peak_elements(model, (7, 7, spec.in_width)) == spec.peak_elements(7, 7)
    assert parts.int8_bytes(model) == spec.int8_bytes
    assert tuple(model.output.shape[1:]) == (*layer_specs.output_size(7, 7, sizes[2]), sizes[1])


@pytest.mark.parametrize("name", OPS)
def test_a_name_is_read_as_it_is_written(name):
    assert spaces.Op.parse(name).name == name


def test_the_own_ratio_of_an_op_comes_before_the_frames():
    ratios = {name: _spec(name, "swish", SIZES[0]).se_ratio for name in OPS}
    expected = {"k3e1": 0.25, "k5e6": 0.25, "k3e3se0.5": 0.5, "k3e3se0": 0.0}
    assert ratios == expected | {"fk3e4": 0.0, "fk5e2se0.25": 0.25}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fk3e1", "A fused op expands at least twice"),
        ("k4e3", "kernel must be odd"),
        ("k3e3se2", r"se_ratio must lie in \[0, 1\]"),
        ("gk3e3", "a fused one as 'fk3e4'"),
        ("k3e3se", "written as kernel and expansion"),
    ],
)
def test_ops_that_cannot_be(name, message):
    with pytest.raises(ValueError, match=message):
        spaces.Op.parse(name)
    with pytest.raises(ValueError, match="There is no kind of op 'plain'"):
        spaces.Op(3, 3, "plain")


def _space(activation="relu"):
    return spaces.SearchSpace.from_dict(
        {
            "name": "all_ops",
            "ops": list(OPS),
            "blocks": [{"stride": 2, "cells": [[1, 6]]}, {"stride": 1, "cells": [[2, 8]]}],
            "frame": dataclasses.asdict(dataclasses.replace(FRAME, activation=activation)),
            "image_size": 16,
        }
    )


def test_a_space_of_all_ops_without_a_stem_mbconv_counts_what_keras_counts(tmp_path):
    space, task = _space(), tasks.Task(16, 3, 5)
    assert spaces.SearchSpace.from_dict(space.to_dict()) == space
    table = cost_tables.cost_table(space, task)
    for number, op in enumerate(space.ops):
        path = (number, (number + 1) % len(OPS))
        blocks = (
            architectures.BlockChoice(2, 6, (op,)),
            architectures.BlockChoice(1, 8, tuple(space.ops[i] for i in path)),
        )
        network = architectures.Architecture("net", blocks, space.frame, task)
        model = students.build_student(network)
        counted = keras_costs.counted(model)
        assert network.costs() == counted
        assert table.costs_of(space, [(0, (number,)), (0, path)]) == counted
        assert model_costs.count_params(model) == counted["params"]
        architectures.save(network, tmp_path / "net.json")
        assert architectures.load(tmp_path / "net.json") == network


def test_a_file_of_costs_has_a_part_for_each_op(tmp_path):
    space, task = _space("swish"), tasks.Task(16, 3, 5)
    keys = op_costs.space_keys(space, task)
    layers = [key for key in keys if key.part == "layer"]
    assert {str(key).split()[0] for key in layers} == {name.partition("se")[0] for name in OPS}
    for layer in network_layers.space_layers(space, task).all():
        if isinstance(layer.spec, layer_specs.MBConvSpec):
            assert part_keys.layer_key(layer).spec() == dataclasses.replace(
                layer.spec, norm_epsilon=1e-5, norm_momentum=0.9
            )
    entries = {key: op_costs.CostEntry(float(n)) for n, key in enumerate(keys, 1)}
    file = op_costs.OpCosts("latency_ms", entries)
    op_costs.save(file, tmp_path / "latency.json")
    assert op_costs.load(tmp_path / "latency.json") == file
    text = (tmp_path / "latency.json").read_text()
    assert '"kind": "fused"' in text and '"kind": "mb"' not in text
    fused = next(key for key in layers if key.kind == "fused")
    model = graphs.part_model(fused)
    assert model_costs.count_params(model) == fused.spec().params


def test_a_stem_without_mbconvs_has_one_width():
    with pytest.raises(ValueError, match="Expected stem_output_width=6, as stem_width"):
        dataclasses.replace(FRAME, stem_output_width=4)
    with pytest.raises(ValueError, match="stem_layers must be a whole number of at least 0"):
        dataclasses.replace(FRAME, stem_layers=-1)
