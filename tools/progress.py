"""Shows how ratings and searches change while the cells train (DNA Figure 6).

    python -m tools.train_supernet --workdir=runs/digits --config.supernet.snapshots=2
    python -m tools.progress --workdir=runs/digits
    python -m tools.progress --workdir=runs/digits --max_macs=1.4M --retrain

The supernet must be trained with config.supernet.snapshots=N: the cells are copied after every N
epochs (DNA: 2). Each copy is rated and searched under one limit, the chosen budget of the config
or that of the flags. Free curves: Kendall's tau-b of each copy's ratings with the final ones, and
the final rating of its winner beside that of random networks of the same MACs. With --retrain the
winners are trained, each architecture once. Untrained cells are the first point.

A killed run resumes.

Reads:  WORKDIR/teacher/, WORKDIR/supernet/ with its copies, data.
Writes: WORKDIR/progress/progress.json, progress.html and the ratings of the copies;
        WORKDIR/architectures/progress_LIMITS_epoch004.json ...; with --retrain WORKDIR/students/.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
cli.define_strategy_flags()
cli.define_limit_flags()
flags.DEFINE_bool("retrain", False, "Train the winners, each architecture once.")


def main():
    """Rates, searches and prints the curves."""
    limits = cli.limits_of_flags()
    workdir, config = cli.open_run(may_create=False)
    strategy = cli.make_strategy()
    from dna_tf.common import formatting
    from dna_tf.phases import search_progress
    from dna_tf.space import cost_limits

    section, retrain = config.search, cli.FLAGS.retrain
    limits = limits or cost_limits.Limits(section.budgets[section.chosen])
    search_progress.measure(workdir, config, limits, retrain, strategy)
    if retrain:
        cli.next_command("report", workdir)
    else:
        words = [f"--{name}={formatting.exact_number(value)}" for name, value in limits.items()]
        cli.next_command("progress", workdir, *words, "--retrain")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
