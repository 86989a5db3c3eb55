"""Times TFLite graphs on this host, batch 1, by LiteRT with XNNPACK.

All graphs of a group are loaded first and timed in turns: a round runs each graph a short
burst, and there are many rounds. So a slow moment of the machine falls on all graphs and
not on one of them, and the median over the rounds leaves it out.

With one thread, what the thread waits for its core while another process has it does not
count: a run's time is the wall clock's, or the thread's own processor time if that is less.
Else long graphs, which are interrupted more surely, would seem slower than their parts.
"""

import importlib.metadata
import os
import pathlib
import platform
import time

import numpy as np
from ai_edge_litert import interpreter

from dna_tf.latency import measurements

_GOVERNOR = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
_LEAST_RUNS, _MOST_RUNS = 3, 500  # of a burst


class HostMeter:
    """Times graphs on this host.

    Args:
        threads: threads of the interpreter.
        cores: the cores it may run on, such as `(0,)`; `None` leaves them to the system.
        rounds: how many bursts of each graph.
        burst_s: about how long a burst takes, in seconds; 3 to 500 runs.
        warmup_s: how long each graph runs before it is timed, in seconds.

    Raises:
        ValueError: a number is out of range, or there is no such core.
    """

    def __init__(self, threads=1, cores=None, rounds=30, burst_s=0.01, warmup_s=0.03):
        for name, value in (("threads", threads), ("rounds", rounds)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number above 0. Received: {value!r}")
        self._threads, self._rounds = threads, rounds
        self._burst_s, self._warmup_s = burst_s, warmup_s
        self._cores = None if cores is None else tuple(sorted(set(cores)))
        if self._cores is not None:
            if not hasattr(os, "sched_setaffinity"):
                raise ValueError("This system cannot choose cores. Leave --cores out.")
            there = sorted(os.sched_getaffinity(0))
            if not self._cores or not set(self._cores) <= set(there):
                raise ValueError(
                    f"Cores of this host are {there}. Received: cores={list(self._cores)}"
                )
            if threads > len(self._cores):
                raise ValueError(
                    f"{threads} threads on {len(self._cores)} cores would wait for each other. "
                    "Give more cores or fewer threads."
                )
        self._delegated, self._wall_ms, self._counted_ms = True, 0.0, 0.0

    def conditions(self):
        """What must be equal for two measurements to belong to one table: a dict."""
        return {
            "device": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
            "runtime": f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}, XNNPACK",
            "threads": self._threads,
            "cores": "any" if self._cores is None else list(self._cores),
            "clock": "wall" if self._threads > 1 else "wall without waiting for the core",
        }

    def state(self):
        """What is known of power and load now: a dict."""
        known = {"rounds": self._rounds, "xnnpack_ran_all": self._delegated}
        waited = 1.0 - self._counted_ms / self._wall_ms if self._wall_ms else 0.0
        known["waited_share"] = round(waited, 4)
        if hasattr(os, "getloadavg"):
            known["load_average"] = round(os.getloadavg()[0], 2)
        core = 0 if self._cores is None else self._cores[0]
        governor = pathlib.Path(_GOVERNOR.format(core))
        known["governor"] = governor.read_text().strip() if governor.exists() else "not known"
        return known

    def measure(self, graphs):
        """Times graphs in turns.

        Args:
            graphs: a dict from any key to the bytes of a TFLite file.

        Returns:
            A dict from each key to an `op_costs.CostEntry` in milliseconds: the median over
            the rounds of each round's median, half the distance of the rounds' quartiles
            as spread, and all timed runs as repeats.

        Raises:
            ValueError: LiteRT cannot run a graph; its key is named.
        """
        before = os.sched_getaffinity(0) if self._cores is not None else None
        if self._cores is not None:
            os.sched_setaffinity(0, self._cores)  # threads of the interpreters inherit it
        try:
            return self._measure(graphs)
        finally:
            if before is not None:
                os.sched_setaffinity(0, before)

    def _measure(self, graphs):
        loaded = {key: self._load(key, content) for key, content in graphs.items()}
        runs = {key: self._warm_up(one) for key, one in loaded.items()}
        medians = {key: [] for key in graphs}
        for _ in range(self._rounds):
            for key, one in loaded.items():
                one.invoke()  # not timed: brings its weights back into the caches
                medians[key].append(float(np.median(self._burst(one, runs[key]))))
        return {
            key: measurements.summarize(medians[key], runs[key] * self._rounds) for key in graphs
        }

    def _load(self, key, content):
        try:
            made = interpreter.Interpreter(model_content=content, num_threads=self._threads)
            made.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"LiteRT cannot run the graph of {key}: {reason}") from error
        details = made.get_input_details()[0]
        values = np.random.default_rng(0).standard_normal(details["shape"])
        made.set_tensor(details["index"], values.astype(details["dtype"]))
        self._delegated = self._delegated and _is_delegated(made)
        return made

    def _warm_up(self, one):
        start, times = time.perf_counter(), []
        while time.perf_counter() - start < self._warmup_s or len(times) < _LEAST_RUNS:
            times.extend(self._burst(one, 1))
        runs = int(1000 * self._burst_s / max(float(np.median(times)), 1e-6))
        return min(max(runs, _LEAST_RUNS), _MOST_RUNS)

    def _burst(self, one, runs):
        """Milliseconds of each of `runs` runs."""
        times, own = [], time.thread_time_ns if self._threads == 1 else None
        for _ in range(runs):
            # The processor's clock is read outside the wall clock: undisturbed, wall is less.
            start_own = own() if own else 0
            start = time.perf_counter_ns()
            one.invoke()
            wall = time.perf_counter_ns() - start
            times.append(min(wall, own() - start_own) / 1e6 if own else wall / 1e6)
            self._wall_ms += wall / 1e6
        self._counted_ms += sum(times)
        return times


def processor():
    """The name of this host's processor."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _is_delegated(one):
    # LiteRT lists, after the graph's own ops, those that took their place: with one such op
    # nothing went back and forth between XNNPACK and other kernels.
    names = [op["op_name"] for op in one._get_ops_details()]
    return names.count("DELEGATE") == 1
