"""A phone through adb, played by a fake adb that answers with recorded output."""

import hashlib
import os

import pytest

from dna_tf.latency import phones
from dna_tf.space import op_costs, part_keys
from tests.helpers import fake_adb


def _new(median):
    return fake_adb.RECORDED_NEW.replace("MEDIAN", str(median))


@pytest.fixture
def binary(tmp_path):
    path = tmp_path / "android_aarch64_benchmark_model"
    path.write_bytes(b"\x7fELF made up")
    return path


def test_graphs_are_pushed_run_in_turns_and_parsed(tmp_path, binary):
    answers = [_new(m) for m in (1000, 5000, 1200, 5100, 1100, 5400)]
    adb, calls = fake_adb.make(tmp_path, benchmark=answers)
    phone = phones.connect(adb)
    meter = phones.AdbMeter(phone, str(binary), threads=2, cores=(4, 5), rounds=3, runs=20)
    entries = meter.measure({"a": b"graph a", "b": b"graph b"})
    # By hand: medians of 1.0 1.2 1.1 and of 5.0 5.1 5.4 ms; half of their quartile distances.
    assert entries["a"].value == pytest.approx(1.1) and entries["b"].value == pytest.approx(5.1)
    assert entries["a"].spread == pytest.approx(0.05) and entries["b"].spread == pytest.approx(0.1)
    assert entries["a"].repeats == 3 * 862
    commands = [" ".join(call[2:]) for call in calls() if call[0] == "-s"]
    assert all(call[:2] == ["-s", "8A1X0000"] for call in calls() if call[0] == "-s")
    runs = [text for text in commands if "--graph=" in text]
    assert runs[0] == (
        "shell taskset 30 /data/local/tmp/dna_tf/benchmark_model "
        "--graph=/data/local/tmp/dna_tf/graph_0.tflite --num_threads=2 --num_runs=20 "
        "--warmup_runs=5 --use_xnnpack=true 2>&1 || true"
    )
    assert ["graph_0" in text for text in runs] == [True, False] * 3
    pushed = [text.split()[-1] for text in commands if text.startswith("push")]
    names = ("benchmark_model", "graph_0.tflite", "graph_1.tflite")
    assert pushed == [f"{phones.FOLDER}/{name}" for name in names]
    assert commands.index(f"shell chmod 755 {phones.BINARY}") < commands.index(runs[0])
    assert commands[-1] == f"shell rm -f {phones.FOLDER}/graph_*.tflite"


def test_what_a_table_says_of_a_phone(tmp_path, binary):
    adb, _ = fake_adb.make(tmp_path)
    meter = phones.AdbMeter(phones.connect(adb), str(binary))
    sha = hashlib.sha256(binary.read_bytes()).hexdigest()[:16]
    assert meter.conditions() == {
        "device": "Maker Phone 9 (8A1X0000), Android 15",
        "runtime": f"benchmark_model sha256 {sha}, XNNPACK",
        "threads": 1,
        "cores": "any",
    }
    state = meter.state()
    assert state["battery_percent"] == 87 and state["battery_celsius"] == 28.4
    assert state["powered_by"] == "USB" and state["xnnpack_ran_all"] is True


def test_the_binary_is_pushed_once(tmp_path, binary):
    sha = hashlib.sha256(binary.read_bytes()).hexdigest()
    adb, calls = fake_adb.make(tmp_path, hash=sha)
    phones.AdbMeter(phones.connect(adb), str(binary))
    phones.AdbMeter(phones.connect(adb))  # the one that is there
    assert not any("push" in call for call in calls())


def _accelerated(tmp_path, binary, output, **settings):
    adb, calls = fake_adb.make(tmp_path, benchmark=output, help=fake_adb.LITERT_HELP)
    meter = phones.AdbMeter(phones.connect(adb), str(binary), rounds=1, **settings)
    return meter, lambda: [call[-1] for call in calls() if "--graph=" in call[-1]]


@pytest.mark.parametrize("accelerator", ["gpu", "npu"])
def test_a_graph_runs_on_an_accelerator_as_a_whole(tmp_path, binary, accelerator):
    output = fake_adb.RECORDED_LITERT
    meter, runs = _accelerated(tmp_path, binary, output, runs=10, accelerator=accelerator)
    assert meter.measure({"a": b"x"}) == {"a": op_costs.CostEntry(7430.2, 10, 9.92)}
    (command,) = runs()
    others = {"cpu", "gpu", "npu"} - {accelerator}
    assert f"--use_{accelerator}=1" in command and "--require_full_delegation=1" in command
    assert all(f"--use_{name}=0" in command for name in others)
    assert meter.conditions()["runtime"].endswith(f", {accelerator.upper()}")
    assert meter.state()["delegated"] is True


