"""Times TFLite graphs on this host, batch 1, with LiteRT and XNNPACK.

All graphs of a group are loaded first and timed in turns: a round runs each graph for a short
burst, and there are many rounds. So a slow moment of the machine affects all graphs and not just
one, and the median over the rounds removes it.

With one thread, time that the thread waits for its core does not count: the time of a run is that
of the wall clock or the processor time of the thread, whichever is less. Otherwise long graphs,
which are interrupted more often, would seem slower than the sum of their parts.
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
        rounds: number of bursts of each graph.
        burst_s: approximate length of a burst in seconds; it has 3 to 500 runs.
        warmup_s: how long each graph runs before it is timed, in seconds.

    Raises:
        ValueError: a number is out of range, or the host does not have such a core.
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
                raise ValueError("This system cannot choose cores. Leave cores out.")
            available = sorted(os.sched_getaffinity(0))
            if not self._cores or not set(self._cores) <= set(available):
                raise ValueError(
                    f"Cores of this host are {available}. Received: cores={list(self._cores)}"
                )
            if threads > len(self._cores):
                raise ValueError(
                    f"{threads} threads on {len(self._cores)} cores would wait for each other. "
                    "Give more cores or fewer threads."
                )
        self._delegated, self._wall_ms, self._counted_ms = True, 0.0, 0.0

    def conditions(self):
        """A dict of what must be equal for two measurements to belong to one table."""
        return {
            "device": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
            "runtime": f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}, XNNPACK",
            "threads": self._threads,
            "cores": "any" if self._cores is None else list(self._cores),
            "clock": "wall" if self._threads > 1 else "wall without waiting for the core",
        }

    def state(self):
        """A dict about power and load at this moment."""
        state = {"rounds": self._rounds, "xnnpack_ran_all": self._delegated}
        waited = 1.0 - self._counted_ms / self._wall_ms if self._wall_ms else 0.0
        state["waited_share"] = round(waited, 4)
        if hasattr(os, "getloadavg"):
            state["load_average"] = round(os.getloadavg()[0], 2)
        core = 0 if self._cores is None else self._cores[0]
        governor = pathlib.Path(_GOVERNOR.format(core))
        state["governor"] = governor.read_text().strip() if governor.exists() else "not known"
        return state

    def measure(self, graphs):
        """Times graphs in turns.

        Args:
            graphs: a dict from any key to the bytes of a TFLite file.

        Returns:
            A dict from each key to an `op_costs.CostEntry` in milliseconds: the median of
            the rounds' medians, half their interquartile range as spread, and the number of
            all timed runs as repeats.

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
        loaded = {key: self.load(key, content) for key, content in graphs.items()}
        runs = {key: self._warm_up(graph) for key, graph in loaded.items()}
        medians = {key: [] for key in graphs}
        for _ in range(self._rounds):
            for key, graph in loaded.items():
                graph.invoke()  # not timed: brings its weights back into the caches
                medians[key].append(float(np.median(self._burst(graph, runs[key]))))
        return {
            key: measurements.summarize(medians[key], runs[key] * self._rounds) for key in graphs
        }

    def load(self, key, content):
        """Loads a TFLite file into an interpreter that is ready to run, with random inputs.

        Raises:
            ValueError: LiteRT cannot run it; its key is named.
        """
        try:
            graph = interpreter.Interpreter(model_content=content, num_threads=self._threads)
            graph.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"LiteRT cannot run the graph of {key}: {reason}") from error
        details = graph.get_input_details()[0]
        values = np.random.default_rng(0).standard_normal(details["shape"])
        graph.set_tensor(details["index"], values.astype(details["dtype"]))
        self._delegated = self._delegated and _is_delegated(graph)
        return graph

    def _warm_up(self, graph):
        start, times = time.perf_counter(), []
        while time.perf_counter() - start < self._warmup_s or len(times) < _LEAST_RUNS:
            times.extend(self._burst(graph, 1))
        runs = int(1000 * self._burst_s / max(float(np.median(times)), 1e-6))
        return min(max(runs, _LEAST_RUNS), _MOST_RUNS)

    def _burst(self, graph, runs):
        """Milliseconds of each of `runs` runs."""
        times, thread_ns = [], time.thread_time_ns if self._threads == 1 else None
        for _ in range(runs):
            # Processor time is read around the wall clock, so an undisturbed run has less wall
            # time than processor time.
            thread_start = thread_ns() if thread_ns else 0
            start = time.perf_counter_ns()
            graph.invoke()
            wall = time.perf_counter_ns() - start
            elapsed = min(wall, thread_ns() - thread_start) if thread_ns else wall
            times.append(elapsed / 1e6)
            self._wall_ms += wall / 1e6
        self._counted_ms += sum(times)
        return times


def processor():
    """The name of this host's processor."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _is_delegated(graph):
    # After the ops of the graph LiteRT lists those that replaced them. With a single DELEGATE,
    # XNNPACK runs the whole graph without switching to other kernels.
    names = [op["op_name"] for op in graph._get_ops_details()]
    return names.count("DELEGATE") == 1
