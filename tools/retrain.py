"""Trains students from scratch, without the teacher, for several seeds.

    python -m tools.retrain --workdir=runs/digits
    python -m tools.retrain --workdir=runs/digits --arch=max_macs_600k --seeds=0,1

Without --arch the student of every budget in the config and the control are trained.
--arch takes a name in the workdir or an architecture file of your own.

Reads:  WORKDIR/architectures/ and the config's data.
Writes: WORKDIR/students/NAME/seedK/ (model.keras, result.json, history.json).
A run that was killed goes on; a student that is there is kept.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_list("arch", [], "Names or files of architectures; default: all of the config.")
flags.DEFINE_list("seeds", [], "Seeds, such as 0,1,2; default: config.retrain.seeds of them.")


def main():
    """Trains students."""
    workdir, config = cli.open_run(may_create=True)
    from dna_tf import architecture_files, budget_search, retrain

    names = cli.FLAGS.arch or budget_search.all_names(config)
    found = [architecture_files.find(name, workdir) for name in names]
    seeds = [cli.whole_number("seeds", text) for text in cli.FLAGS.seeds] or None
    for arch in found:
        retrain.retrain(workdir, config, arch, seeds)
    cli.next_command("export_tflite", workdir, f"--arch={found[0].name}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
