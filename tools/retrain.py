"""Trains students with several seeds, from scratch or from a trained student.

    python -m tools.retrain --workdir=runs/digits
    python -m tools.retrain --workdir=runs/digits --arch=max_macs_1.5M --seeds=0,1
    python -m tools.retrain --workdir=W --arch=dna_c --strategy=mirrored
    python -m tools.retrain --workdir=W --arch=dna_c --config.retrain.start_from=student.keras

Without --arch the students of all budgets in the config and the control are trained. --arch
takes the names of architectures in the workdir, of published networks, and architecture files.

Reads:  WORKDIR/architectures/ and the config's data; WORKDIR/teacher/ if
        config.retrain.distill_weight is above 0; the file config.retrain.start_from, if it is set.
Writes: WORKDIR/students/NAME/seedK/ (model.keras, best.keras, result.json, history.json),
        WORKDIR/tensorboard/students/.
A killed run resumes and gives the same weights, to the bit; a finished student is kept.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
cli.define_strategy_flags()
flags.DEFINE_list("arch", [], "Names or files of architectures. Default: all of the config.")
flags.DEFINE_list(
    "seeds", [], "Seeds, such as 0,1,2. Default: the first config.retrain.seeds numbers."
)


def main():
    """Trains students."""
    from dna_tf import workdirs
    from dna_tf.phases import searching
    from dna_tf.space import zoo

    seeds = [cli.whole_number("seeds", text) for text in cli.FLAGS.seeds] or None
    # Before a run is opened, so that a wrong name leaves no folder behind.
    architectures = [
        zoo.find(name, workdirs.Workdir(cli.FLAGS.workdir).architectures) for name in cli.FLAGS.arch
    ]
    workdir, config = cli.open_run(may_create=bool(architectures))
    strategy = cli.make_strategy()
    from dna_tf.phases import retraining

    for name in searching.all_names(config) if not architectures else ():
        architectures.append(zoo.find(name, workdir.architectures))
    for arch in architectures:
        retraining.retrain(workdir, config, arch, seeds, strategy)
    cli.next_command("export_tflite", workdir, f"--arch={architectures[0].name}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
