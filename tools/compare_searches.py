"""Compares the exact search with random search, evolution, beams and the authors' traversal.

    python -m tools.compare_searches --workdir=runs/digits
    python -m tools.compare_searches --workdir=runs/digits --max_macs=1.4M --seeds=9
    python -m tools.compare_searches --space=dna --ratings=made --seed=0 --max_macs=350M
    python -m tools.compare_searches --table=nb201 --folder=nas_tables --data=cifar10

All searches get the same ratings, costs and limits. The table has medians over the seeds:

  within limits   runs that found an architecture within the limits
  gap             rating above that of the optimum, which the exact search proves
  evaluations     architectures that were rated (random, evolution), sums of a start and a path
                  (beams), or paths visited in loops (traversal); one of each costs different time
  to the end      whether it finished before its budget ran out
  seconds         on this machine, now

--ratings=made needs no workdir: the ratings are random, and costs are those at the space's own
image size, with 1000 classes at 224x224 and otherwise 10. They compare searches and say nothing
about networks. Without limits the budgets of the config are searched; with made-up ratings, the
middle of the range of MACs.

--table=nb201 compares random search (and its closed form), evolution (ours, with SPOS's settings,
regularised), REINFORCE, Q-learning and TNAS on a public table of trained networks: --folder has its
.npz files. The searches see --signal, and what they end at is reported in --report: here the
accuracy after 12 epochs, and the test accuracy after 200. Oracles read the whole table: TNAS with
the mean of each group, and the exact search on the additive fit. Limits also on latencies, such as
--max_latency_pixel3_ms=5. The same command resumes.

Reads:  WORKDIR/ratings/, or FOLDER/TABLE.npz. Loads no TensorFlow.
Writes: WORKDIR/comparisons/NAME.json, or FILE with --output=FILE; of a table TABLE_searches.json.
"""

import sys
import time

from absl import flags

from dna_tf import cli
from dna_tf.common import commands
from dna_tf.space import cost_tables

cli.define_run_flags()
cli.define_limit_flags()
flags.DEFINE_string("table", "", "Table of trained networks: nb201, nas_bench_macro, or yours.")
flags.DEFINE_string("folder", "nas_tables", "Folder of the .npz files of tables.")
flags.DEFINE_string("signal", "", "Column that searches see. Default of nb201: val12.")
flags.DEFINE_string("report", "", "Column that is reported. Default of nb201: test200.")
flags.DEFINE_list("data", [], "Data sets of the columns, such as cifar10. Default: all.")
flags.DEFINE_string("space", "", "Search space for --ratings=made, such as dna.")
flags.DEFINE_enum(
    "ratings", "run", ["run", "made"], "Ratings: of the run in the workdir, or made up."
)
flags.DEFINE_string("kind", "plausible", "Kind of made-up ratings: plausible, smooth or noise.")
flags.DEFINE_integer("seed", 0, "Seed of the made-up ratings.", lower_bound=0)
flags.DEFINE_integer(
    "seeds", None, "Number of seeds for each search. Default: 5; 20 on a table.", lower_bound=1
)
flags.DEFINE_list(
    "budgets", [], "Numbers of evaluations. Default: 1000,10000; 100,300,1000 on a table."
)
flags.DEFINE_list("beams", ["1", "10", "100"], "Numbers of starts that a beam keeps.")
flags.DEFINE_string("traversal_budget", "300M", "Most paths that the authors' traversal visits.")
flags.DEFINE_string("output", "", "JSON file to write. Default: a file in the workdir.")

for limit in commands.limits_of_files(sys.argv[1:]):  # such as --max_latency_pixel3_ms
    if limit not in cli.FLAGS:
        flags.DEFINE_string(limit, "", "Limit on a cost from a file.")


def main():
    """Compares all searches under each set of limits."""
    flag = cli.FLAGS
    limits = cli.limits_of_flags()
    budgets = [cli.whole_number("budgets", text) for text in flag.budgets]
    if flag.table:
        _compare_on_table(limits, budgets)
        return
    for name in ("signal", "report", "data"):
        if flag[name].value:
            raise ValueError(f"--{name} is for a table: add --table=nb201, say.")
    beams = [cli.whole_number("beams", text) for text in flag.beams]
    from dna_tf.common import files, formatting, progress
    from dna_tf.search import comparison

    traversal = formatting.parse_count(flag.traversal_budget)
    problem, all_limits, workdir = _problem(limits)
    searches = comparison.methods(problem, budgets or comparison.BUDGETS, beams, traversal)
    seeds = flag.seeds or 5
    count = problem.num_architectures()
    content = {
        "kind": comparison.KIND,
        "space": problem.space.name,
        "num_architectures": count,
        "ratings": "of the workdir" if flag.ratings == "run" else f"made up, {flag.kind}",
        "seed": flag.seed if flag.ratings == "made" else None,
        "seeds": seeds,
        "date": time.strftime("%Y-%m-%d"),
        "comparisons": [],
    }
    for one in all_limits:
        progress.say(f"\n{problem.space.name}, {count:,} architectures, {one.text()}:")
        rows = comparison.compare(problem, one, seeds, searches)
        for line in comparison.table(rows):
            progress.say(f"  {line}")
        content["comparisons"].append({"limits": dict(one), "searches": rows})
    path = _output(workdir, limits)
    if path is not None:
        files.write_json(path, content)
        progress.say(f"\n{path}")
    if workdir is None:
        cli.next_command("train_teacher", None, "--workdir=runs/digits")
    else:
        cli.next_command("search", workdir)


