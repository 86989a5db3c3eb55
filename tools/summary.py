"""Shows an architecture: Keras' model.summary(), parameters and MACs.

    python -m tools.summary --arch=dna_a
    python -m tools.summary --arch=runs/digits/architectures/max_macs_1.5M.json
    python -m tools.summary --arch=max_macs_1.5M --workdir=runs/digits --json
    python -m tools.summary --arch=dna_a --num_classes=10 --image_size=32
    python -m tools.summary --arch=all

--arch=all prints one table of the published networks. --json prints one JSON value instead of
text. Both load no TensorFlow.
"""

import json
import os

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string(
    "arch", "", "Published network, architecture in --workdir, architecture file, or 'all'."
)
flags.DEFINE_integer("num_classes", None, "Number of classes. Default: the architecture's.")
flags.DEFINE_integer(
    "image_size", None, "Height and width of images in pixels. Default: the architecture's."
)
flags.DEFINE_integer("channels", None, "Channels of the images. Default: the architecture's.")
flags.DEFINE_bool("json", False, "Print one JSON value instead of text.")

_COUNTS_TEXT = """\
params: trainable parameters. macs: multiply-accumulates of convolutions and classifier.
authors_flops: what DNA's authors count, and the paper calls FLOPs. top-1: as published, not
measured here, in percent of ImageNet's validation set, for 1000 classes at 224x224x3."""


def main():
    """Prints the summary."""
    from dna_tf import workdirs
    from dna_tf.common import formatting
    from dna_tf.space import zoo

    if not cli.FLAGS.arch:
        raise ValueError("Give the architecture: --arch=NAME_OR_FILE, such as --arch=dna_a.")
    if cli.FLAGS.arch == "all":
        _print_published()
        return
    run_folder = workdirs.Workdir(cli.FLAGS.workdir) if cli.FLAGS.workdir else None
    arch = _adapted(zoo.find(cli.FLAGS.arch, run_folder and run_folder.architectures))
    if cli.FLAGS.json:
        print(json.dumps({**arch.to_dict(), "rating": arch.rating}))
        return
    from dna_tf.models import students

    # Keras cuts the table at the width of the terminal, and assumes a narrow one for a pipe.
    os.environ.setdefault("COLUMNS", "120")
    students.build_student(arch).summary(line_length=120, positions=[0.4, 0.62, 0.72, 1.0])
    print(f"{arch.name}: {arch.describe()}")
    for name, count in arch.costs().items():
        print(f"{name}: {count:,} ({formatting.format_count(count)})")


def _adapted(arch):
    return arch.adapted(cli.FLAGS.num_classes, cli.FLAGS.image_size, cli.FLAGS.channels)


def _print_published():
    """The table of all published networks."""
    from dna_tf.space import zoo

    if cli.FLAGS.workdir:
        raise ValueError(
            "--arch=all shows the published networks. Leave --workdir out, or name one "
            f"architecture of {cli.FLAGS.workdir} with --arch."
        )
    rows = []
    for name in zoo.NAMES:
        published = zoo.get_architecture(name)
        arch = _adapted(published)
        # The published accuracy is valid only for the published image size and classes.
        top1 = zoo.PUBLISHED_TOP1_PERCENT[name] if arch == published else None
        rows.append({"name": name, **arch.costs(), "published_top1_percent": top1})
    if cli.FLAGS.json:
        print(json.dumps(rows))
        return
    print(f"{'network':16}{'params':>12}{'macs':>15}{'authors_flops':>16}{'published top-1':>18}")
    for row in rows:
        counts = f"{row['params']:12,}{row['macs']:15,}{row['authors_flops']:16,}"
        top1 = row["published_top1_percent"]
        print(f"{row['name']:16}{counts}{'-' if top1 is None else top1:>18}")
    print(f"\n{_COUNTS_TEXT}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
