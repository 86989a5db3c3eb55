"""Trains the supernet: every cell learns to imitate its block of the teacher.

    python -m tools.train_supernet --workdir=runs/digits
    python -m tools.train_supernet --workdir=W --strategy=mirrored
    python -m tools.train_supernet --workdir=W --config.supernet.cells=block1_cell1

Reads:  WORKDIR/teacher/ and the config's data.
Writes: WORKDIR/supernet/ (weights and result of each cell), WORKDIR/features/ (with
        --config.supernet.features=disk), WORKDIR/tensorboard/.

A killed run resumes and gives the same weights, to the bit. Cells are independent: several
machines can each train some of them into one workdir. Give the flag once for each cell:

    --config.supernet.cells=block1_cell1 --config.supernet.cells=block2_cell1

A cell that diverges is stopped and reported; the others continue. --retry_factor trains it again.
"""

import math

from absl import flags

from dna_tf import cli

cli.define_run_flags()
cli.define_strategy_flags()
flags.DEFINE_float(
    "retry_factor",
    0.0,
    "Above 0: train the cells that diverged again, with their learning rate times this factor.",
    lower_bound=0.0,
)


def main():
    """Trains the supernet."""
    strategy = cli.make_strategy()
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.common import progress
    from dna_tf.phases import supernet_training
    from dna_tf.space import presets
    from dna_tf.supernet import cell_files

    results = supernet_training.train_supernet(workdir, config, strategy, cli.FLAGS.retry_factor)
    for name, result in results.items():
        progress.say(
            f"{name}: loss {result['losses'][-1]:.5f} (mean squared error, last epoch), relative "
            f"L1 {(result['relative_l1'] or [math.nan])[-1]:.4f} (held-out images)"
        )
    space = presets.get_space(config.space)
    trained = cell_files.trained_names(workdir.supernet, space)
    missing = [name for name in cell_files.cell_names(space) if name not in trained]
    if missing:
        progress.say(f"{len(trained)} cells are trained; missing: {', '.join(missing)}")
        diverged = all(cell_files.has_failed(workdir.supernet, name) for name in missing)
        factor = cell_files.next_retry_factor(workdir.supernet, missing)
        again = [f"--retry_factor={factor:g}"] if diverged else []
        cli.next_command("train_supernet", workdir, *again)
    else:
        cli.next_command("rate", workdir)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
