"""Runs a table of experiments: rows that differ in fields of the config and in limits.

    python -m tools.matrix --config=configs/table4.py --workdir=runs/table4
    python -m tools.matrix --config=configs/table5.py --workdir=runs/table5

The config file has, beside get_config(), a function get_matrix() that returns the rows:

    {"published": "table_4",
     "rows": [{"name": "s1", "changes": {"supernet.inputs": "S1"}, "limits": "max_params=80k"}]}

A row is a run: teacher, cells, ratings, the best network within its limits and random ones of the
same MACs, all trained from scratch. Rows with equal changes share a run; rows with equal teachers
share the teacher. "scale_params": "64.9M" scales the network of a row. A killed table resumes; it
is written after every row. Published numbers stand in a table of their own.

Writes: WORKDIR/matrix.json and matrix.html, and a run in WORKDIR/runs/ROW for each set of changes.
"""

import importlib.util

from ml_collections import config_flags

from dna_tf import cli

cli.define_run_flags()
cli.define_strategy_flags()


def main():
    """Runs all rows and prints the table."""
    flag = cli.FLAGS
    if not flag["config"].present:
        raise ValueError("Give the config file with the rows: --config=configs/table4.py, say.")
    if not flag.workdir:
        raise ValueError("Give the folder of the table with --workdir=FOLDER.")
    rows = _matrix(config_flags.get_config_filename(flag["config"]))
    strategy = cli.make_strategy()
    from dna_tf.common import files
    from dna_tf.phases import matrix

    content = matrix.run(flag.workdir, rows, flag.config, strategy)
    first = files.as_path(flag.workdir) / "runs" / content["rows"][0]["run"]
    cli.next_command("report", first)


def _matrix(name):
    """What `get_matrix` of a config file returns, for its argument after the colon, if any."""
    path, _, argument = name.partition(":")
    spec = importlib.util.spec_from_file_location("config_with_rows", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_matrix"):
        raise ValueError(
            f"The config file {path} has no function get_matrix(), which returns the rows of a "
            "table. configs/table4.py has one."
        )
    return module.get_matrix(argument) if argument else module.get_matrix()


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
