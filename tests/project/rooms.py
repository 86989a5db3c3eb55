"""The rooms of `dna_tf/` in their order, and what each file imports, read from its syntax tree."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).absolute().parents[2]

# A room imports only from rooms above it in this list. Rooms of one line do not import
# each other.
FLOORS = (
    ("common",),
    ("space", "data"),
    ("truth",),
    ("search", "config"),
    ("models", "workdirs"),
    ("training", "teachers", "features", "report"),
    ("supernet", "evaluation", "slimming", "cli"),
    ("export", "inheritance"),
    ("compression", "latency"),
    ("phases",),
)
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
# `workdirs` and `cli` are single files; all others are folders.
FOLDERS = tuple(room for room in LEVEL if room not in ("workdirs", "cli"))
# These load no TensorFlow, Keras, scikit-learn, TFDS or LiteRT: tools that read tables
# start at once.
PLAIN = ("common", "space", "truth", "search", "config", "workdirs", "report")

# Names under which installed modules are known; see PACKAGES in setup.py.
INSTALLED = {"dna_tf.configs": "configs", "dna_tf.tools": "tools"}


def files_of(room):
    """Returns the Python files of a room, as paths."""
    place = ROOT / "dna_tf" / room
    return sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def room_of(module):
    """Returns the room of a dotted module name of `dna_tf`; `""` is the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else ""


def imports(path):
    """Yields `(line, module)` for each import of a file, at its top or inside a function.

    `from a.b import c` gives `a.b.c`: `c` may be a module or a name in one.
    """
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, _checkout_name(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, _checkout_name(f"{node.module}.{alias.name}")


def _checkout_name(name):
    for installed, folder in INSTALLED.items():
        if f"{name}.".startswith(f"{installed}."):
            return folder + name[len(installed) :]
    return name
