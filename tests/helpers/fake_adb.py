"""A stand-in for adb: an executable that replays recorded output and logs its arguments.

`make` writes it into a folder, with its answers beside it.
"""

import json
import sys

# Output of TFLite's benchmark_model since 2024, with percentiles, and of older versions.
RECORDED_NEW = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [50]
INFO: Num threads: [1]
INFO: Min warmup runs: [5]
INFO: Graph: [/data/local/tmp/dna_tf/graph_0.tflite]
INFO: Use xnnpack: [1]
INFO: Loaded model /data/local/tmp/dna_tf/graph_0.tflite
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by \
the delegate.
INFO: The input model file size (MB): 0.0163
INFO: Initialized session in 1.92ms.
INFO: Running benchmark for at least 5 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=431 first=1523 curr=1149 min=1140 max=1523 avg=1158.31 std=28 p5=1142 median=1150 \
p95=1203

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=862 first=1162 curr=1147 min=1138 max=1390 avg=1156.02 std=19 p5=1141 median=MEDIAN \
p95=1187

INFO: Inference timings in us: Init: 1920, First inference: 1523, Warmup (avg): 1158.31, \
Inference (avg): 1156.02
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only \
APPROXIMATE to the actual memory footprint of the model at runtime. Take the information at your \
discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=3.1 overall=4.2
"""
RECORDED_OLD = """\
STARTING!
Num threads: [4]
Loaded model ./mobilenet_v1_1.0_224.tflite
The input model file size (MB): 16.9008
Initialized session in 17.187ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding \
150 seconds.
count=1 curr=3512391

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding \
150 seconds.
count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, \
Inference (avg): 2.95034e+06
"""
# Of LiteRT 2's, on a phone's GPU: recorded in the public thread mlcommons/mobile_app_open 1134.
RECORDED_LITERT = """\
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:92] Signature name:       prefill_1024
INFO: [benchmark_litert_model.h:94] Model initialization: 23744.73 ms
INFO: [benchmark_litert_model.h:96] Warmup (first):       7441.04 ms
INFO: [benchmark_litert_model.h:98] Warmup (avg):         7441.04 ms (1 runs)
INFO: [benchmark_litert_model.h:100] Inference (avg):      7430.20 ms (10 runs)
INFO: [benchmark_litert_model.h:104] Inference (min):      7416.40 ms
INFO: [benchmark_litert_model.h:106] Inference (max):      7448.86 ms
INFO: [benchmark_litert_model.h:108] Inference (std):      9.92
INFO: [benchmark_litert_model.h:115] Throughput:           27.46 MB/s
INFO: [benchmark_litert_model.h:124]
Memory Usage:
INFO: [benchmark_litert_model.h:126] Init footprint:       6391.74 MB
"""
LITERT_HELP = "Flags:\n\t--use_gpu=false\tbool\n\t--use_npu=false\tbool\n"
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  level: 87
  temperature: 284
  technology: Li-ion
"""
DEVICES = "List of devices attached\n8A1X0000\tdevice\n\n"


def make(folder, **changes):
    """Writes the command into a folder.

    Args:
        folder: a `pathlib.Path`.
        changes: other answers: `devices`; `benchmark`, a text or a list that is used in turns;
            `hash` of the binary on the phone; `help`, what the binary prints for `--help`;
            `fails`, a dict from a part of a command line to the error message.

    Returns:
        `(path, calls)`: the command, and a function that lists the arguments of all calls.
    """
    answers = {
        "devices": DEVICES,
        "benchmark": RECORDED_NEW.replace("MEDIAN", "1150"),
        "hash": "",
        "help": "",
        "fails": {},
        **changes,
    }
    (folder / "answers.json").write_text(json.dumps(answers))
    log, command = folder / "calls.jsonl", folder / "adb"
    body = open(__file__.replace(".pyc", ".py")).read()
    command.write_text(f"#!{sys.executable}\n{body}")
    command.chmod(0o755)

    def calls():
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return str(command), calls


def _answer(words, answers, earlier_calls):
    text = " ".join(words)
    for part, message in answers["fails"].items():
        if part in text:
            print(message, file=sys.stderr)
            return 1
    if words == ["devices"]:
        print(answers["devices"], end="")
    elif "getprop" in text:
        properties = {"manufacturer": "Maker", "model": "Phone 9", "release": "15"}
        print(properties[text.rpartition(".")[2]])
    elif "sha256sum" in text:
        print(answers["hash"] and f"{answers['hash']}  benchmark_model")
    elif "dumpsys battery" in text:
        print(BATTERY, end="")
    elif "--help" in text:
        print(answers["help"])
    elif "--graph=" in text:
        outputs = answers["benchmark"]
        runs = sum("--graph=" in " ".join(call) for call in earlier_calls)
        print(outputs if isinstance(outputs, str) else outputs[runs % len(outputs)])
    elif "push" in words:
        print(f"{words[-2]}: 1 file pushed, 0 skipped.")
    return 0


def _main():
    import pathlib

    folder = pathlib.Path(sys.argv[0]).parent
    log = folder / "calls.jsonl"
    before = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    words = sys.argv[1:]
    with open(log, "a") as file:
        file.write(json.dumps(words) + "\n")
    return _answer(words, json.loads((folder / "answers.json").read_text()), before)


if __name__ == "__main__":
    sys.exit(_main())
