"""Tells how far the ratings of a run add up: random networks are put together and measured.

    python -m tools.additivity --workdir=runs/my
    python -m tools.additivity --workdir=runs/my --networks=100
    python -m tools.additivity --workdir=runs/my --supernet_seed=1

A search minimises the sum of the ratings of single blocks. This tool draws networks at random,
puts their trained paths together as tools.compress does, and measures how far their answers on
the rating images are from the model's. Each rating gets a row: Kendall's tau of its sums with what
was measured (1: it orders networks as they really are), a bootstrap interval, and for the rating
by replacing the slope (1: it adds up). The last rows order by MACs and by parameters alone: the
baselines.

With --supernet_seed the cells are trained once more with that seed, rated in the same way, and
Kendall's tau between both ratings of each cell is printed, with its interval: the ceiling of what
its order can mean. Beside it is how far the rating orders paths as their MACs and parameters do.

Reads:  a run with trained cells, of tools.compress or tools.train_supernet.
Writes: WORKDIR/additivity.json, and ratings that are missing; WORKDIR/seeds/SEED/.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_integer("networks", 50, "How many networks are drawn.", lower_bound=3)
flags.DEFINE_integer(
    "supernet_seed", None, "Trains a second supernet with this seed and compares the ratings."
)


def main():
    """Measures and prints the table."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.phases import additivity, seed_agreement

    if cli.FLAGS.supernet_seed is not None:
        agreement = seed_agreement.measure(workdir, config, cli.FLAGS.supernet_seed)
        seed_agreement.print_table(agreement)
    else:
        additivity.print_table(additivity.measure(workdir, config, cli.FLAGS.networks))
    if (workdir.path / "compressed").exists():
        cli.next_command("report", workdir)
    else:
        cli.next_command("compress", workdir, "--max_macs=50%")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
