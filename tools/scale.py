"""Scales an architecture by EfficientNet's compound rule: wider and deeper, or smaller.

    python -m tools.scale --arch=dna_c --params=64.9M --output=dna_c_64.9M.json
    python -m tools.scale --arch=dna_a --macs=150M --image_size=compound
    python -m tools.scale --arch=max_macs_1.5M --workdir=runs/digits --width=2 --depth=3.1
    python -m tools.scale --arch=dna_c --like=efficientnet_b4

Give one of: a number of --params or --macs to reach, the coefficients --width and --depth, or
--like. The image size stays the same unless --image_size is given.

Reads:  a published network, an architecture file, or WORKDIR/architectures/.
Writes: the file --output, or WORKDIR/architectures/NAME.json. Without --output and --workdir the
        tool only prints the result.
"""

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string(
    "arch", "", "Published network, architecture in --workdir, or architecture file."
)
flags.DEFINE_string("params", "", "Parameters to reach, such as 64.9M.")
flags.DEFINE_string("macs", "", "MACs to reach, such as 400M.")
flags.DEFINE_float("width", None, "Factor of the widths; 1 if only --depth is given.")
flags.DEFINE_float("depth", None, "Factor of the numbers of layers; 1 if only --width is given.")
flags.DEFINE_string(
    "like", "", "efficientnet_b0 to efficientnet_b7: takes its factors of width and depth."
)
flags.DEFINE_string(
    "image_size",
    "",
    "Height and width of images in pixels, or 'compound': scaled with --params, --macs or --like. "
    "Default: unchanged.",
)
flags.DEFINE_string("output", "", "Architecture file to write, ending in .json.")
flags.DEFINE_string(
    "name", "", "Name of the scaled architecture. Default: made from the other flags."
)


def main():
    """Scales one architecture."""
    from dna_tf.space import zoo

    if not cli.FLAGS.arch:
        raise ValueError("Give the architecture: --arch=NAME_OR_FILE, such as --arch=dna_a.")
    target = _target()
    image_size = _image_size(target)
    _check_names()
    workdir, config = None, None
    if cli.FLAGS.workdir:
        workdir, config = cli.open_run(may_create=False)
    arch = zoo.find(cli.FLAGS.arch, workdir and workdir.architectures)
    scaled = _scaled(arch, target, image_size)
    _show(arch, scaled)
    path = cli.FLAGS.output or (workdir and workdir.architecture(_file_name(scaled.name)))
    if not path:
        print("Nothing was written: give --output=FILE.json, or --workdir=FOLDER of a run.")
        return
    _save_unless_saved(scaled, path)
    if workdir is None:
        cli.next_command("summary", None, f"--arch={path}")
    elif config.data.image_size == scaled.image_size:
        cli.next_command("retrain", workdir, f"--arch={cli.FLAGS.output or scaled.name}")
    else:
        size, usual = scaled.image_size, config.data.image_size
        print(
            f"It takes images of {size}x{size}, and this run has {usual}x{usual}. Retrain it in "
            "another workdir, with the config file of this run:"
        )
        words = ("--config=FILE.py", f"--config.data.image_size={size}")
        cli.next_command("retrain", f"{workdir}_at{size}", f"--arch={path}", *words)


def _target():
    """The target: a dict with `params` or `macs`, or with `width` and `depth`, or with `like`."""
    from dna_tf.common import checks, formatting
    from dna_tf.space import scaling

    flag = cli.FLAGS
    width, depth = flag.width, flag.depth
    choices = [f"--{key}" for key in (*scaling.TARGETS, "like") if flag[key].value]
    choices += ["--width and --depth"] if (width, depth) != (None, None) else []
    if len(choices) != 1:
        raise ValueError(
            "Give what to scale to, with one of --params=64.9M, --macs=400M, --width=2 --depth=3.1 "
            f"or --like=efficientnet_b4. Received: {', '.join(choices) or 'none of them'}"
        )
    if width is not None or depth is not None:
        return {"width": 1.0 if width is None else width, "depth": 1.0 if depth is None else depth}
    if flag.like:
        if flag.like not in scaling.COEFFICIENTS:
            raise ValueError(
                f"There are no coefficients for {flag.like!r}."
                f"{checks.near_names(flag.like, scaling.COEFFICIENTS)} "
                f"--like takes {list(scaling.COEFFICIENTS)}"
            )
        return {"like": flag.like}
    name = "params" if flag.params else "macs"
    try:
        return {name: formatting.parse_count(flag[name].value)}
    except ValueError as error:
        raise ValueError(f"--{name}: {error}") from error


