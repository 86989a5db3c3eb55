"""Exports a trained student to TFLite and checks each file against Keras on real images.

    python -m tools.export_tflite --workdir=runs/digits --arch=max_macs_700k

Without --arch the student of the config's chosen budget is exported. The precisions are
config.export.precisions, of float32, float16, dynamic and int8.

Reads:  WORKDIR/students/NAME/seedK/model.keras and the config's data.
Writes: WORKDIR/exports/NAME/*.tflite and result.json.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("arch", "", "Name of a trained student; default: the config's chosen one.")
flags.DEFINE_integer("seed", 0, "Which student of it.")


def main():
    """Exports one student."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf import budget_search, export

    name = cli.FLAGS.arch or budget_search.chosen_names(config)[0]
    workdir.student_result(name, cli.FLAGS.seed)
    export.export_tflite(workdir, config, name, cli.FLAGS.seed)
    cli.next_command("evaluate", workdir, f"--model={workdir.exports / name / 'int8.tflite'}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