def _problem(limits):
    """`(problem, list of Limits, workdir or None)`."""
    flag = cli.FLAGS
    if flag.ratings == "run":
        if flag.space:
            raise ValueError("--space is for --ratings=made; a workdir has its own space.")
        workdir, config = cli.open_run(may_create=False)
        from dna_tf.phases import search_inputs
        from dna_tf.space import cost_limits

        all_limits = [limits] if limits else list(map(cost_limits.Limits, config.search.budgets))
        return search_inputs.SearchInputs(workdir, config).problem, all_limits, workdir
    if flag.workdir:
        raise ValueError("--ratings=made needs no --workdir: leave one of them out.")
    if not flag.space:
        raise ValueError("--ratings=made needs a space: add --space=dna, say.")
    from dna_tf.search import comparison, problem_building
    from dna_tf.space import cost_limits, presets, tasks

    space = presets.get_space(flag.space)
    size = space.image_size
    task = tasks.Task(size, num_classes=1000 if size == 224 else 10)
    table = cost_tables.cost_table(space, task)
    ratings = comparison.draw_ratings(space, table, flag.kind, flag.seed)
    problem = problem_building.build_problem(space, ratings, table)
    middle = round((problem.lowest("macs") + problem.highest("macs")) / 2)
    return problem, [limits or cost_limits.Limits(max_macs=middle)], None


# The columns that a search sees, and that are reported, by table.
_COLUMNS = {"nb201": ("val12", "test200"), "nas_bench_macro": ("acc_seed1", "acc_mean")}


def _compare_on_table(limits, budgets):
    """Compares the searches on a table, for each data set."""
    flag = cli.FLAGS
    if flag.workdir or flag.space or flag.ratings == "made":
        raise ValueError(
            "--table has its own networks: leave --workdir, --space and --ratings out."
        )
    from dna_tf.common import files, progress
    from dna_tf.search import table_comparison, table_runs
    from dna_tf.truth import table_files

    table = table_files.load_table(flag.folder, flag.table)
    budgets = tuple(budgets) or table_comparison.BUDGETS
    questions = [
        table_comparison.Question(table, signal, report, limits, budgets, flag.seeds or 20)
        for signal, report in _columns(table)
    ]
    path = files.as_path(flag.output or f"{flag.table}_searches.json")
    for question in questions:
        rows = table_runs.compare(question, path)
        progress.say("")
        for line in table_comparison.report_lines(question, rows):
            progress.say(line)
    progress.say(f"\n{path}")
    words = [f"--table={flag.table}", f"--folder={flag.folder}"]
    if "macs" in table.costs and not limits:
        middle = (table.cost("macs").min() + table.cost("macs").max()) / 2
        words.append(f"--max_macs={middle / 1e6:.0f}M")
    cli.next_command("compare_searches", None, *words)


def _columns(table):
    """Pairs of the column that searches see and the one that is reported."""
    flag = cli.FLAGS
    signal, report = _COLUMNS.get(table.name, ("", ""))
    signal, report = flag.signal or signal, flag.report or report
    if not signal or not report:
        raise ValueError(
            f"--signal and --report name columns of the table {table.name!r}. "
            f"It has: {', '.join(table.truth)}"
        )
    if signal in table.truth and report in table.truth:
        if flag.data:
            raise ValueError(f"{signal} and {report} are whole columns: leave --data out.")
        return [(signal, report)]
    endings = [name[len(report) :] for name in table.truth if name.startswith(f"{report}_")]
    data = flag.data or [e[1:] for e in endings if f"{signal}{e}" in table.truth]
    if not data:
        table.column(signal)  # an error that names near columns
        table.column(report)
    return [(f"{signal}_{one}", f"{report}_{one}") for one in data]


def _output(workdir, limits):
    from dna_tf.common import files

    if cli.FLAGS.output:
        return files.as_path(cli.FLAGS.output)
    name = limits.name() if limits else "budgets"
    return None if workdir is None else workdir.comparisons / f"{name}.json"


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
