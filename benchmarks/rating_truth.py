"""Ranks the ratings of a run against the truth of NAS-Bench-Macro.

    python -m benchmarks.rating_truth --workdir=W --folder=../shared/data/nas_tables

W is a run of configs/nas_bench_macro.py whose cells are rated. The score of each of the 1,176
networks is the sum of its three ratings. It is compared with the mean accuracy of three trainings,
beside MACs, params and the same cells **without training**, over all networks and over the 256
without identities. Then it says what the exact search by each rating ends at under five limits on
MACs, beside the best there is, the mean, and the largest network within the limit.

Reads:  WORKDIR/ratings/, WORKDIR/replacements/ if it is there, and the table.
Writes: WORKDIR/untrained/, the ratings of cells with first weights.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("folder", "../shared/data/nas_tables", "Folder of nas_bench_macro.npz.")
flags.DEFINE_integer("seed", 0, "Of the bootstrap.")

_LIMITS = (25e6, 40e6, 55e6, 70e6, 85e6)
_FITTED_ON, _DRAWS = (16, 24, 48, 100), 100  # networks, and draws of them


def main():
    """Ranks all scores and prints the tables."""
    import numpy as np

    import dna_tf
    from dna_tf.truth import nas_bench_macro

    workdir, config = cli.open_run(may_create=False)
    table = dna_tf.load_table(cli.FLAGS.folder, "nas_bench_macro")
    rows = table.rows()
    rows = rows[nas_bench_macro.expressible(rows)]
    choices = [nas_bench_macro.choices(row) for row in rows]
    seeds = np.stack([table.values(f"acc_seed{n}", rows) for n in (1, 2, 3)], axis=1)
    controls = {name: table.values(name, rows) for name in ("macs", "params")}
    ratings_of_cells = _ratings(workdir, config)
    scores = {
        name: -_of_blocks(values, choices).sum(axis=1) for name, values in ratings_of_cells.items()
    }
    whole = (rows > 0).all(axis=1)
    for title, chosen in (("all", np.full(len(rows), True)), ("without identities", whole)):
        print(f"\n== {title}: {int(chosen.sum()):,} networks")
        truth = seeds[chosen].mean(axis=1)
        here = {name: values[chosen] for name, values in controls.items()}
        for name, values in scores.items():
            ranking = dna_tf.rank_score(
                truth,
                values[chosen],
                here,
                seed=cli.FLAGS.seed,
                name=name,
                trainings=seeds[chosen],
            )
            print(ranking)
    _print_searches(scores, controls["macs"], seeds.mean(axis=1))
    first = next(iter(ratings_of_cells.values()))
    _print_weights(_of_blocks(first, choices), seeds.mean(axis=1), cli.FLAGS.seed)


def _of_blocks(values, choices):
    """The rating of each network in each block, `(networks, blocks)`."""
    import numpy as np

    return np.array(
        [
            [values[b, c][p] for b, (c, p) in enumerate(zip(cells, paths, strict=True))]
            for cells, paths in choices
        ]
    )


def _ratings(workdir, config):
    """Arrays of each score: a dict from its name to one from `(block, cell)` to `(paths,)`."""
    from dna_tf.models import keras_files
    from dna_tf.phases import compressing, runs
    from dna_tf.space import presets, ratings, spaces
    from dna_tf.supernet import cell_rating, snapshots

    run, space = runs.open_run(workdir, config), presets.get_space(config.space)
    trained = {
        (block, cell): ratings.load_cell(
            workdir.ratings / f"{spaces.cell_name(block, cell)}.json", space, block, cell
        )
        for block, cell, _ in space.cells()
    }
    fingerprint = keras_files.weights_fingerprint(run.teacher.model)
    untrained = cell_rating.rate_cells(
        snapshots.untrained_cells(space, run.teacher.shapes, config.seed, fingerprint),
        run.teacher,
        run.images,
        settings=compressing.rating_settings(config),
        seed=config.seed,
        folder=workdir.path / "untrained",
    )
    scores = {}
    for name in ratings.METRICS:
        scores[name] = {key: cell.metrics[name][0] for key, cell in trained.items()}
    name = ratings.METRICS[0]
    scores["untrained"] = {key: cell.metrics[name][0] for key, cell in untrained.items()}
    if workdir.replacements.exists():
        replaced = compressing.replace(workdir, config)
        scores["by replacing"] = {key: cell.kl for key, cell in replaced.items()}
    return scores


def _print_weights(values, truth, seed):
    """What weights are worth that were fitted on a few networks of known accuracy."""
    import numpy as np

    import dna_tf
    from dna_tf.common import rank_correlation

    def tau(weights, networks):
        return rank_correlation.kendall_tau(-values[networks] @ weights, truth[networks])

    print(f"\n== weights of blocks from a few networks, {_DRAWS} draws: tau with the others")
    everyone = np.arange(len(truth))
    equal = tau(np.ones(values.shape[1]), everyone)
    print(f"  equal weights: {equal:+.3f}")
    rng = np.random.default_rng(seed)
    for count in _FITTED_ON:
        taus, weights = [], []
        for _ in range(_DRAWS):
            drawn = rng.choice(len(truth), count, replace=False)
            fit = dna_tf.fit_block_weights(values[drawn], truth[drawn])
            weights.append(fit.weights)
            taus.append(tau(np.array(fit.weights), np.setdiff1d(everyone, drawn)))
        mean = ", ".join(f"{weight:.2f}" for weight in np.mean(weights, axis=0))
        print(
            f"  from {count}: {np.mean(taus):+.3f} +- {np.std(taus):.3f}, below equal weights in "
            f"{sum(each < equal for each in taus)}; mean weights {mean}"
        )
    best = dna_tf.fit_block_weights(values, truth).weights
    print(f"  fitted on all {len(truth):,}: {tau(np.array(best), everyone):+.3f}")


def _print_searches(scores, macs, truth):
    """What the best score ends at within limits, beside what there is."""
    import numpy as np

    from dna_tf.common import formatting

    names = [*scores, "largest"]
    texts = [["MACs up to", "networks", "best", "mean", *names]]
    for limit in _LIMITS:
        within = np.flatnonzero(macs <= limit)
        cells = []
        for values in (*scores.values(), macs):
            best = within[np.argmax(values[within])]
            place = int((truth[within] > truth[best]).sum()) + 1
            count = formatting.format_count(macs[best])
            cells.append(f"{truth[best]:.2f} (no. {place}, {count})")
        reach = [f"{truth[within].max():.2f}", f"{truth[within].mean():.2f}"]
        texts.append([formatting.format_count(limit), str(len(within)), *reach, *cells])
    print("\n== the best score within a limit: accuracy, its place by truth, MACs")
    for line in formatting.aligned(texts, right=range(len(names) + 4)):
        print(line)


if __name__ == "__main__":
    cli.run(main)
