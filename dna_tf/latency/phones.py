"""Times TFLite graphs on a phone: through adb, by TFLite's own `benchmark_model`.

The binary is the stock one for the phone's processor (TensorFlow's or LiteRT's prebuilt
`android_aarch64_benchmark_model`, or built with Bazel). It is pushed once if the phone has
another one, graphs are pushed one group at a time, and its text output is parsed.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from dna_tf.latency import measurements
from dna_tf.space import op_costs

FOLDER = "/data/local/tmp/dna_tf"
BINARY = f"{FOLDER}/benchmark_model"
_HELP = "See https://developer.android.com/tools/adb."
_TIMEOUT_S = 300
_COUNT = re.compile(r"\bcount=(\d+)\s+(.*)")
_FIELD = re.compile(r"(\w+)=([-+.\w]+)")
_SUMMARY = re.compile(r"Inference timings in us: .*Inference \(avg\): ([-+.\w]+)")
_STATES = {
    "unauthorized": "It does not trust this computer yet: unlock it and accept the question "
    "'Allow USB debugging?'",
    "offline": "Unplug it and plug it in again, or `adb reconnect`.",
    "no permissions": "This user may not use it: set up the udev rules of your system.",
}


class Phone:
    """A phone that adb reaches.

    Args:
        adb: the adb command.
        serial: as `adb devices` calls it.
    """

    def __init__(self, adb, serial):
        self._adb, self.serial = adb, serial

    def call(self, *words, timeout_s=_TIMEOUT_S):
        """Runs `adb -s SERIAL words...` and returns what it printed.

        Raises:
            OSError: adb failed or took too long.
        """
        return _adb(self._adb, "-s", self.serial, *words, timeout_s=timeout_s)

    def shell(self, command, timeout_s=_TIMEOUT_S):
        """Runs a command on the phone and returns what it printed."""
        return self.call("shell", command, timeout_s=timeout_s)

    def property(self, name):
        """A system property, such as `"ro.product.model"`; `"not known"` if it is empty."""
        return self.shell(f"getprop {name}").strip() or "not known"


def connect(adb="", serial=""):
    """Finds adb and the phone.

    Args:
        adb: the adb command; `""` looks for it in PATH and in the Android SDK.
        serial: which phone; `""` takes the only one.

    Returns:
        A `Phone`.

    Raises:
        FileNotFoundError: there is no adb.
        ValueError: there is no phone, there are several, the one asked for is not there,
            or it cannot be used (not authorised, offline); what to do is said.
    """
    found = adb or shutil.which("adb") or _of_sdk()
    if not found or not shutil.which(found):
        where = f"There is no command {adb!r}." if adb else "adb is neither in PATH nor in the SDK."
        raise FileNotFoundError(
            f"{where} Install the Android platform tools, or give --adb=PATH. {_HELP}"
        )
    states = parse_devices(_adb(found, "devices"))
    listed = ", ".join(f"{name} ({state})" for name, state in states.items())
    if not states:
        raise ValueError(
            "adb sees no device. Plug the phone in with USB debugging switched on (Settings, "
            f"Developer options), and look at `adb devices`. {_HELP}"
        )
    if serial and serial not in states:
        raise ValueError(f"adb sees no device {serial!r}. It sees: {listed}.")
    if not serial:
        usable = [name for name, state in states.items() if state == "device"]
        if len(usable) > 1 or (not usable and len(states) > 1):
            raise ValueError(f"adb sees several devices: {listed}. Choose one with --serial=NAME.")
        serial = (usable or list(states))[0]
    state = states[serial]
    if state != "device":
        kind = next((k for k in _STATES if state.startswith(k)), None)
        raise ValueError(
            f"The device {serial} cannot be used: adb says {state!r}. "
            f"{_STATES.get(kind, 'Wait until `adb devices` says device.')}"
        )
    return Phone(found, serial)


def parse_devices(text):
    """Reads `adb devices`: a dict from serial to state."""
    states = {}
    for line in text.splitlines():
        serial, _, rest = line.strip().partition("\t")
        if not rest and not line.startswith(("List", "*")):
            serial, _, rest = line.strip().partition(" ")  # `adb devices -l` has spaces
        if serial and rest and not line.startswith(("List", "*", "adb server")):
            whole = rest.strip()
            states[serial] = whole if whole.startswith("no perm") else whole.split()[0]
    return states


def parse_benchmark(text):
    """Reads what `benchmark_model` printed.

    Args:
        text: its output, as it is or as logcat lines.

    Returns:
        `(entry, delegated)`: an `op_costs.CostEntry` in milliseconds (the median, or the mean
        of older binaries, which print none; the runs; the spread) and whether XNNPACK ran
        the whole graph (`None` if it was not said).

    Raises:
        ValueError: there are no timings; the last lines are in the message.
    """
    # The first count is of the warm-up; its line may lack most fields.
    counts = _COUNT.findall(text)
    if not counts or not _SUMMARY.search(text):
        last = " / ".join(line.strip() for line in text.strip().splitlines()[-3:])
        raise ValueError(f"benchmark_model gave no timings. It ended with: {last or 'nothing'}")
    runs, rest = counts[-1]
    fields = {name: float(value) for name, value in _FIELD.findall(rest)}
    middle = fields.get("median", fields.get("avg", fields.get("curr")))
    entry = op_costs.CostEntry(middle / 1e3, int(runs), fields.get("std", 0.0) / 1e3)
    delegated = None
    if "XNNPACK delegate" in text and "xecuted by the delegate" in text:
        delegated = "completely executed by the delegate" in text
    return entry, delegated


class AdbMeter:
    """Times graphs on a phone; it has the methods of `host.HostMeter`.

    Args:
        phone: a `Phone`.
        binary: path of `benchmark_model` for the phone on this host; `""` uses the one that
            an earlier session pushed.
        threads: threads of the interpreter.
        cores: the phone's cores it may run on, by `taskset`; `None` leaves them to it.
        rounds: how many times each graph is benchmarked, in turns.
        runs: runs of each, beside 1 s at least that the binary goes on.

    Raises:
        FileNotFoundError: the binary is neither here nor on the phone.
        OSError: adb failed.
    """

    def __init__(self, phone, binary="", threads=1, cores=None, rounds=3, runs=50):
        self._phone, self._threads, self._rounds, self._runs = phone, threads, rounds, runs
        self._cores = None if cores is None else tuple(sorted(set(cores)))
        self._delegated = True
        there = phone.shell(f"mkdir -p {FOLDER}; sha256sum {BINARY} 2>/dev/null || true")
        there = re.match(r"[0-9a-f]{64}", there.strip())
        self._binary_hash = there[0] if there else ""
        if binary:
            path = pathlib.Path(binary).expanduser()
            if not path.is_file():
                raise FileNotFoundError(
                    f"There is no benchmark binary {binary!r}. {_binary_help()}"
                )
            here = hashlib.sha256(path.read_bytes()).hexdigest()
            if here != self._binary_hash:
                phone.call("push", str(path), BINARY)
                self._binary_hash = here
            phone.shell(f"chmod 755 {BINARY}")
        elif not self._binary_hash:
            raise FileNotFoundError(
                f"The phone {phone.serial} has no {BINARY} yet. {_binary_help()}"
            )

    def conditions(self):
        """What must be equal for two measurements to belong to one table: a dict."""
        names = ("manufacturer", "model")
        model = " ".join(self._phone.property(f"ro.product.{name}") for name in names)
        version = self._phone.property("ro.build.version.release")
        return {
            "device": f"{model} ({self._phone.serial}), Android {version}",
            "runtime": f"benchmark_model sha256 {self._binary_hash[:16]}, XNNPACK",
            "threads": self._threads,
            "cores": "any" if self._cores is None else list(self._cores),
        }

    def state(self):
        """What the phone says of power and heat now: a dict."""
        text = self._phone.shell("dumpsys battery")
        found = dict(re.findall(r"^\s*([\w ]+): (\S+)\s*$", text, re.MULTILINE))
        known = {"rounds": self._rounds, "xnnpack_ran_all": self._delegated}
        known["battery_percent"] = _int(found.get("level"))
        known["battery_celsius"] = (
            _int(found["temperature"]) / 10 if _int(found.get("temperature")) else None
        )
        plugged = [k for k, v in found.items() if k.endswith("powered") and v == "true"]
        known["powered_by"] = plugged[0].removesuffix(" powered") if plugged else "battery"
        return known

    def measure(self, graphs):
        """Times graphs in turns; see `host.HostMeter.measure`.

        The spread is half the distance of the rounds' quartiles, or with one round the
        standard deviation that the binary prints.

        Raises:
            OSError: adb failed.
            ValueError: the binary gave no timings for a graph; its key is named.
        """
        remote = {key: f"{FOLDER}/graph_{n}.tflite" for n, key in enumerate(graphs)}
        with tempfile.TemporaryDirectory() as folder:
            for key, content in graphs.items():
                path = pathlib.Path(folder) / "graph.tflite"
                path.write_bytes(content)
                self._phone.call("push", str(path), remote[key])
        found = {key: [] for key in graphs}
        try:
            for _ in range(self._rounds):
                for key in graphs:
                    found[key].append(self._run(key, remote[key]))
        finally:
            self._phone.shell(f"rm -f {FOLDER}/graph_*.tflite")
        return {key: _joined(entries) for key, entries in found.items()}

    def _run(self, key, path):
        command = (
            f"{BINARY} --graph={path} --num_threads={self._threads} --num_runs={self._runs} "
            "--warmup_runs=5 --use_xnnpack=true"
        )
        if self._cores is not None:
            command = f"taskset {sum(1 << core for core in self._cores):x} {command}"
        try:
            # The binary logs to standard error; a wrong exit shows as missing timings.
            entry, delegated = parse_benchmark(self._phone.shell(f"{command} 2>&1 || true"))
        except ValueError as error:
            raise ValueError(f"{key} on {self._phone.serial}: {error}") from error
        self._delegated = self._delegated and delegated is not False
        return entry


def _joined(entries):
    if len(entries) == 1:
        return entries[0]
    repeats = sum(entry.repeats for entry in entries)
    return measurements.summarize([entry.value for entry in entries], repeats)


def _adb(command, *words, timeout_s=_TIMEOUT_S):
    told = " ".join(["adb", *words])
    try:
        done = subprocess.run(
            [command, *words], capture_output=True, text=True, timeout=timeout_s, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"`{told}` did not end within {timeout_s} s. Is the phone there?") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["nothing"]
        raise OSError(f"`{told}` failed: {said[-1]}")
    return done.stdout.replace("\r\n", "\n")


def _of_sdk():
    for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        path = pathlib.Path(os.environ.get(name) or "/nonexistent") / "platform-tools" / "adb"
        if path.is_file():
            return str(path)
    return ""


def _binary_help():
    return (
        "Give --benchmark_binary=PATH, TFLite's benchmark_model for the phone's processor: a "
        "prebuilt android_aarch64_benchmark_model of TensorFlow or LiteRT, or built by `bazel "
        "build -c opt --config=android_arm64 //tensorflow/lite/tools/benchmark:benchmark_model`."
    )


def _int(text):
    return int(text) if text and text.isdigit() else None
