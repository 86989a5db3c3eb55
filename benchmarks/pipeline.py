"""How long each phase of a whole run takes, and its memory.

    python -m benchmarks.pipeline --json

Runs the embedded default in a temporary workdir, each phase once in one process; that is
what a newcomer waits for. The figures are seconds by phase, and the peak of the process.
"""

import tempfile
import time

from absl import flags

from benchmarks import machine
from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_bool("json", False, "Print one JSON object last.")


def main():
    """Times all phases."""
    machine.check_no_workdir("uses a temporary workdir")
    started = time.monotonic()
    from dna_tf import workdirs
    from dna_tf.phases import pipeline

    figures = {"import_s": round(time.monotonic() - started, 2)}
    with tempfile.TemporaryDirectory() as folder:
        run_folder, config = workdirs.open_workdir(folder, cli.FLAGS.config)
        for name, _, phase in pipeline.PHASES:
            phase_started = time.monotonic()
            phase(run_folder, config)
            figures[f"{name}_s"] = round(time.monotonic() - phase_started, 2)
    figures["all_s"] = round(time.monotonic() - started, 2)
    figures["peak_gib"] = round(machine.peak_gib(), 2)
    machine.report(figures, config.seed)


if __name__ == "__main__":
    cli.run(main)
