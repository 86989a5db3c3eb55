"""The whole pipeline: from nothing to a TFLite file and a report, in one command.

    python -m tools.quickstart --workdir=runs/digits

Calls what the other tools call, in order: train_teacher, train_supernet, rate, search,
retrain, export_tflite; then writes WORKDIR/report.html. Run it again after a kill and it
goes on where it was; run it on a finished workdir and it only writes the report again.
--config takes any other data, teacher and space.
"""

import time

from dna_tf import cli

cli.define_run_flags()


def main():
    """Runs all phases and writes the report."""
    workdir, config = cli.open_run(may_create=True)
    from dna_tf.phases import searching

    searching.check_costs(config)  # the search comes after hours
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
