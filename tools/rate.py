"""Rates every path of every cell: how well does it imitate the teacher's block?

    python -m tools.rate --workdir=runs/digits

Reads:  WORKDIR/teacher/, WORKDIR/supernet/ and the config's data (its rating split).
Writes: WORKDIR/ratings/, one JSON file per cell. Ratings are relative L1 distances,
lower is better. A run that was killed goes on to the same bits.
"""

import numpy as np

from dna_tf import cli

cli.define_run_flags()


def main():
    """Rates all paths."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf import progress, rating, ratings, search_space

    rated = rating.rate(workdir, config)
    space = search_space.space_of(config)
    for (b, c), values in rated.items():
        ends = []
        for index in (int(np.argmin(values)), int(np.argmax(values))):
            path = space.paths(b, c)[index]
            ends.append(f"{values[index]:.4f} ({' '.join(space.ops[i].name for i in path)})")
        progress.say(
            f"{ratings.cell_name(b, c)}: {len(values)} paths, best {ends[0]}, worst {ends[1]}"
        )
    cli.next_command("search", workdir)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
