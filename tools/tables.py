"""Makes the paper's Table 2 and Figure 3 with measured results; published ones stand apart.

    python -m tools.tables --workdir=runs/digits --output=tables
    python -m tools.tables --workdir=runs/a --workdir=runs/b --evaluation=evaluations/dna_a.json

The measured results are those of the teacher and the trained students of every --workdir, and of
every result file of tools.evaluate given by --evaluation. The top-5 accuracy of a student needs an
evaluation of each of its seeds: python -m tools.evaluate --workdir=W --arch=NAME --seed=K.
Published accuracies are labelled as such. They were measured on ImageNet, so the figure shows them
beside measurements with 1000 classes only.

Writes: table2.md, table2.csv and figure3.svg in the folder --output; prints the table.
"""

from absl import flags

from dna_tf import cli
from dna_tf.common import files, progress
from dna_tf.report import result_tables, tradeoff_plot

cli.define_run_flags()
# Several runs, where other tools take one.
flags.DEFINE_multi_string("workdir", [], "Folder of a run.", allow_override=True)
flags.DEFINE_multi_string("evaluation", [], "Result file of tools.evaluate.")
flags.DEFINE_string("output", "tables", "Folder to write into.")


def main():
    """Writes table and figure."""
    rows = [row for path in cli.FLAGS.workdir for row in result_tables.run_rows(path)]
    rows += [result_tables.evaluation_row(path) for path in cli.FLAGS.evaluation]
    if not rows:
        raise ValueError(
            "Give the results: --workdir=FOLDER or --evaluation=FILE, each once or more."
        )
    folder, table = files.as_path(cli.FLAGS.output), result_tables.markdown(rows)
    files.write_text(folder / "table2.md", table)
    files.write_text(folder / "table2.csv", result_tables.csv_text(rows))
    files.write_text(folder / "figure3.svg", tradeoff_plot.svg(rows))
    progress.say(table)
    progress.say(f"Written: {folder}/table2.md, table2.csv and figure3.svg")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
