"""Exports a trained student to TFLite and checks each file against Keras on real images.

    python -m tools.export_tflite --workdir=runs/digits --arch=max_macs_700k

Without --arch the students of all budgets in the config and the control are exported. The
precisions are config.export.precisions, of float32, float16, dynamic and int8.

Reads:  WORKDIR/students/NAME/seedK/model.keras and the config's data.
Writes: WORKDIR/exports/NAME/*.tflite and result.json.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_list("arch", [], "Names of trained students; default: all of the config.")
flags.DEFINE_integer("seed", 0, "Which student of each.")


def main():
    """Exports students."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf import budget_search

    names = cli.FLAGS.arch or budget_search.all_names(config)
    for name in names:
        workdir.student_result(name, cli.FLAGS.seed)  # refuses one that is not there, at once
    from dna_tf import export

    for name in names:
        export.export_tflite(workdir, config, name, cli.FLAGS.seed)
    first = f"{config.export.precisions[0]}.tflite"
    cli.next_command("evaluate", workdir, f"--model={workdir.exports / names[0] / first}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
