"""Makes the paper's Table 2 and Figure 3 with measured results; published ones stand apart.

    python -m tools.tables --workdir=runs/digits --output=tables
    python -m tools.tables --workdir=runs/a --workdir=runs/b --evaluation=evaluations/dna_a.json

The measured results are those of the teacher and the trained students of every --workdir, and of
every result file of tools.evaluate given by --evaluation. The top-5 accuracy of a student needs an
evaluation of each of its seeds: python -m tools.evaluate --workdir=W --arch=NAME --seed=K.
Published accuracies are labelled as such. They were measured on ImageNet, so the figure shows them
beside measurements with 1000 classes only.

Prints the table. Writes: table2.md, table2.csv and figure3.svg in WORKDIR/tables/, for several
workdirs in tables/ of the current folder, or in the folder --output.
"""

from absl import flags

from dna_tf import cli, workdirs
from dna_tf.common import files, progress
from dna_tf.report import result_tables, tradeoff_plot

cli.define_run_flags()
# Several runs, where other tools take one.
flags.DEFINE_multi_string("workdir", [], "Folder of a run.", allow_override=True)
flags.DEFINE_multi_string("evaluation", [], "Result file of tools.evaluate.")
flags.DEFINE_string(
    "output",
    "",
    "Folder to write into. Default: tables/ in the workdir; in the current folder, if there are "
    "several workdirs or none.",
)


def main():
    """Writes table and figure."""
    rows = [row for path in cli.FLAGS.workdir for row in result_tables.run_rows(path)]
    rows += [result_tables.evaluation_row(path) for path in cli.FLAGS.evaluation]
    if not rows:
        raise ValueError(
            "Give the results: --workdir=FOLDER or --evaluation=FILE, each once or more."
        )
    table = result_tables.markdown(rows)
    progress.say(table)
    folder = _folder()
    files.write_text(folder / "table2.md", table)
    files.write_text(folder / "table2.csv", result_tables.csv_text(rows))
    files.write_text(folder / "figure3.svg", tradeoff_plot.svg(rows))
    progress.say(f"Written: {folder}/table2.md, table2.csv and figure3.svg")


def _folder():
    """The folder to write into: --output, the one workdir's, or `tables` here for several."""
    flag = cli.FLAGS
    if flag.output:
        return files.as_path(flag.output)
    return (
        workdirs.Workdir(flag.workdir[0]).tables
        if len(flag.workdir) == 1
        else files.as_path("tables")
    )


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
