"""Writes the report of a run: one HTML file with all results so far.

    python -m tools.report --workdir=runs/digits

tools.quickstart and tools.compress end with it. Run it again after a search, a rating, a training
or tools.additivity. Only the feature maps need TensorFlow; --maps=no leaves them out.

Reads:  WORKDIR, all of it.
Writes: WORKDIR/report.html, which opens in any browser and loads nothing.
"""

from absl import flags

from dna_tf import cli
from dna_tf.common import progress
from dna_tf.space import spaces, zoo

cli.define_run_flags()
flags.DEFINE_enum(
    "maps",
    "auto",
    ["auto", "no"],
    "Feature maps of the chosen student: auto draws them if the teacher and its cells are trained.",
)


def main():
    """Writes the report."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.phases import searching
    from dna_tf.report import report_page

    name = searching.chosen_name(config)
    maps = None
    if cli.FLAGS.maps == "auto" and workdir.architecture(name).exists():
        architecture = zoo.find(name, workdir.architectures)
        if _has_networks(workdir, architecture):
            from dna_tf.phases import reporting

            maps = reporting.imitated_maps(workdir, config, architecture)
    path = report_page.write_report(workdir.path, maps)
    progress.say(f"{path}: open it in a browser.")
    if workdir.front.exists():
        cli.next_command("retrain", workdir, f"--arch={name}")
    elif (workdir.path / "additivity.json").exists():
        cli.next_command("compress", workdir, "--max_macs=50%", comment="another budget")
    elif (workdir.path / "compressed").exists():
        cli.next_command("additivity", workdir, comment="do its ratings add up?")
    else:
        cli.next_command("search", workdir)


def _has_networks(workdir, arch):
    """Whether the teacher and the cells of an architecture are trained."""
    if any(block.cell is None for block in arch.blocks):
        return False  # the architecture was not searched
    names = [spaces.cell_name(b, block.cell) for b, block in enumerate(arch.blocks)]
    cells = [workdir.cell(name) for name in names]
    needed = [workdir.teacher / "result.json", workdir.teacher / "model.keras", *cells]
    return all(path.exists() for path in needed)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
