"""Searches the networks of a whole supernet: by accuracy (SPOS, FairNAS) or by angle (RLNAS).

    python -m tools.search_whole --workdir=runs/whole --max_macs=2M
    python -m tools.search_whole --workdir=runs/whole --max_macs=2M --budget=200 --search=random
    python -m tools.search_whole --workdir=runs/random --max_macs=2M --by=angle --top=5

By accuracy, networks are rated with the shared weights: batch norm is calibrated on training images
(config.rating), then the rating images are classified, which are neither trained nor tested on.
Evolution with SPOS's settings draws the next ones. The order is by accuracy, then by cross-entropy.
The result is printed beside the network with the most MACs within the limits, and beside one drawn
at random with the same MACs, which is written too: retrain both.

By angle, nothing is rated: the angles of all networks follow from the weights before and after the
training, and the search is exact. Its controls are printed: docs/methods/rlnas.md.

Without limits the budgets of the config are searched.

Reads:  WORKDIR/whole/, and the config's data for the accuracy.
Writes: WORKDIR/whole/scores.json or WORKDIR/whole/angles/PARTS.json, and
        WORKDIR/architectures/NAME.json for tools.retrain.

A killed search resumes from its scores and ends with the same result, to the bit.
"""

from absl import flags

from dna_tf import cli
from dna_tf.space import angle_sums, cost_limits

cli.define_run_flags()
cli.define_limit_flags()
flags.DEFINE_enum("by", "accuracy", ["accuracy", "angle"], "What networks are ranked by.")
flags.DEFINE_string("budget", "1000", "Number of networks to rate for each limit.")
flags.DEFINE_enum(
    "search",
    "evolution",
    ["evolution", "random", "regularised", "reinforce", "q_learning"],
    "How networks are drawn that are rated.",
)
flags.DEFINE_enum("parts", angle_sums.PARTS[0], list(angle_sums.PARTS), "Weights of the angle.")
flags.DEFINE_string("top", "1", "Number of architectures to find; with --by=angle.")
flags.DEFINE_string("name", "", "Name of the result. Default: made from the limits.")


def main():
    """Searches, and prints the next command."""
    flag = cli.FLAGS
    limits, top = cli.limits_of_flags(), cli.whole_number("top", flag.top)
    budget = cli.whole_number("budget", flag.budget)
    if flag.by == "accuracy" and flag["top"].present:
        raise ValueError("--top finds several architectures by angle: add --by=angle.")
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.phases import search_inputs, whole

    every = [limits] if limits or flag.name else [*map(cost_limits.Limits, config.search.budgets)]
    searched = {}
    if flag.by == "angle":
        networks, rows = whole.angle_networks(workdir, config, flag.parts), []
        for each in every:
            architectures, best = networks.largest(each, top, flag.name)
            searched |= architectures
            rows += best
        search_inputs.save_all(searched, workdir)
        networks.finish(networks.compare(), rows)
    else:
        for each in every:
            question = whole.WholeQuestion(each, budget, flag.search, flag.name)
            architectures = whole.search(workdir, config, question)
            search_inputs.save_all(architectures, workdir)
            searched |= architectures
    for each in searched:
        print(f"  {workdir.architecture(each)}", flush=True)
    # By accuracy the second one is the control of the first.
    cli.next_command("retrain", workdir, f"--arch={','.join(list(searched)[:2])}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