def _image_size(target):
    text = cli.FLAGS.image_size
    if not text:
        return None
    if text == "compound":
        if "width" in target:
            raise ValueError(
                "--image_size=compound goes with --params, --macs or --like. With --width and "
                "--depth give the size in pixels, such as --image_size=240."
            )
        return text
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            "--image_size is a number of pixels above 0, such as 240, or 'compound'. "
            f"Received: {text!r}"
        )
    return int(text)


def _check_names():
    if cli.FLAGS.output and not cli.FLAGS.output.endswith(".json"):
        raise ValueError(
            f"--output must end in .json, as architecture files do. Received: {cli.FLAGS.output!r}"
        )
    if cli.FLAGS.name:
        _file_name(cli.FLAGS.name)


def _file_name(name):
    from dna_tf.common import checks

    try:
        if checks.check_file_name("an architecture", name) == "front":
            raise ValueError("The name is not 'front', which names a file of the search.")
    except ValueError as error:
        raise ValueError(f"Give another --name. {error}") from error
    return name


def _scaled(arch, target, image_size):
    from dna_tf.space import scaling

    name = cli.FLAGS.name or None
    if "like" not in target and "width" not in target:
        return scaling.scale_to(arch, **target, image_size=image_size, name=name)
    if "like" in target:
        width, depth, pixels = scaling.COEFFICIENTS[target["like"]]
        base = scaling.COEFFICIENTS["efficientnet_b0"][2]
        target = {"width": width, "depth": depth}
        if image_size == "compound":
            image_size = max(1, round(arch.image_size * pixels / base))
    return scaling.scale(arch, **target, image_size=image_size, name=name)


def _show(before, after):
    """Prints both networks side by side, the coefficients, and the distance to the target."""
    from dna_tf.space import scaling

    sides = [{"": arch.name, **_rows(arch)} for arch in (before, after)]
    wide = max(len(text) for text in sides[0].values())
    for key, text in sides[0].items():
        print(f"{key:<14}{text:<{wide}}  {sides[1][key]}")
    origin = after.origin
    words = f"width {origin['width']:.6g}, depth {origin['depth']:.6g}"
    print(f"coefficients: {words}, resolution {origin['resolution']:.6g}")
    if "target" not in origin:
        return
    ((name, target),) = origin["target"].items()
    print(f"target: {target:,} {name}; reached {origin['reached']:,} ({origin['difference']:+.3%})")
    rule = f"phi {origin['phi']:.4f} of the compound rule"
    if origin["refined"]:
        rule = f"depth of {rule}; its width alone was moved to come nearer"
    print(rule)
    if abs(origin["difference"]) > scaling.NEAR_ENOUGH:
        print("Widths are multiples of 8 and jump together: no width at this depth comes nearer.")


def _rows(arch):
    from dna_tf.common import formatting

    frame = arch.frame
    rows = {key: f"{n:,} ({formatting.format_count(n)})" for key, n in arch.costs().items()}
    rows["image size"] = str(arch.image_size)
    rows["stem"] = f"{frame.stem_width} {frame.stem_output_width} x{frame.stem_layers}"
    rows["widths"] = " ".join(str(block.width) for block in arch.blocks)
    rows["layers"] = " ".join(str(len(block.ops)) for block in arch.blocks)
    rows["head"] = str(frame.head_width)
    return rows


def _save_unless_saved(scaled, path):
    """Writes the file, unless an equal one exists; another file is never overwritten."""
    from dna_tf.space import architectures

    hint = "Move it away, or give another --output or --name."
    if architectures.is_saved(scaled, path, hint):
        print(f"{path} (is there already)")
    else:
        architectures.save(scaled, path)
        print(f"Wrote {path}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
