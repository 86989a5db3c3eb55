"""Shows where a teacher can be cut, checks a cut, and writes config lines for it.

    python -m tools.teacher --model=efficientnet_b0
    python -m tools.teacher --model=efficientnet_b0 --space=dna --output=my_b0.py
    python -m tools.teacher --model=resnet50 --image_size=160 --all
    python -m tools.teacher --model=my_model.keras --cuts=stage1_out,stage2_out
    python -m tools.teacher --workdir=runs/digits

Without --cuts the tool proposes a cut that fits the search space: the one of --space, or without
--model the one of the config. Without a space it proposes the ends of the teacher's stages.

Reads:  the .keras file of --model or config.teacher.model; WORKDIR/teacher/ if it exists. No
        images and no weights of named teachers: nothing is downloaded or trained.
Writes: nothing; with --output a config file.
"""

import sys
import types

from absl import flags
from ml_collections import config_flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("model", "", "Name of a teacher, or a .keras file. Default: the config's.")
flags.DEFINE_integer(
    "image_size", None, "Height and width of images in pixels. Default: a size that fits the model."
)
flags.DEFINE_list("cuts", [], "Layers to cut after, one for each block, to be checked.")
flags.DEFINE_string("space", "", "Search space whose blocks the cut must fit.")
flags.DEFINE_bool(
    "all", False, "Show all layers where the teacher can be cut, not only ends of stages."
)
flags.DEFINE_string("output", "", "Config file to write, ending in .py. It must not exist yet.")


def main():
    """Prints the tables and the config lines."""
    from dna_tf.common import checks
    from dna_tf.phases import teacher_config
    from dna_tf.space import presets

    flag_values = cli.FLAGS
    if flag_values.output:
        teacher_config.check_new(flag_values.output)
    if flag_values.image_size is not None:
        checks.check_whole("--image_size", flag_values.image_size, 8)
    space = presets.get_space(flag_values.space) if flag_values.space else None
    if flag_values.workdir:
        _check_workdir_alone()
        workdir, config = cli.open_run(may_create=False)
        if (workdir.teacher / "result.json").exists():
            _show_trained(workdir, config, space)
            return
    else:
        config = flag_values.config
    _show_model(config, space)


def _check_workdir_alone():
    """Checks that no other flag names a teacher."""
    config_flag = cli.FLAGS["config"]
    named = {
        "model": cli.FLAGS.model,
        "image_size": cli.FLAGS.image_size,
        "config": config_flag.present or config_flags.get_override_values(config_flag),
    }
    wrong = [f"--{name}" for name, value in named.items() if value]
    if wrong:
        raise ValueError(
            "--workdir shows the teacher of a run as it is. Leave out "
            f"{' and '.join(wrong)}, or leave out --workdir."
        )


def _show_trained(workdir, config, space):
    """Shows the teacher of a run, with the run's cuts or those of --cuts."""
    from dna_tf.phases import runs, teacher_view
    from dna_tf.space import presets

    trained = runs.open_run(workdir, config).teacher
    view = teacher_view.look(
        trained.model,
        config.teacher,
        trained.shapes[0],
        cli.FLAGS.cuts or (() if space else trained.cuts),
        space,
        presets.get_space(config.space),
        cli.FLAGS["all"].value,
    )
    print("\n".join(view.lines))
    if view.cuts == trained.cuts and not cli.FLAGS.output:
        cli.next_command("train_supernet", workdir)
        return
    if view.cuts != trained.cuts:
        print(f"The run cuts elsewhere: {','.join(trained.cuts)}")
    _write_or_name_command(config.teacher.model, view)


def _show_model(config, space):
    """Shows the teacher that --model or the config names."""
    from dna_tf.config import run_config
    from dna_tf.phases import teacher_view
    from dna_tf.space import presets
    from dna_tf.teachers import building

    run_config.check_config(config)
    config = run_config.with_image_size(config)
    name = cli.FLAGS.model or config.teacher.model
    is_configured = name == config.teacher.model
    section = types.SimpleNamespace(
        model=name,
        weights="",  # the graph is the same, and nothing is downloaded
        preprocessing=config.teacher.preprocessing
        if is_configured or _overridden("teacher.pre")
        else "none",
        modules=tuple(config.teacher.modules),
    )
    size, channels = _size(config, is_configured, space), config.data.channels
    classes = config.data.num_classes or (
        10 if is_configured and config.data.source == "digits" else 1000
    )
    model = building.build_teacher(
        name,
        (size, size, channels),
        classes,
        preprocessing=section.preprocessing,
        modules=section.modules,
        cuts=tuple(cli.FLAGS.cuts),
    )
    shape = teacher_view.image_shape(model, size, channels, cli.FLAGS.image_size is not None)
    section.weights = config.teacher.weights if is_configured else ""
    usual = presets.get_space(config.space) if is_configured else None
    every = cli.FLAGS["all"].value
    view = teacher_view.look(model, section, shape, cli.FLAGS.cuts, space, usual, every)
    print("\n".join(view.lines))
    cuts = tuple(config.teacher.cuts)
    if is_configured and cuts and cuts != view.cuts:
        print(f"The config cuts elsewhere; --cuts={','.join(cuts)} checks that.")
    _write_or_name_command(name, view)


def _size(config, is_configured, space):
    """The image size: of the flag, the config if it is for this teacher, the space, or ImageNet."""
    if cli.FLAGS.image_size is not None:
        return cli.FLAGS.image_size
    if cli.FLAGS["config"].present or _overridden("data.image_size"):
        return config.data.image_size
    if space:
        return space.image_size
    from dna_tf.teachers import application_names

    is_small = is_configured or cli.FLAGS.model in application_names.TRAINED_HERE
    return config.data.image_size if is_small else 224


def _overridden(start):
    """Whether --config.FIELD=VALUE is given for a field with this start of its name."""
    names = config_flags.get_override_values(cli.FLAGS["config"])
    return any(name.startswith(start) for name in names)


def _write_or_name_command(name, view):
    """Writes the config file, or prints the command that does."""
    from dna_tf.common import commands, files
    from dna_tf.phases import teacher_config

    path, words = cli.FLAGS.output, sys.argv[1:]
    if not path:
        cli.next_command("teacher", None, *words, "--output=my_config.py")
        return
    title = f"The teacher {name}, cut into {len(view.cuts)} block{'s' * (len(view.cuts) > 1)}."
    command = commands.line("teacher", *words)
    teacher_config.write(path, view.config_lines, title, command)
    print(f"Wrote {path}")
    cli.next_command("train_teacher", f"runs/{files.as_path(path).stem}", f"--config={path}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
