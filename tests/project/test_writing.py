"""Files are written by `dna_tf.common.files`: whole or not at all, on the disk, named in errors."""

import ast

from tests.project import rooms

# What writes past it, and why that is safe.
ALLOWED = {
    "dna_tf/common/files.py": "it is the one place",
    "dna_tf/models/keras_files.py save": "into a path of files.replacing",
    "dna_tf/training/checkpoints.py save": "TensorFlow's checkpoints are valid once complete",
    "dna_tf/training/tensorboard.py TFRecordWriter": "curves, which nothing reads back",
    "dna_tf/features/shard_files.py TFRecordWriter": "under a temporary name",
    "dna_tf/features/shard_files.py write_bytes": "in a temporary folder",
    "dna_tf/export/other_formats.py export": "under a temporary name",
    "dna_tf/latency/phones.py write_bytes": "in a temporary folder",
}
WRITERS = {"write_bytes", "write_text", "savez", "savez_compressed", "savefig", "tofile", "dump"}
WRITERS |= {"save_model", "save_weights", "write_html", "write_image", "TFRecordWriter", "export"}
WRITERS |= {"copyfile", "copytree", "move"}
OF_THE_HOUSE = {"files", "keras_files", "architectures", "op_costs", "ratings", "cell_files"}
OF_THE_HOUSE |= {"snapshots", "angle_sums", "assemblies", "replaced_cells", "whole_files", "scores"}
OF_THE_HOUSE |= {"sliced"}  # the model of a width, in memory
OF_THE_HOUSE |= {"self", "store", "saver"}  # measurements, ratings, checkpoints


def calls(path):
    """Yields the owner and the name of each call that writes a file."""
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        owner = getattr(getattr(function, "value", None), "id", "")
        texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
        texts += [k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)]
        opens = name in ("open", "GFile", "FileIO") and any(
            isinstance(text, str) and set(text) & set("wax+") and set(text) <= set("rwabtx+")
            for text in texts
        )
        path_of_model = name == "save" and (owner or getattr(function, "value", None))
        if opens or name in WRITERS or path_of_model:
            yield owner, name


def test_every_file_is_written_by_the_one_place():
    others = set()
    for folder in ("dna_tf", "tools"):
        for path in sorted((rooms.ROOT / folder).rglob("*.py")):
            place = str(path.relative_to(rooms.ROOT))
            for owner, name in calls(path):
                if place not in ALLOWED and owner not in OF_THE_HOUSE:
                    others.add(f"{place} {name}")
    assert sorted(others - set(ALLOWED)) == []
