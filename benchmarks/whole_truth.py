"""Ranks whole-network supernets (SPOS, RLNAS) against the truth of NAS-Bench-Macro.

    python -m benchmarks.whole_truth --labels=W --random=R --folder=../shared/data/nas_tables

W is a run of configs/nas_bench_macro_whole.py, R one with random labels; either alone works. The
scores of the 256 networks without identities are compared with the mean accuracy of three
trainings, beside MACs and params: accuracy and cross-entropy with shared weights, and the angle
beside its controls (the structure alone, moves as large at random, first weights).

Reads:  the workdirs, and the table.
Writes: whole/scores.json in W.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("labels", "", "Workdir of a network that was trained on labels.")
flags.DEFINE_string("random", "", "Workdir of one that was trained on random labels.")
flags.DEFINE_string("folder", "../shared/data/nas_tables", "Folder of nas_bench_macro.npz.")
flags.DEFINE_integer("seed", 0, "Of the bootstrap.")
flags.DEFINE_string("parts", "rlnas", "Weights of the angle.")


def main():
    """Ranks all scores and prints the tables."""
    import numpy as np

    import dna_tf
    from dna_tf.truth import nas_bench_macro

    flag = cli.FLAGS
    if not flag.labels and not flag.random:
        raise ValueError("Give a workdir with a whole network: --labels=W, --random=R, or both.")
    table = dna_tf.load_table(flag.folder, "nas_bench_macro")
    rows = table.rows()
    rows = rows[(rows > 0).all(axis=1)]
    # With one cell in each block the cell is 0, and the paths are those of the deepest cell.
    paths = np.array([nas_bench_macro.choices(row)[1] for row in rows])
    truth = np.stack([table.values(f"acc_seed{n}", rows) for n in (1, 2, 3)], axis=1)
    controls = {name: table.values(name, rows) for name in ("macs", "params")}
    scores = {}
    if flag.labels:
        scores |= _accuracies(flag.labels, paths)
        scores |= _angles("labels", flag.labels, paths)
    if flag.random:
        scores |= _angles("random labels", flag.random, paths)
    for name, values in scores.items():
        print(
            dna_tf.rank_score(
                truth.mean(axis=1), values, controls, seed=flag.seed, name=name, trainings=truth
            )
        )


def _accuracies(workdir, paths):
    """Scores with shared weights; larger is better."""
    import numpy as np

    from dna_tf import workdirs
    from dna_tf.phases import whole

    rated = whole.rate_all(*workdirs.open_workdir(workdir))
    ordered = [rated[tuple(map(int, path))] for path in paths]
    return {
        "accuracy": np.array([score.accuracy for score in ordered]),
        "cross-entropy": -np.array([score.cross_entropy for score in ordered]),
    }


def _angles(title, workdir, paths):
    """Angles of all networks, with those of the controls; a larger angle is better."""
    import numpy as np

    from dna_tf import workdirs
    from dna_tf.phases import whole
    from dna_tf.space import angle_sums
    from dna_tf.supernet import whole_angles

    run, config = workdirs.open_workdir(workdir)
    computed = whole_angles.whole_angles(whole.load(run, config), cli.FLAGS.parts)
    cells = np.zeros_like(paths)
    scores = {}
    for variant in angle_sums.VARIANTS:
        sums = angle_sums.of_cells(computed, variant)
        scores[f"angle, {title}: {variant}"] = -sums.cosines(cells, paths)
    return {name: values for name, values in scores.items() if np.ptp(values) > 0}


if __name__ == "__main__":
    cli.run(main)
