"""Measures the accuracy of a model file on the test split.

    python -m tools.evaluate --workdir=runs/digits --arch=max_macs_700k --seed=0
    python -m tools.evaluate --workdir=runs/digits --model=runs/digits/exports/NAME/int8.tflite

Reads:  a student of the workdir, or any .keras or .tflite file that takes images in 0..255.
Writes: WORKDIR/evaluations/, one JSON file per model.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("model", "", "A .keras or .tflite file.")
flags.DEFINE_string("arch", "", "Name of a trained student in the workdir, instead of --model.")
flags.DEFINE_integer("seed", 0, "Which student of --arch.")


def main():
    """Evaluates one model."""
    if bool(cli.FLAGS.model) == bool(cli.FLAGS.arch):
        raise ValueError("Say what to evaluate: either --model=FILE or --arch=NAME.")
    workdir, config = cli.open_run(may_create=not cli.FLAGS.arch)
    from dna_tf import evaluate

    path = cli.FLAGS.model
    if cli.FLAGS.arch:
        workdir.student_result(cli.FLAGS.arch, cli.FLAGS.seed)  # refuses one that is not there
        path = workdir.student(cli.FLAGS.arch, cli.FLAGS.seed) / "model.keras"
    evaluate.evaluate(workdir, config, path)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
