"""Tables for students that inherit: what is measured, the fit, and what resumes."""

import json

import numpy as np
import pytest
from ai_edge_litert import interpreter

from dna_tf.inheritance import realising
from dna_tf.latency import measurements, random_assemblies, sessions, teacher_graphs
from dna_tf.models import logits
from dna_tf.phases import latency_tables
from dna_tf.space import assembly_costs, op_costs, part_keys, teacher_parts
from tests.helpers import part_tables, small_assemblies

SPACE = small_assemblies.SPACE


def _assemblies(seed=0):
    teacher, facts, _ = small_assemblies.all_of_it()
    return random_assemblies.RandomAssemblies(SPACE, facts, teacher, seed)


@pytest.fixture
def fake_graphs(monkeypatch):
    part_tables.replace_graphs(monkeypatch)


def _file(path, meter, drawn=None):
    drawn = _assemblies() if drawn is None else drawn
    return latency_tables.TableFile(path, meter, "latency_ms", 0.05, drawn)


def test_networks_are_drawn_from_the_smallest_to_the_teacher():
    drawn = _assemblies()
    networks = drawn.draw("fit", 12)
    macs = [network.costs()["macs"] for network in networks]
    assert macs == sorted(macs) and len(set(map(drawn.measured_name, networks))) == 12
    assert macs[0] < 0.5 * macs[-1]
    owns = [part.is_own for network in networks for part in network.parts]
    assert any(owns) and not all(owns)
    assert networks == _assemblies().draw("fit", 12)
    others = drawn.draw("validate", 12, without=networks)
    assert not set(map(drawn.measured_name, networks)) & set(map(drawn.measured_name, others))


def test_a_table_of_parts_is_measured_fitted_and_validated(tmp_path, fake_graphs, capsys):
    path, drawn = tmp_path / "latency.json", _assemblies()
    file = _file(path, part_tables.Meter())
    file.make_table(fit=12)
    table = op_costs.load(path)
    assert table == file.table and set(table.entries) == set(drawn.keys())
    assert table.fixed == pytest.approx(0.3, rel=0.1)
    assert table.about["fitted_to"]["teacher"].startswith(drawn.facts.fingerprint)
    assert json.loads(path.read_text())["version"] == 2
    # The whole teacher, beside the sum of its parts.
    assert assembly_costs.teacher_cost(table, drawn.facts) == 2.0
    predicted = assembly_costs.sum_of_own(table, drawn.facts)
    output = capsys.readouterr().out
    assert f"teacher at 8 px, 4 classes: measured 2 ms (spread 0), predicted {predicted:.4g}" in (
        output
    )
    assert "fitted to 12 students that inherit from the teacher" in output
    errors = file.validate(8)
    assert errors["networks"] == 8 and errors["median_error"] < 0.02


def test_a_killed_measurement_goes_on(tmp_path, fake_graphs):
    path, meter = tmp_path / "latency.json", part_tables.Meter(fails_at=2)
    with pytest.raises(KeyboardInterrupt):
        _file(path, meter).make_table(fit=3)
    assert not path.exists() and len(meter.asked) == measurements.GROUP
    again = part_tables.Meter()
    _file(path, again).make_table(fit=3)
    timed_keys = meter.asked + again.asked
    assert len(timed_keys) == len(set(timed_keys))
    parts = [key for key in timed_keys if not isinstance(key, str)]
    assert parts == _assemblies().keys()
    once_more = part_tables.Meter()
    _file(path, once_more).make_table(fit=3)
    assert once_more.asked == []


def test_tables_of_students_and_of_other_teachers_are_kept_apart(tmp_path, fake_graphs):
    path, drawn = tmp_path / "latency.json", _assemblies()
    students = sessions.RandomStudents(SPACE, drawn.task)
    _file(path, part_tables.Meter(), students).make_table(fit=3)
    assert json.loads(path.read_text())["version"] == 1
    message = "fitted to students of the space 'tiny' .* students that inherit from the teacher"
    with pytest.raises(ValueError, match=message):
        _file(path, part_tables.Meter()).make_table()
    before = op_costs.load(path)
    _file(path, part_tables.Meter()).make_table(fit=0)  # adds its parts under the fit that is there
    grown = op_costs.load(path)
    assert set(grown.entries) == set(before.entries) | set(drawn.keys())
    assert grown.about["fitted_to"] == before.about["fitted_to"]

    other = tmp_path / "other.json"
    _file(other, part_tables.Meter()).make_table(fit=3)
    teacher = small_assemblies.teacher(seed=5)
    facts = small_assemblies.parts.facts(teacher)
    changed = random_assemblies.RandomAssemblies(SPACE, facts, teacher)
    with pytest.raises(sessions.FittedToOthers, match="another --output"):
        _file(other, part_tables.Meter(), changed).make_table()
    with pytest.raises(sessions.FittedToOthers):
        _file(other, part_tables.Meter(), students).make_table()


def test_measurements_with_keys_of_a_teacher_are_read_again(tmp_path, fake_graphs):
    path = tmp_path / "latency.json"
    _file(path, part_tables.Meter()).make_table(fit=0)
    measured = measurements.Measurements(measurements.path_beside(path))
    assert list(measured.parts) == _assemblies().keys()
    content = json.loads(measured.path.read_text())
    assert content["version"] == 2
    content["parts"][0]["height"] = -1
    measured.path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="height of a part must be a whole number"):
        measurements.Measurements(measured.path)


def _run(content, inputs):
    graph = interpreter.Interpreter(model_content=content)
    graph.allocate_tensors()
    graph.set_tensor(graph.get_input_details()[0]["index"], inputs)
    graph.invoke()
    return graph.get_tensor(graph.get_output_details()[0]["index"])


def test_the_graphs_are_the_parts_of_the_teacher():
    """The chain of the files of the parts gives what the teacher gives, and so does its own."""
    teacher, facts, _ = small_assemblies.all_of_it()
    pixels = small_assemblies.pixels(1).numpy()
    expected = logits.with_logits(teacher.model)(pixels, training=False).numpy()
    x = pixels
    for key in (*teacher_parts.block_keys(facts), teacher_parts.head_key(facts)):
        assert x.shape[1:] == (key.height, key.width, key.channels)
        x = _run(teacher_graphs.part_graph(teacher, key), x)
    np.testing.assert_allclose(x, expected, rtol=1e-4, atol=1e-4)
    whole = _run(teacher_graphs.whole_graph(teacher), pixels)
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-4)


def test_an_assembly_is_timed_with_the_layers_of_its_parts():
    teacher, facts, _ = small_assemblies.all_of_it()
    assembly = small_assemblies.assembly(((0, (1, 3)), None), facts)
    model = realising.build(assembly, teacher)
    keys = assembly_costs.network_keys(assembly)
    assert [key.part for key in keys] == ["stem", "layer", "layer", "layer", "teacher", "teacher"]
    convolutions = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert convolutions[0].strides == (keys[0].stride,) * 2
    assert model.output_shape == (None, small_assemblies.CLASSES)
    content = teacher_graphs.assembly_graph(assembly, teacher)
    assert _run(content, small_assemblies.pixels(1).numpy()).shape == (1, 4)
    # A layer of a path in the teacher's place is a layer as any other.
    assert isinstance(keys[2], part_keys.LayerKey) and keys[3].out_width == facts.shapes[1][-1]
