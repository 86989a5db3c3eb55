"""Are students that inherit worth more than a network designed by hand? The real run, in pieces.

    python -m tools.train_teacher --config=configs/cifar10_compress.py --workdir=W
    python -m benchmarks.inherit_cifar10 --workdir=W --output=FOLDER

docs/results/compress_cifar10.md names the comparisons (a to f) and the tests. The same command
goes on after a kill; each finished training is a file OUTPUT/BUDGET/NAME.json, and none is trained
twice. The table and the tests are printed at the end, with what is there so far.

A small network cannot fill two cores: several trainings run side by side, each in a process of its
own with its share of the cores (--workers). Two on two cores train 1.3 times as many images a
second as one after the other.

What a training costs is measured before the first one (benchmarks/inherit_costs.py), on the machine
that trained the cells. The trainings may then run elsewhere, such as on a GPU.

Reads:  WORKDIR/teacher/, and docs/results/efficientnet_b0_32px.json.
Writes: WORKDIR/supernet/, ratings/, replacements/; OUTPUT/.
"""

import os
import subprocess
import sys
import time

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("output", "", "Folder of results, checkpoints and the teacher's answers.")
flags.DEFINE_list("budgets", ["3.5M", "5M", "10M"], "MACs of the whole network.")
flags.DEFINE_list("names", ["f", "a", "c", "e", "b", "d"], "Which of the six to train.")
flags.DEFINE_integer("seeds", 3, "Trainings of a, b, d, e and f.")
flags.DEFINE_integer("workers", 2, "Trainings side by side.", lower_bound=1)
flags.DEFINE_integer("worker", 0, "Set by the tool itself: which of the workers this is.")
flags.DEFINE_bool(
    "cores_apart", True, "Each worker has cores of its own; with --nocores_apart they share all."
)
flags.DEFINE_bool(
    "keep_answers", True, "The teacher answers once for all trainings of a seed, not in each step."
)
flags.DEFINE_bool("only_costs", False, "Stop when the costs of the trainings are measured.")
flags.DEFINE_bool("table", False, "Only print the table of what is there.")


def main():
    """Trains what is missing, and prints the table."""
    from dna_tf.common import files

    if not cli.FLAGS.output:
        raise ValueError("Give a folder for the results: --output=FOLDER.")
    folder = files.as_path(cli.FLAGS.output)
    if cli.FLAGS.worker:
        return _work(folder)
    if not cli.FLAGS.table:
        _train(folder)
    from benchmarks import inherit_table

    inherit_table.show(folder, cli.FLAGS.budgets)


def _train(folder):
    """Trains and rates the cells and chooses the networks; then the workers train these."""
    from benchmarks import inherit_costs, inherit_trainings
    from dna_tf.common import progress
    from dna_tf.phases import compressing, runs

    workdir, config = cli.open_run(may_create=False)
    folder.mkdir(parents=True, exist_ok=True)
    clock = inherit_trainings.Clock(folder / "cpu_seconds_0.json")
    with clock.counting("supernet_and_ratings"):
        compressing.train_and_rate(workdir, config)
    run = runs.open_run(workdir, config)
    with clock.counting("search_and_realise"):
        for budget in cli.FLAGS.budgets:
            inherit_trainings.starts(run, budget, folder)
    if not inherit_costs.path_in(folder).exists():
        flag = cli.FLAGS
        words = [
            f"--workdir={workdir.path}",
            f"--output={folder}",
            f"--budgets={','.join(flag.budgets)}",
        ]
        subprocess.run([sys.executable, "-m", "benchmarks.inherit_costs", *words], check=True)
    if cli.FLAGS.only_costs:
        return
    workers = [_start_worker(folder, number) for number in range(1, cli.FLAGS.workers + 1)]
    order = inherit_trainings.order(cli.FLAGS.budgets, cli.FLAGS.seeds, cli.FLAGS.names)
    results = [inherit_trainings.result_path(folder, *training) for training in order]
    with progress.bar("trainings", len(order), "training") as bar:
        while any(worker.poll() is None for worker in workers):
            bar.update(sum(path.exists() for path in results) - bar.n)
            time.sleep(5.0)
    if any(worker.returncode for worker in workers):
        raise RuntimeError(f"A worker failed: see {folder}/worker_*.log. Run the command again.")


def _start_worker(folder, number):
    """Starts a process with its share of the cores; its output goes into a file."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // cli.FLAGS.workers))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    command = [sys.executable, "-m", "benchmarks.inherit_cifar10", *sys.argv[1:]]
    with open(folder / f"worker_{number}.log", "a") as log:
        return subprocess.Popen(
            [*command, f"--worker={number}"],
            stdout=log,
            stderr=log,
            env={**os.environ, **dict.fromkeys(names, threads)},
        )


def _work(folder):
    """What a worker does: every training that is neither there nor with another worker."""
    from benchmarks import inherit_trainings
    from dna_tf.phases import runs

    if cli.FLAGS.cores_apart:
        cores = sorted(os.sched_getaffinity(0))
        workers, number = cli.FLAGS.workers, cli.FLAGS.worker - 1
        os.sched_setaffinity(0, cores[number::workers] or cores)
    run = runs.open_run(*cli.open_run(may_create=False))
    clock = inherit_trainings.Clock(folder / f"cpu_seconds_{cli.FLAGS.worker}.json")
    trainings = inherit_trainings.Trainings(
        run, folder, cli.FLAGS.budgets, clock, cli.FLAGS.keep_answers
    )
    waiting = inherit_trainings.order(cli.FLAGS.budgets, cli.FLAGS.seeds, cli.FLAGS.names)
    while waiting:
        left = [training for training in waiting if not trainings.run(*training)]
        if left == waiting:
            time.sleep(10.0)
        waiting = left


if __name__ == "__main__":
    cli.run(main)
