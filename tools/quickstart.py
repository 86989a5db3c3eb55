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
    from dna_tf import (
        architecture_files,
        budget_search,
        distill,
        export,
        feature_maps,
        progress,
        rating,
        report,
        retrain,
        teacher_training,
    )

    started = time.monotonic()

    def phase(number, what):
        progress.say(f"\n[{number}/7] {what} ({time.monotonic() - started:.0f} s so far)")

    phase(1, "Teacher: train and cut into blocks")
    teacher_training.train_teacher(workdir, config)
    phase(2, "Supernet: cells learn to imitate the blocks")
    distill.train_supernet(workdir, config)
    phase(3, "Rating: how well does each path imitate its block")
    rating.rate(workdir, config)
    phase(4, "Search: the best architecture under each budget, and a control")
    names = budget_search.search_budgets(workdir, config)
    phase(5, "Retraining: students from scratch, beside the control")
    found = {name: architecture_files.find(name, workdir) for name in names}
    for arch in found.values():
        retrain.retrain(workdir, config, arch)
    phase(6, "Export: TFLite files, checked against Keras")
    chosen, _ = budget_search.chosen_names(config)
    export.export_tflite(workdir, config, chosen)
    phase(7, "Report")
    maps = feature_maps.imitated_maps(workdir, config, found[chosen])
    path = report.write_report(workdir.path, maps)
    progress.say(f"Done in {time.monotonic() - started:.0f} s. Open {path} in a browser.")
    cli.next_command("summary", workdir, f"--arch={chosen}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
