"""Shows search spaces: a list of all, or the blocks, sizes and widths of one.

    python -m tools.space
    python -m tools.space --space=dna
    python -m tools.space --space=dna --teacher=efficientnet_b7
    python -m tools.space --config=configs/digits.py
    python -m tools.space --workdir=runs/digits --json

With a teacher, its shapes stand beside those of the space, and a cut that does not fit is refused.

Reads:  with --workdir its config, and the teacher's shapes if the teacher is trained.
Writes: nothing. Only --teacher loads TensorFlow, to build the teacher.
"""

import json

from absl import flags
from ml_collections import config_flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("space", "", "Name of a search space. Default: a list of all.")
flags.DEFINE_integer(
    "image_size", None, "Height and width of images in pixels. Default: the space's."
)
flags.DEFINE_string("teacher", "", "Name of a teacher, or a .keras file, to show beside the space.")
flags.DEFINE_list(
    "cuts",
    [],
    "Layers of the teacher, the end of each block. Default: the paper's for EfficientNet, a "
    "proposed cut for other teachers.",
)
flags.DEFINE_bool("json", False, "Print one JSON value instead of text.")


def main():
    """Prints the list or the table."""
    from dna_tf.space import space_table

    space, size, channels, shapes, cuts = _chosen()
    if space is None:
        _print_all()
        return
    if cli.FLAGS.teacher:
        shapes, cuts = _build_teacher(space, (size, size, channels))
    if shapes and len(cuts) != len(space.blocks):
        _check_fit(space, shapes, cuts)
    size = cli.FLAGS.image_size if shapes else size
    table = space_table.table(space, size, shapes, cuts)
    if cli.FLAGS.json:
        print(json.dumps(table))
    else:
        print("\n".join(space_table.lines(space, size, shapes, cuts)))
    if shapes and not all(row["teacher"]["fits"] for row in table["blocks"]):
        _check_fit(space, shapes, cuts)


def _chosen():
    """`(space, image size, channels, teacher's shapes, teacher's cuts)`; `None` if not given."""
    from dna_tf.config import run_config
    from dna_tf.space import presets

    sources = [name for name in ("space", "workdir") if getattr(cli.FLAGS, name)]
    config_flag = cli.FLAGS["config"]
    if config_flag.present or config_flags.get_override_values(config_flag):
        sources.append("config")
    if len(sources) > 1:
        raise ValueError(
            "Each of --space, --workdir and --config names a space. Give one of them. Received: "
            f"{' and '.join(f'--{name}' for name in sources)}"
        )
    if cli.FLAGS.cuts and not cli.FLAGS.teacher:
        raise ValueError("--cuts are layers of a teacher: give --teacher=NAME_OR_FILE too.")
    if not sources:
        for name in ("teacher", "image_size"):
            if cli.FLAGS[name].present:
                raise ValueError(f"--{name} needs a space: give --space=NAME, such as --space=dna.")
        return None, None, None, None, None
    if sources == ["space"]:
        space = presets.get_space(cli.FLAGS.space)
        return space, _size(space.image_size), 3, None, None
    run_folder, config = None, cli.FLAGS.config
    if sources == ["workdir"]:
        run_folder, config = cli.open_run(may_create=False)
    run_config.check_config(config)
    config = run_config.with_image_size(config)
    shapes, cuts = _trained_teacher(run_folder) if run_folder else (None, None)
    size = _size(config.data.image_size)
    return presets.get_space(config.space), size, config.data.channels, shapes, cuts


def _size(usual):
    from dna_tf.common import checks

    size = usual if cli.FLAGS.image_size is None else cli.FLAGS.image_size
    checks.check_whole("--image_size", size, 1)
    return size


def _trained_teacher(run_folder):
    """`(shapes, cuts)` of the teacher in a workdir, both `None` if it is not trained."""
    if not (run_folder.teacher / "result.json").exists():
        return None, None
    result = run_folder.teacher_result()
    shapes = [result["image_shape"], *(cut["shape"] for cut in result["cuts"])]
    return shapes, [cut["layer"] for cut in result["cuts"]]


def _build_teacher(space, image_shape):
    """`(shapes, cuts)` of the teacher of --teacher."""
    from dna_tf.teachers import building, cutting

    # The section of the config has the preprocessing and the modules that a file may need.
    section, name = cli.FLAGS.config.teacher, cli.FLAGS.teacher
    model = building.build_teacher(
        name,
        image_shape,
        num_classes=1000,
        preprocessing=section.preprocessing,
        modules=tuple(section.modules),
        cuts=tuple(cli.FLAGS.cuts),
    )
    own = tuple(model.input_shape[1:])
    if cli.FLAGS.image_size is None and len(own) == 3 and None not in own:
        image_shape = own  # a file has its own shape; a named teacher is built for any
    cuts = cli.FLAGS.cuts or building.default_cuts(name, model, image_shape, space)
    cut = cutting.cut_model(model, cuts, image_shape)
    return cut.shapes, cut.cuts


def _check_fit(space, shapes, cuts):
    from dna_tf.space import fit

    fit.check_fit(space, shapes, cuts)


def _print_all():
    from dna_tf.space import presets, space_table

    spaces = list(presets.PRESETS.values())
    if cli.FLAGS.json:
        print(json.dumps([space_table.summary(space) for space in spaces]))
        return
    print("\n".join([*space_table.summary_lines(spaces), "", presets.ENDINGS_TEXT]))
    cli.next_command("space", None, "--space=dna")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
