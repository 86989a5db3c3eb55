"""Finds the best architectures, exactly, over all combinations of paths.

    python -m tools.search --workdir=runs/digits
    python -m tools.search --workdir=runs/digits --max_macs=1.4M --max_params=80k --top=5
    python -m tools.search --workdir=runs/digits --max_macs=1.4M --front=macs,params

Without limits the tool searches the budgets of the config, and draws a random control of the same
cost as the chosen one. Otherwise these flags, in any combination, make up one search:

  --max_macs=350M --min_params=4M     limits on params, macs or authors_flops
  --max_latency_ms=20 --cost_file=latency.json    limits on costs from a file, such as one that
                                      tools.latency_table writes
  --penalty=macs=1e-9                 instead of a limit: added to the rating for each unit
  --penalty=macs=1e-8@350M            the same, for each unit above a target
  --top=5                             the five best: NAME, NAME_2, ..., and which of them cannot
                                      be told from the first by their ratings
  --top=5 --max_shared_ops=10         each shares at most 10 layers with every better one
  --front=macs,params                 all that no other beats in both rating and these costs
  --weights=1,1,2                     a factor for the ratings of each block
  --skip_missing                      searches the cells that are rated and leaves out the others

The result also says how tight each limit is and how much 1, 5 and 10 % more of it would gain. With
tables of tools.latency_table it has the command that measures the architectures found.

Reads:  WORKDIR/ratings/ and the files of costs. Loads no TensorFlow.
Writes: WORKDIR/architectures/NAME.json for the later tools, and front.json there; with --front
        WORKDIR/fronts/COSTS.json.
"""

import sys

from absl import flags

from dna_tf import cli
from dna_tf.common import commands

cli.define_run_flags()
cli.define_limit_flags()
flags.DEFINE_multi_string("cost_file", [], "File with the costs of ops, such as latency.json.")
flags.DEFINE_multi_string("penalty", [], "COST=FACTOR or COST=FACTOR@TARGET, instead of a limit.")
flags.DEFINE_string("top", "", "Number of architectures to find. Default: 1.")
flags.DEFINE_string("max_shared_ops", "", "Most layers that two of them may share; with --top.")
flags.DEFINE_list("front", [], "Costs of a front against the rating, such as macs,params.")
flags.DEFINE_string(
    "round", "", "Rounds the costs of the front, by at most this share, such as 0.001."
)
flags.DEFINE_list("weights", [], "A factor for the ratings of each block, such as 1,1,2.")
flags.DEFINE_bool("skip_missing", False, "Search the rated cells if ratings are missing.")
flags.DEFINE_string("name", "", "Name of the result. Default: made from the limits.")


for limit in commands.limits_of_files(sys.argv[1:]):  # such as --max_latency_ms
    if limit not in cli.FLAGS:
        flags.DEFINE_string(limit, "", "Limit on a cost from a file.")


def main():
    """Searches, and prints the next commands."""
    question = _question()
    weights = [_number("weights", text) for text in cli.FLAGS.weights] or None
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.phases import latency_commands, search_inputs, search_question, searching
    from dna_tf.space import op_costs

    files, skip = cli.FLAGS.cost_file, cli.FLAGS.skip_missing
    inputs = search_inputs.SearchInputs(workdir, config, weights, files, skip)
    if question is None:
        names = searching.search_budgets(workdir, config, inputs=inputs)
        words = []
    else:
        names = search_question.answer(inputs, question)
        words = [f"--arch={names[0]}"]
    for path in dict.fromkeys([*config.search.cost_files, *files]):
        table = op_costs.load(path)
        measuring = latency_commands.network_flags(table, path, names)
        if measuring:
            cli.next_command("latency_table", workdir, *measuring, comment=f"on {table.device}")
    cli.next_command("retrain", workdir, *words)


def _question():
    """The question of the flags; `None` to search the budgets of the config."""

    from dna_tf.phases import search_question

    flag = cli.FLAGS
    limits = cli.limits_of_flags()
    penalties = dict(search_question.parse_penalty(text) for text in flag.penalty)
    if len(penalties) < len(flag.penalty):
        raise ValueError(f"One cost has two penalties. Give each once. Received: {flag.penalty}")
    if flag.round and not flag.front:
        raise ValueError("--round needs a front: add for example --front=macs,params.")
    if flag.max_shared_ops and not flag.top:
        raise ValueError("--max_shared_ops needs several architectures: add for example --top=5.")
    if not (limits or penalties or flag.top or flag.front or flag.name):
        return None
    shared = flag.max_shared_ops
    shared = cli.whole_number("max_shared_ops", shared) if shared else None
    return search_question.Question(
        flag.name or search_question.name_of(limits, flag.penalty, shared),
        limits,
        penalties,
        cli.whole_number("top", flag.top) if flag.top else 1,
        shared,
        tuple(flag.front),
        _number("round", flag.round) if flag.round else 0.0,
    )


def _number(flag, text):
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--{flag} takes numbers, such as 0.5. Received: {text!r}") from None


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
