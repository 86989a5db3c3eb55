"""Trains all networks of a space as one supernet on labels: SPOS, FairNAS or RLNAS.

    python -m tools.train_whole --workdir=runs/whole --config.space=digits_single
    python -m tools.train_whole --workdir=runs/fair --config.space=digits_single \\
        --config.whole.sampling=fair_step
    python -m tools.train_whole --workdir=runs/random --config.space=digits_single \\
        --config.whole.labels=random

No teacher takes part. The supernet is a chain of layers with the widths of the students, in which
each layer has all ops. Every step trains one network of it, a path, and moves its ops only:

  --config.whole.sampling=uniform     one path in each step, all alike (SPOS)
  --config.whole.sampling=fair_step   as many paths as ops, on one batch: each op once (FairNAS)
  --config.whole.sampling=cost_bins   one path from a bin of MACs: --config.whole.macs_bins=290M
                                      --config.whole.macs_bins=360M --config.whole.macs_bins=10M
  --config.whole.labels=random        random labels, once for each image (RLNAS)

The space must have one cell in each block, such as digits_single or dna_four_ops_single.
docs/methods/spos.md says what comes from which paper, and what it costs.

Reads:  the config's data. A new workdir is begun.
Writes: WORKDIR/whole/ (weights.npz, result.json, history.json), WORKDIR/tensorboard/whole/.

A killed run resumes and gives the same weights, to the bit.
"""

from dna_tf import cli

cli.define_run_flags()
cli.define_strategy_flags()


def main():
    """Trains the whole network."""
    strategy = cli.make_strategy()
    workdir, config = cli.open_run(may_create=True)
    from dna_tf.common import progress
    from dna_tf.phases import whole

    result = whole.train(workdir, config, strategy)
    progress.say(
        f"Whole networks, {result['labels']} labels, {result['steps']:,} steps: loss "
        f"{result['losses'][-1]:.4f} and accuracy {result['accuracies'][-1]:.1%} of drawn paths "
        "(training images, last epoch)"
    )
    by_angle = ["--by=angle"] if result["labels"] == "random" else []
    limit = whole.middle_limit(workdir, config)
    cli.next_command("search_whole", workdir, f"--{limit}", *by_angle)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
