"""Config lines that name a teacher and its cut, and a complete config file with them."""

import pprint

from dna_tf.common import commands, files
from dna_tf.space import fit, layer_specs, presets

_INDENT = "    "


def fitting_space(image_shape, shapes, first=()):
    """Finds a search space whose blocks have the sizes of a cut.

    Args:
        image_shape: `(height, width, channels)`.
        shapes: `(height, width, channels)` of each block's output.
        first: `spaces.SearchSpace`s to try before the presets.

    Returns:
        A `spaces.SearchSpace`, or `None`.
    """
    sizes = [tuple(shape[:2]) for shape in shapes]
    for space in (*first, *presets.PRESETS.values()):
        if fit.block_sizes(space, image_shape) == sizes:
            return space
    return None


def lines(section, cuts, image_shape, shapes, space=None):
    """The lines of `get_config()` that name a teacher and its cut.

    Args:
        section: has `model`, `weights`, `preprocessing` and `modules`, as the config's
            `teacher` section.
        cuts: the name of the last layer of each block.
        image_shape: `(height, width, channels)`.
        shapes: `(height, width, channels)` of each block's output.
        space: a `spaces.SearchSpace` that fits; `None` writes comments on what a space needs.

    Returns:
        A list of lines of Python without indent.

    Raises:
        ValueError: the images are not square: a config has one image size.
    """
    height, width, channels = image_shape
    if height != width:
        raise ValueError(
            f"config.data.image_size is one number, for square images. Received: images of "
            f"{height}x{width}. Take a teacher for square images."
        )
    result = [f"config.data.image_size = {height}"]
    if channels != 3:
        result.append(f"config.data.channels = {channels}")
    result.append(f"config.teacher.model = {_text(section.model)}")
    result.append(f"config.teacher.weights = {_text(section.weights)}")
    if section.preprocessing != "none":
        result.append(f"config.teacher.preprocessing = {_text(section.preprocessing)}")
    if section.modules:
        result.append(f"config.teacher.modules = {_tuple(section.modules)}")
    result += ["config.teacher.cuts = (", *(f"{_INDENT}{_text(cut)}," for cut in cuts), ")"]
    return result + _space_lines(space, image_shape, shapes)


def _space_lines(space, image_shape, shapes):
    if space is None:
        return [f"# {line}" for line in _needed_space(image_shape, shapes)]
    if presets.PRESETS.get(space.name) == space:
        return [f"config.space = {_text(space.name)}"]
    return f"config.space = {pprint.pformat(space.to_dict(), sort_dicts=False)}".splitlines()


def _needed_space(image_shape, shapes):
    """Comments on the strides of a space for these shapes."""
    strides, reads = [], tuple(image_shape[:2])
    for number, shape in enumerate(shapes):
        fitting = [
            stride
            for stride in ((4, 2, 1) if number == 0 else (1, 2))
            if layer_specs.output_size(*reads, stride) == tuple(shape[:2])
        ]
        if not fitting:
            return [
                f"No space can follow this cut: block {number + 1} turns {reads[0]}x{reads[1]}",
                f"into {shape[0]}x{shape[1]}.",
                "Cut the teacher elsewhere, or take images of another size.",
            ]
        strides.append(fitting[0])
        reads = tuple(shape[:2])
    first = {4: "a stem_stride of 2 and a stride of 2", 2: "a stem_stride of 2 and a stride of 1"}
    return [
        f"No preset has {len(shapes)} blocks of these sizes. Set config.space to a",
        f"dict as SearchSpace.from_dict takes it, with {len(shapes)} blocks: block 1 has",
        f"{first.get(strides[0], 'a stem_stride and a stride of 1')}"
        + (f", the others have strides {strides[1:]}." if strides[1:] else "."),
    ]


def write(path, config_lines, title, command):
    """Writes a complete config file.

    Args:
        path: the new file, ending in `.py`.
        config_lines: as `lines` returns them.
        title: one line, such as `"The teacher resnet50, cut into 4 blocks."`.
        command: the command that wrote it.

    Raises:
        FileExistsError: the file exists; it is not overwritten.
        ValueError: the name does not end in `.py`.
    """
    check_new(path)
    body = "\n".join(f"{_INDENT}{line}".rstrip() for line in config_lines)
    files.write_text(
        path,
        f'''"""{_plain(title)}

Written by: {_plain(command)}
Still to set: config.data (where your images are), config.search.budgets (what your device
can take), and the recipes; dna_tf/config/run_config.py explains every field.

Command: {_plain(commands.line("quickstart", f"--config={path}", "--workdir=FOLDER"))}
"""

from dna_tf import config as configs


def get_config():
    """Returns the config."""
    config = configs.default_config()
{body}
    return config
''',
    )


def check_new(path):
    """Checks that a config file can be written to `path`, as `write` does."""
    if not str(path).endswith(".py"):
        raise ValueError(f"A config file ends in .py. Received: --output={path}")
    if files.as_path(path).exists():
        raise FileExistsError(
            f"The file {path} exists and is not overwritten. Give another --output, or delete it."
        )


def _plain(text):
    """Escapes text for a docstring."""
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _text(value):
    """A string as Python writes it, with the quotes of this project's code."""
    text = repr(value)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def _tuple(values):
    return f"({', '.join(_text(value) for value in values)},)"
