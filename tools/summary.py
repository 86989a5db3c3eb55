"""Shows an architecture: Keras' model.summary(), parameters and MACs.

    python -m tools.summary --arch=dna_a
    python -m tools.summary --arch=runs/digits/architectures/max_macs_700k.json
    python -m tools.summary --arch=max_macs_700k --workdir=runs/digits --json

--json prints one JSON object instead, at once, without loading TensorFlow.
"""

import json
import os

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("arch", "", "Name of a published network or of one in --workdir, or a file.")
flags.DEFINE_bool("json", False, "Print one JSON object instead of the layers.")


def main():
    """Prints the summary."""
    from dna_tf import architecture_files, limits, workdir

    if not cli.FLAGS.arch:
        raise ValueError("Say which architecture: --arch=NAME_OR_FILE, such as --arch=dna_a.")
    run_folder = workdir.Workdir(cli.FLAGS.workdir) if cli.FLAGS.workdir else None
    arch = architecture_files.find(cli.FLAGS.arch, run_folder)
    if cli.FLAGS.json:
        print(json.dumps({**arch.to_dict(), "rating": arch.rating}))
        return
    from dna_tf import student

    # Keras cuts the table at the width of the terminal, and takes a pipe for a narrow one.
    os.environ.setdefault("COLUMNS", "120")
    student.build_student(arch).summary(line_length=120, positions=[0.4, 0.62, 0.72, 1.0])
    print(f"{arch.name}: {arch.describe()}")
    for name, count in arch.costs().items():
        print(f"{name}: {count:,} ({limits.format_count(count)})")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