def test_a_graph_that_falls_back_to_the_cpu_is_an_error(tmp_path, binary):
    partly = fake_adb.RECORDED_LITERT + "the model graph will be partially executed by the delegate"
    meter, _ = _accelerated(tmp_path, binary, partly, accelerator="gpu")
    with pytest.raises(ValueError, match="a on 8A1X0000: the GPU did not run the whole graph"):
        meter.measure({"a": b"x"})


def test_an_npu_needs_the_program_of_litert(tmp_path, binary):
    adb, _ = fake_adb.make(tmp_path)  # its --help says nothing of NPUs
    with pytest.raises(ValueError, match="does not run graphs on an NPU. Give the path of LiteRT"):
        phones.AdbMeter(phones.connect(adb), str(binary), accelerator="npu")


def test_no_timings_are_told_with_the_graph(tmp_path, binary):
    text = "INFO: STARTING!\nERROR: Could not open 'graph_0.tflite'.\nBenchmarking failed.\n"
    adb, calls = fake_adb.make(tmp_path, benchmark=text)
    meter = phones.AdbMeter(phones.connect(adb), str(binary))
    part = part_keys.LayerKey("layer", 3, 6, 16, 24, 2, 8, "swish", 0.25)
    with pytest.raises(
        ValueError, match=r"k3e6 16->24 .* on 8A1X0000: .*no timings.*Could not open.*failed\."
    ):
        meter.measure({part: b"x"})
    assert "rm -f" in calls()[-1][-1]


@pytest.mark.parametrize(
    ("lines", "serial", "message"),
    [
        ("", "", "adb sees no device. Plug the phone in with USB debugging"),
        (
            "a\tdevice\nb\tdevice\n",
            "",
            r"several devices: a \(device\), b \(device\)\. .*by its serial",
        ),
        ("a\tunauthorized\n", "", "a cannot be used: adb says 'unauthorized'.*accept"),
        ("a\toffline\n", "", "adb says 'offline'.*Unplug it"),
        ("a\tno permissions (user in plugdev group?)\n", "", "'no permissions .*udev rules"),
        ("a\tdevice\nb\tunauthorized\n", "b", "b cannot be used"),
        ("a\tdevice\n", "c", r"no device 'c'\. It sees: a \(device\)"),
        ("a\trecovery\n", "", "adb says 'recovery'. Wait until"),
    ],
)
def test_phones_that_cannot_be_used(tmp_path, lines, serial, message):
    adb, _ = fake_adb.make(tmp_path, devices=f"List of devices attached\n{lines}\n")
    with pytest.raises(ValueError, match=message):
        phones.connect(adb, serial)


def test_one_of_several_phones_and_lines_of_a_starting_server(tmp_path):
    text = (
        "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
        "List of devices attached\na\tunauthorized\nb:5555\tdevice\n"
    )
    adb, _ = fake_adb.make(tmp_path, devices=text)
    assert phones.connect(adb).serial == "b:5555"  # the only one that can be used
    listed = "List of devices attached\nemulator-5554          device product:sdk model:x\n"
    assert phones.parse_devices(listed) == {"emulator-5554": "device"}


def test_no_adb_no_binary_and_a_phone_that_goes_away(tmp_path, binary, monkeypatch):
    adb, _ = fake_adb.make(tmp_path)
    phone = phones.connect(adb)
    with pytest.raises(FileNotFoundError, match="no benchmark_model|has no .*benchmark_model yet"):
        phones.AdbMeter(phone)
    with pytest.raises(FileNotFoundError, match="no benchmark binary 'absent'.*bazel build"):
        phones.AdbMeter(phone, "absent")
    with pytest.raises(FileNotFoundError, match="no command '/no/adb'.*give the path of adb"):
        phones.connect("/no/adb")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("ANDROID_HOME", raising=False)
    monkeypatch.delenv("ANDROID_SDK_ROOT", raising=False)
    with pytest.raises(FileNotFoundError, match="neither in PATH nor in the SDK"):
        phones.connect()
    sdk = tmp_path / "sdk" / "platform-tools"
    sdk.mkdir(parents=True)
    fake_adb.make(sdk)
    monkeypatch.setenv("ANDROID_HOME", str(tmp_path / "sdk"))
    assert phones.connect().serial == "8A1X0000"
    lost = {"push": "adb: error: failed to get feature set: device '8A1X0000' not found"}
    adb, _ = fake_adb.make(tmp_path, fails=lost)
    with pytest.raises(OSError, match="`adb -s 8A1X0000 push .* failed: .* not found"):
        phones.AdbMeter(phones.connect(adb), str(binary))


def test_a_phone_that_never_answers(tmp_path):
    adb = tmp_path / "adb"
    adb.write_text("#!/bin/sh\nexec sleep 30\n")
    os.chmod(adb, 0o755)
    with pytest.raises(OSError, match="did not end within 0.2 s. Is the phone connected"):
        phones.Phone(str(adb), "a").shell("true", timeout_s=0.2)
