"""The two programs called `benchmark_model`: how each is called, and what it prints.

TFLite's prints microseconds, LiteRT 2's milliseconds. Both time one graph on a phone. LiteRT 2's
also runs graphs on NPUs.
"""

import re

from dna_tf.space import op_costs

PROGRAMS = ("tflite", "litert")
ACCELERATORS = ("cpu", "gpu", "npu")
_WARMUP_RUNS = 5
_SHOWN_LINES = 3  # of output that has no timings
_COUNT = re.compile(r"\bcount=(\d+)\s+(.*)")
_FIELD = re.compile(r"(\w+)=([-+.\w]+)")
_TFLITE = re.compile(r"Inference timings in us: .*Inference \(avg\): ([-+.\w]+)")
_LITERT = re.compile(r"Inference \(avg\):\s+([-+.\w]+) ms \((\d+) runs\)")
_LITERT_STD = re.compile(r"Inference \(std\):\s+([-+.\w]+)")


def program_of(help_text):
    """Which of `PROGRAMS` prints this text for `--help`; only LiteRT 2's has flags for NPUs."""
    return "litert" if "use_npu" in help_text else "tflite"


def words(program, graph, threads, runs, accelerator="cpu"):
    """The flags with which a program times a graph.

    On an accelerator a graph that does not run there as a whole is an error: a part of it would
    run on the CPU, many times slower, and nothing would say so.

    Args:
        program: one of `PROGRAMS`.
        graph: path of the graph on the phone.
        threads: threads of the interpreter.
        runs: least runs.
        accelerator: one of `ACCELERATORS`.

    Returns:
        A list of words such as `"--num_runs=50"`.

    Raises:
        ValueError: TFLite's program was to use an NPU.
    """
    options = {
        "graph": graph,
        "num_threads": threads,
        "num_runs": runs,
        "warmup_runs": _WARMUP_RUNS,
    }
    if program == "litert":
        options |= {f"use_{name}": int(name == accelerator) for name in ACCELERATORS}
        if accelerator != "cpu":
            options["require_full_delegation"] = 1
    elif accelerator == "npu":
        raise ValueError(
            "TFLite's benchmark_model does not run graphs on an NPU. Give the path of LiteRT 2's, "
            "whose --help lists use_npu."
        )
    elif accelerator == "gpu":
        options |= {"use_gpu": "true", "require_full_delegation": "true"}
    else:
        options["use_xnnpack"] = "true"
    return [f"--{name}={value}" for name, value in options.items()]


def parse(text):
    """Parses the output of either program.

    Args:
        text: the output, plain or as logcat lines.

    Returns:
        `(entry, delegated)`: an `op_costs.CostEntry` in milliseconds (the median, or the mean
        of programs that do not print the median; the runs; the spread) and whether the
        delegate ran the whole graph (`None` if the output does not say).

    Raises:
        ValueError: the output has no timings; its last lines are in the message.
    """
    # The first count belongs to the warm-up; most fields may be missing in its line.
    counts, litert = _COUNT.findall(text), _LITERT.search(text)
    if not litert and not (counts and _TFLITE.search(text)):
        lines = text.strip().splitlines()[-_SHOWN_LINES:]
        last = " / ".join(line.strip() for line in lines)
        raise ValueError(
            "benchmark_model gave no timings of the forms that TFLite's and LiteRT 2's programs "
            f"print. It ended with: {last or 'nothing'}"
        )
    runs, rest = counts[-1] if counts else (0, "")
    fields = {name: float(value) for name, value in _FIELD.findall(rest)}
    if litert and "median" not in fields:
        deviation = _LITERT_STD.search(text)
        spread = float(deviation[1]) if deviation else 0.0
        entry = op_costs.CostEntry(float(litert[1]), int(litert[2]), spread)
    else:
        middle = fields.get("median", fields.get("avg", fields.get("curr")))
        entry = op_costs.CostEntry(middle / 1e3, int(runs), fields.get("std", 0.0) / 1e3)
    delegated = None
    if "xecuted by the delegate" in text:
        delegated = "completely executed by the delegate" in text
    return entry, delegated
