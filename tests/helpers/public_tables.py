"""The public tables of trained networks, which lie outside the project: tests skip without them."""

import functools
import pathlib

import pytest

from dna_tf.truth import nas_bench_macro, table_files

FOLDER = pathlib.Path("/work/shared/data/nas_tables")
_BESIDE = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "nas_tables"
FOLDER = _BESIDE if _BESIDE.exists() else FOLDER
needed = pytest.mark.skipif(not FOLDER.exists(), reason=f"needs the tables in {FOLDER}")


@functools.cache
def load(name):
    """A table, loaded once."""
    return table_files.load_table(FOLDER, name)


@functools.cache
def ours():
    """The 1,176 networks of NAS-Bench-Macro that our cells can express: `(table, rows)`."""
    table = load("nas_bench_macro")
    rows = table.rows()
    return table, rows[nas_bench_macro.expressible(rows)]
