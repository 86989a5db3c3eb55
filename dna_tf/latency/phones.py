"""Times TFLite graphs on a phone, through adb, with the stock program `benchmark_model`.

The binary is the one for the phone's processor: TFLite's or LiteRT 2's, prebuilt or built with
Bazel. It is pushed if the phone does not have the same one; graphs are pushed one group at a
time; `benchmark_output` has its flags and reads what it prints.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from dna_tf.latency import benchmark_output, measurements

FOLDER = "/data/local/tmp/dna_tf"
BINARY = f"{FOLDER}/benchmark_model"
_HELP = "See https://developer.android.com/tools/adb."
_TIMEOUT_S = 300
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
        serial: serial number, as in `adb devices`.
    """

    def __init__(self, adb, serial):
        self._adb, self.serial = adb, serial

    def call(self, *words, timeout_s=_TIMEOUT_S):
        """Runs `adb -s SERIAL words...` and returns its output.

        Raises:
            OSError: adb failed or took too long.
        """
        return _adb(self._adb, "-s", self.serial, *words, timeout_s=timeout_s)

    def shell(self, command, timeout_s=_TIMEOUT_S):
        """Runs a command on the phone and returns its output."""
        return self.call("shell", command, timeout_s=timeout_s)

    def property(self, name):
        """A system property, such as `"ro.product.model"`; `"not known"` if empty."""
        return self.shell(f"getprop {name}").strip() or "not known"


def connect(adb="", serial=""):
    """Finds adb and the phone.

    Args:
        adb: the adb command; `""` looks for it in PATH and in the Android SDK.
        serial: serial number of the phone; `""` takes the only one.

    Returns:
        A `Phone`.

    Raises:
        FileNotFoundError: there is no adb.
        ValueError: there is no phone, there are several, this one is not connected, or it
            cannot be used (not authorised, offline); the message says what to do.
    """
    command = adb or shutil.which("adb") or _adb_of_sdk()
    if not command or not shutil.which(command):
        where = f"There is no command {adb!r}." if adb else "adb is neither in PATH nor in the SDK."
        raise FileNotFoundError(
            f"{where} Install the Android platform tools, or give the path of adb. {_HELP}"
        )
    states = parse_devices(_adb(command, "devices"))
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
            raise ValueError(f"adb sees several devices: {listed}. Choose one by its serial.")
        serial = (usable or list(states))[0]
    state = states[serial]
    if state != "device":
        kind = next((k for k in _STATES if state.startswith(k)), None)
        raise ValueError(
            f"The device {serial} cannot be used: adb says {state!r}. "
            f"{_STATES.get(kind, 'Wait until `adb devices` says device.')}"
        )
    return Phone(command, serial)


def parse_devices(text):
    """Parses the output of `adb devices` into a dict from serial to state."""
    states = {}
    for line in text.splitlines():
        serial, _, rest = line.strip().partition("\t")
        if not rest and not line.startswith(("List", "*")):
            serial, _, rest = line.strip().partition(" ")  # `adb devices -l` has spaces
        if serial and rest and not line.startswith(("List", "*", "adb server")):
            state = rest.strip()
            states[serial] = state if state.startswith("no perm") else state.split()[0]
    return states


