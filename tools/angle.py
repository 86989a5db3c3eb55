"""Finds the networks whose weights training turned most (RLNAS's angle), without any training.

    python -m tools.angle --workdir=runs/digits
    python -m tools.angle --workdir=runs/digits --max_macs=1.4M --top=5
    python -m tools.angle --workdir=runs/digits --parts=kernels

The angle lies between the first and the trained weights of a network. RLNAS ranks networks by it,
a larger one is better. The first weights of trained cells follow from the seed, so the angle of
every network of a run costs seconds. The search is exact under limits on params, macs and the
costs of the config's files: certified, or the gap to the best possible is printed.

Beside each angle stand its controls: what the shapes alone would give, weights moved as far at
random, first weights of another seed, MACs and params. Kendall's tau-b with 95 % intervals says
how far they order networks alike. Without limits the budgets of the config are searched.

Cells of a block-wise supernet are not RLNAS's own network, which is trained as a whole on random
labels. docs/methods/rlnas.md says what that means.

Reads:  WORKDIR/supernet/, and WORKDIR/ratings/ if it is there; --parts=all also data and teacher.
Writes: WORKDIR/angles/PARTS/, and WORKDIR/architectures/angle_LIMITS.json for tools.retrain.
"""

from absl import flags

from dna_tf import cli
from dna_tf.space import angle_sums, cost_limits

cli.define_run_flags()
cli.define_limit_flags()
flags.DEFINE_enum(
    "parts",
    angle_sums.PARTS[0],
    list(angle_sums.PARTS),
    "Which weights count: rlnas (kernels and batch norms, without squeeze-and-excitation and the "
    "projection's batch norm), kernels, or all.",
)
flags.DEFINE_string("top", "1", "Number of architectures to find for each limit.")
flags.DEFINE_integer("networks", 1000, "Networks that are drawn to compare orders.", 3, 5000)
flags.DEFINE_string("name", "", "Name of the result. Default: made from the limits.")


def main():
    """Computes the angles, prints the controls, and searches."""
    top, limits = cli.whole_number("top", cli.FLAGS.top), cli.limits_of_flags()
    workdir, config = cli.open_run(may_create=False)
    from dna_tf.phases import angles, search_inputs

    parts, name = cli.FLAGS.parts, cli.FLAGS.name
    every = [limits] if limits or name else [*map(cost_limits.Limits, config.search.budgets)]
    computed = angles.compute(workdir, config, parts)
    networks = angles.Networks(workdir, config, parts, computed, cli.FLAGS.networks)
    searched, rows = {}, []
    for each in every or [limits]:
        architectures, best = networks.largest(each, top, name)
        searched |= architectures
        rows += best
    search_inputs.save_all(searched, workdir)
    networks.finish(networks.compare(), rows)
    for each in searched:
        print(f"  {workdir.architecture(each)}", flush=True)
    cli.next_command("retrain", workdir, f"--arch={next(iter(searched))}")


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
