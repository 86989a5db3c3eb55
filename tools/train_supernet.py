"""Trains the supernet: every cell learns to imitate its block of the teacher.

    python -m tools.train_supernet --workdir=runs/digits

Reads:  WORKDIR/teacher/ and the config's data.
Writes: WORKDIR/supernet/ (a .npz of weights per cell, result.json, history.json).
A run that was killed goes on to the same bits.
"""

from dna_tf import cli

cli.define_run_flags()


def main():
    """Trains the supernet."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf import distill, progress

    result = distill.train_supernet(workdir, config)
    for name, loss in result["losses"].items():
        progress.say(f"{name}: loss {loss:.5f} (mean squared error, last epoch)")
    cli.next_command("rate", workdir)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
