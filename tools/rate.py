"""Rates every path of every cell: how well does it imitate the teacher's block?

    python -m tools.rate --workdir=runs/digits
    python -m tools.rate --workdir=W --share=2/3

Reads:  WORKDIR/teacher/, WORKDIR/supernet/ and the rating split of the config's data.
Writes: WORKDIR/ratings/, one JSON file for each cell, with three metrics for each path; lower is
        better: relative_l1 (the default of the search), mse and noise_to_signal.

A killed run resumes and gives the same ratings, to the bit. All GPUs of a machine rate, each some
of the cells. With --share, several machines that see the workdir divide the cells among them.
"""

from absl import flags

from dna_tf import cli
from dna_tf.common import checks

cli.define_run_flags()
flags.DEFINE_string("share", "1/1", "Part of the cells to rate: 2/3 is the second of three parts.")


def main():
    """Rates all paths."""
    index, count = checks.parse_share("--share", cli.FLAGS.share)
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.common import progress
    from dna_tf.phases import rating
    from dna_tf.space import cost_tables, presets, ratings, spaces, tasks

    rated = rating.rate(workdir, config, (index, count))
    space = presets.get_space(config.space)
    result = workdir.teacher_result()
    task = tasks.Task.from_image_shape(result["image_shape"], result["num_classes"])
    table = cost_tables.cost_table(space, task)
    for (b, c), cell in sorted(rated.items()):
        costs = {
            name: table.paths[b, c, space.input_widths(b)[0]][name] for name in cost_tables.COSTS
        }
        means, spreads = cell.metrics[config.search.metric]
        summary = ratings.summarize(means, spreads, cell.batches, len(space.ops), costs)
        for line in ratings.lines(spaces.cell_name(b, c), summary, space, b, c):
            progress.say(line)
    names = {spaces.cell_name(b, c) for b, c, _ in space.cells()}
    missing = sorted(name for name in names if not (workdir.ratings / f"{name}.json").exists())
    if missing:
        progress.say(f"Not rated here: {', '.join(missing)}")
    cli.next_command("search", workdir)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
