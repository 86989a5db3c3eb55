"""Tables of latencies for a compression: measured in the workdir, read, and refused."""

import dataclasses
import json

import keras
import pytest

from dna_tf import workdirs
from dna_tf.config import run_config
from dna_tf.latency import sessions
from dna_tf.phases import compressing, latency_of_parts, latency_tables
from dna_tf.space import assemblies, assembly_costs, op_costs, presets
from dna_tf.teachers import parts
from tests.helpers import data_files, part_tables, small_assemblies

layers = keras.layers


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and images."""
    folder = tmp_path_factory.mktemp("latency_of_parts")
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(image)
    for width in (8, 16):
        x = layers.Conv2D(width, 3, 2, "same", activation="relu")(x)
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, x, name="plain").save(folder / "model.keras")
    data_files.write_folder(folder / "images", ["ant", "bee", "cat"], 20)
    return folder


@pytest.fixture
def run(place, tmp_path, monkeypatch):
    """A run that was begun, and nothing is trained; TFLite files are latencies."""
    part_tables.replace_graphs(monkeypatch)
    base = run_config.default_config()
    base.data.rating_per_class = 4
    config = compressing.new_config(base, place / "model.keras", f"folder:{place / 'images'}")
    return workdirs.open_workdir(tmp_path / "run", config)


def _facts_and_space(run):
    return parts.facts(latency_of_parts.open_teacher(*run)), presets.get_space(run[1].space)


def test_a_limit_on_this_machine_measures_its_table_once(run, capsys):
    meter, limits = part_tables.Meter(), {"max_latency_ms": "80%"}
    (table,) = latency_of_parts.tables_for(*run, limits, meter=meter)
    path = latency_of_parts.own_path(run[0])
    assert path == run[0].path / "latency.json" and op_costs.load(path) == table
    facts, space = _facts_and_space(run)
    assert set(table.entries) == set(assembly_costs.keys(space, facts))
    assert "teacher at 16 px, 3 classes: measured 2 ms" in capsys.readouterr().out
    again = part_tables.Meter()
    assert latency_of_parts.tables_for(*run, limits, meter=again) == [table]
    assert again.asked == []
    # 80 % of what the whole teacher was measured at.
    extra, of_teacher = assembly_costs.of_tables([table], space, facts)
    assert of_teacher == {"latency_ms": 2.0} and extra[0]["name"] == "latency_ms"
    compressing.check(*run, limits, [table])
    with pytest.raises(ValueError, match="The teacher itself is within .* latency_ms"):
        compressing.check(*run, {"max_latency_ms": 50}, [table])
    with pytest.raises(ValueError, match="No architecture of the space 'for_plain' meets"):
        compressing.check(*run, {"max_latency_ms": "1%"}, [table])


def test_a_killed_measurement_goes_on_with_the_same_call(run):
    meter = part_tables.Meter(fails_at=2)
    with pytest.raises(KeyboardInterrupt):
        latency_of_parts.tables_for(*run, {"max_latency_ms": 3}, meter=meter)
    again = part_tables.Meter()
    latency_of_parts.tables_for(*run, {"max_latency_ms": 3}, meter=again)
    timed_keys = meter.asked + again.asked
    assert again.asked and len(timed_keys) == len(set(timed_keys))


def test_without_a_latency_nothing_is_measured(run):
    assert latency_of_parts.tables_for(*run, {"max_macs": "50%"}, meter=None) == []


def test_a_table_of_a_phone_is_read(run, tmp_path):
    facts, space = _facts_and_space(run)
    table = part_tables.table(space, facts, "phone_ms")
    op_costs.save(table, tmp_path / "phone.json")
    limits = {"max_phone_ms": 3, "max_macs": "90%"}
    assert latency_of_parts.tables_for(*run, limits, [tmp_path / "phone.json"]) == [table]
    # A column without a limit.
    assert latency_of_parts.tables_for(*run, {}, [tmp_path / "phone.json"]) == [table]


def test_what_is_missing_comes_with_the_command_that_measures_it(run, tmp_path):
    facts, space = _facts_and_space(run)
    workdir = run[0]
    with pytest.raises(ValueError, match="no cost 'phone_ms' without a table") as error:
        latency_of_parts.tables_for(*run, {"max_phone_ms": 3})
    command = f"tools.latency_table --workdir={workdir} --teacher_parts --cost=phone_ms --output="
    assert command in str(error.value) and "--device=adb" in str(error.value)
    # A table of another teacher.
    other = dataclasses.replace(facts, fingerprint="f" * 16)
    about = {"overhead": {}, "threads": 1, "cores": [3], "precision": "float32"}
    table = part_tables.table(space, other, "phone_ms", device="a phone", about=about)
    op_costs.save(table, tmp_path / "phone.json")
    with pytest.raises(ValueError, match="parts of a teacher are of another one: ff") as error:
        latency_of_parts.tables_for(*run, {"max_phone_ms": 3}, [tmp_path / "phone.json"])
    command = f"tools.latency_table --workdir={workdir} --teacher_parts --cost=phone_ms "
    assert command in str(error.value) and "--cores=3" in str(error.value)
    with pytest.raises(ValueError, match="such as 350M"):
        latency_of_parts.tables_for(*run, {"max_latency_ms": "fast"})
    assert not latency_of_parts.own_path(workdir).exists()


def test_a_table_of_students_in_the_same_place_is_not_changed(run):
    facts, space = _facts_and_space(run)
    path, meter = latency_of_parts.own_path(run[0]), part_tables.Meter()
    students = sessions.RandomStudents(space, latency_of_parts.networks(*run).task)
    latency_tables.TableFile(path, meter, "latency_ms", 0.05, students).make_table(fit=3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="--fit=0.* Or measure .*--teacher_parts --output="):
        latency_of_parts.tables_for(*run, {"max_latency_ms": 3}, meter=part_tables.Meter())
    assert path.read_bytes() == before


def test_a_student_is_timed_beside_the_sum_of_its_parts(run, capsys):
    """Of a student the phase reads its assembly, its file and its result."""
    workdir, meter, limits = run[0], part_tables.Meter(), {"max_latency_ms": 1.4}
    (table,) = latency_of_parts.tables_for(*run, limits, meter=meter)
    facts, space = _facts_and_space(run)
    assembly = small_assemblies.assembly(((0, (0,)), None), facts, "fast", space)
    folder = workdir.compressed("fast")
    assemblies.save(assembly, folder / "assembly.json")
    (folder / "exports").mkdir()
    (folder / "exports/float32.tflite").write_bytes(b"a file")
    used = {"latency_ms": op_costs.identity(table)}
    result = {"kind": workdirs.COMPRESSED_KIND, "limits": limits, "cost_files": used}
    later = latency_of_parts.time_student(workdir, "fast", result, meter=meter)
    row = later["measured_latency"]["latency_ms"]
    assert row["measured_ms"] == 1.5 and row["file"] == "exports/float32.tflite"
    assert row["predicted_ms"] == pytest.approx(assembly_costs.network_cost(table, assembly))
    assert json.loads((folder / "result.json").read_text()) == later
    output = capsys.readouterr()
    assert "fast, float32.tflite: measured 1.5 ms (spread 0), predicted" in output.out
    assert "above latency_ms <= 1.4" in output.err and "--max_latency_ms=" in output.err
    count = len(meter.asked)
    assert latency_of_parts.time_student(workdir, "fast", later, meter=meter) == later
    assert len(meter.asked) == count  # it was timed already
    # On another device: the command.
    other = part_tables.Meter(device="elsewhere")
    assert latency_of_parts.time_student(workdir, "fast", later, meter=other) == later
    text = capsys.readouterr().out
    assert f"tools.latency_table --output={latency_of_parts.own_path(workdir)} --arch=" in text
    # A student that was searched without it.
    result = {**result, "cost_files": {}}
    assert latency_of_parts.time_student(workdir, "fast", result, meter=meter) == result
