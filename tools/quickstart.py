"""Runs the whole pipeline: from nothing to TFLite files and a report, in one command.

    python -m tools.quickstart --workdir=runs/digits

Does the work of these tools in order: train_teacher, train_supernet, rate, search, retrain,
export_tflite, compress (to the chosen budget), report. The same command resumes a run that was
killed; on a finished run it only writes the report again. --config takes any other data, teacher
and space.

Writes: WORKDIR, all of it; at the end WORKDIR/report.html.
"""

import time

from dna_tf import cli

cli.define_run_flags()


def main():
    """Runs all phases and writes the report."""
    workdir, config = cli.open_run(may_create=True)
    from dna_tf.phases import searching

    searching.check_costs(config)  # fails now, not hours later at the search
    from dna_tf.common import progress
    from dna_tf.phases import pipeline

    started = time.monotonic()
    for number, (name, what, phase) in enumerate(pipeline.PHASES, 1):
        so_far = f"{time.monotonic() - started:.0f} s so far"
        progress.say(f"\n[{number}/{len(pipeline.PHASES)}] {name}: {what} ({so_far})")
        phase(workdir, config)
    progress.say(f"Done in {time.monotonic() - started:.0f} s. Open {workdir.report} in a browser.")
    chosen = searching.chosen_name(config)
    cli.next_command("summary", workdir, f"--arch={chosen}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