class AdbMeter:
    """Times graphs on a phone, with the methods of `host.HostMeter`.

    Args:
        phone: a `Phone`.
        binary: path on this host of `benchmark_model` for the phone; `""` uses the one that
            an earlier session pushed.
        threads: threads of the interpreter.
        cores: the phone's cores it may run on, by `taskset`; `None` leaves them to the phone.
        rounds: how many times each graph is benchmarked, in turns.
        runs: least runs of each; the binary goes on for at least 1 s.
        accelerator: one of `benchmark_output.ACCELERATORS`.

    Raises:
        FileNotFoundError: the binary is neither on this host nor on the phone.
        OSError: adb failed.
        ValueError: the binary cannot use this accelerator.
    """

    def __init__(
        self, phone, binary="", threads=1, cores=None, rounds=3, runs=50, accelerator="cpu"
    ):
        self._phone, self._threads, self._rounds, self._runs = phone, threads, rounds, runs
        self._accelerator = accelerator
        self._cores = None if cores is None else tuple(sorted(set(cores)))
        self._delegated = True
        output = phone.shell(f"mkdir -p {FOLDER}; sha256sum {BINARY} 2>/dev/null || true")
        digest = re.match(r"[0-9a-f]{64}", output.strip())
        self._binary_hash = digest[0] if digest else ""
        if binary:
            path = pathlib.Path(binary).expanduser()
            if not path.is_file():
                raise FileNotFoundError(
                    f"There is no benchmark binary {binary!r}. {_binary_help()}"
                )
            new_hash = hashlib.sha256(path.read_bytes()).hexdigest()
            if new_hash != self._binary_hash:
                phone.call("push", str(path), BINARY)
                self._binary_hash = new_hash
            phone.shell(f"chmod 755 {BINARY}")
        elif not self._binary_hash:
            raise FileNotFoundError(
                f"The phone {phone.serial} has no {BINARY} yet. {_binary_help()}"
            )
        self._program = benchmark_output.program_of(phone.shell(f"{BINARY} --help 2>&1 || true"))
        self._words("")  # refuses an accelerator that the binary cannot use

    def conditions(self):
        """A dict of what must be equal for two measurements to belong to one table."""
        names = ("manufacturer", "model")
        model = " ".join(self._phone.property(f"ro.product.{name}") for name in names)
        version = self._phone.property("ro.build.version.release")
        return {
            "device": f"{model} ({self._phone.serial}), Android {version}",
            "runtime": f"benchmark_model sha256 {self._binary_hash[:16]}, {self._runs_on()}",
            "threads": self._threads,
            "cores": "any" if self._cores is None else list(self._cores),
        }

    def state(self):
        """A dict about power and heat of the phone at this moment."""
        text = self._phone.shell("dumpsys battery")
        battery = dict(re.findall(r"^\s*([\w ]+): (\S+)\s*$", text, re.MULTILINE))
        temperature = _int(battery.get("temperature"))
        plugged = [k for k, v in battery.items() if k.endswith("powered") and v == "true"]
        return {
            "rounds": self._rounds,
            "xnnpack_ran_all" if self._accelerator == "cpu" else "delegated": self._delegated,
            "battery_percent": _int(battery.get("level")),
            "battery_celsius": temperature / 10 if temperature else None,
            "powered_by": plugged[0].removesuffix(" powered") if plugged else "battery",
        }

    def measure(self, graphs):
        """Times graphs in turns; see `host.HostMeter.measure`.

        The spread is half the interquartile range of the rounds, or with one round the
        standard deviation that the binary prints.

        Raises:
            OSError: adb failed.
            ValueError: the binary printed no timings for a graph, or the accelerator did not
                run all of it; its key is named.
        """
        remote = {key: f"{FOLDER}/graph_{n}.tflite" for n, key in enumerate(graphs)}
        with tempfile.TemporaryDirectory() as folder:
            for key, content in graphs.items():
                path = pathlib.Path(folder) / "graph.tflite"
                path.write_bytes(content)
                self._phone.call("push", str(path), remote[key])
        entries = {key: [] for key in graphs}
        try:
            for _ in range(self._rounds):
                for key in graphs:
                    entries[key].append(self._run(key, remote[key]))
        finally:
            self._phone.shell(f"rm -f {FOLDER}/graph_*.tflite")
        return {key: _joined(rounds) for key, rounds in entries.items()}

    def _runs_on(self):
        """What computes, in words."""
        return "XNNPACK" if self._accelerator == "cpu" else self._accelerator.upper()

    def _words(self, path):
        return benchmark_output.words(
            self._program, path, self._threads, self._runs, self._accelerator
        )

    def _run(self, key, path):
        command = " ".join([BINARY, *self._words(path)])
        if self._cores is not None:
            command = f"taskset {sum(1 << core for core in self._cores):x} {command}"
        try:
            # The binary logs to standard error; if it fails, the timings are missing.
            entry, delegated = benchmark_output.parse(self._phone.shell(f"{command} 2>&1 || true"))
            if self._accelerator != "cpu" and delegated is False:
                raise ValueError(
                    f"the {self._runs_on()} did not run the whole graph; the CPU ran the rest. "
                    "Measure on the CPU, or leave out the ops that it refuses."
                )
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
    text = " ".join(["adb", *words])
    try:
        process = subprocess.run(
            [command, *words], capture_output=True, text=True, timeout=timeout_s, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(
            f"`{text}` did not end within {timeout_s} s. Is the phone connected?"
        ) from error
    if process.returncode:
        output = (process.stderr.strip() or process.stdout.strip()).splitlines() or ["nothing"]
        raise OSError(f"`{text}` failed: {output[-1]}")
    return process.stdout.replace("\r\n", "\n")


def _adb_of_sdk():
    for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        path = pathlib.Path(os.environ.get(name) or "/nonexistent") / "platform-tools" / "adb"
        if path.is_file():
            return str(path)
    return ""


def _binary_help():
    return (
        "Give the path of benchmark_model for the phone's processor: a prebuilt one of TensorFlow "
        "Lite (android_aarch64_benchmark_model) or of LiteRT 2, or one built by `bazel build "
        "//tensorflow/lite/tools/benchmark:benchmark_model` with the configuration android_arm64."
    )


def _int(text):
    return int(text) if text and text.isdigit() else None
