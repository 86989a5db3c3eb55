"""Holds ratings against trained networks: random ones are drawn, trained, rated and compared.

    python -m tools.rank --config=configs/digits.py --workdir=runs/digits
    python -m tools.rank --workdir=runs/digits --step=report
    python -m tools.rank --workdir=runs/digits --band=0.03 --macs=1.4M

DNA's Figure 4. Without --step all steps run in order, and the same command resumes:

  draw      16 networks, each as likely as any other, before anything is rated
  retrain   each is trained alone (on several machines: tools.retrain --arch=rank_01 and so on)
  rate      teacher, cells and ratings as far as they are missing; the sum for each network. With
            --step=rate alone teacher and cells must be trained
  report    Kendall's tau-b, Spearman's and Pearson's correlation of ratings with accuracies, with
            bootstrap intervals, and with MACs or parameters taken out

One step more is run alone, --step=weights: the weight of each block for tools.search, fitted on
the trained networks (DONNA). It needs four networks for each block, and four more.

With --band and --macs a second set is drawn whose MACs differ by at most that share: there cost
cannot order the networks. Controls stand beside the rating: MACs, parameters, the number of layers
with the largest expansion, and ratings of untrained cells.

Reads:  data; with --step=rate WORKDIR/teacher/ and WORKDIR/supernet/.
Writes: WORKDIR/architectures/rank_01.json ..., WORKDIR/students/rank_01/ ..., WORKDIR/ratings/,
        WORKDIR/ranking/rank.json and rank.html; with --step=weights rank_weights.json.
"""

from absl import flags

from dna_tf import cli

STEPS = ("draw", "retrain", "rate", "report")
WEIGHTS = "weights"

cli.define_run_flags()
cli.define_strategy_flags()
flags.DEFINE_enum(
    "step", "", ["", *STEPS, WEIGHTS], "One step alone. Default: all but the weights."
)
flags.DEFINE_integer("networks", 16, "How many networks, 3 to 99 (DNA Figure 4: 16).")
flags.DEFINE_string("band", "", "Draws MACs that differ by at most this share, such as 0.03.")
flags.DEFINE_string("macs", "", "Middle of the band, such as 350M.")
flags.DEFINE_multi_string("fix", [], "Keeps a block at one op: 6:k3e6, as DNA's authors do.")
flags.DEFINE_integer("draw_seed", None, "Seed of the draw. Default: that of the config.", 0)
flags.DEFINE_string("name", "", "Name of the set. Default: rank, or rank_350M in a band.")
flags.DEFINE_bool("untrained", True, "Rate untrained cells too, as a control.")


def main():
    """Runs one step or all."""
    flag = cli.FLAGS
    band = _band()
    from dna_tf.phases import drawn_networks
    from dna_tf.search import drawing

    # Before a run is opened, so that a wrong flag leaves no folder behind.
    fixed = drawing.parse_fixed(flag.fix)
    question = drawn_networks.Draw(flag.networks, band, fixed, flag.draw_seed, flag.name)
    workdir, config = cli.open_run(may_create=flag.step in ("", "draw", "retrain"))
    strategy = cli.make_strategy()
    from dna_tf.common import progress
    from dna_tf.phases import (
        network_scores,
        ranking,
        supernet_training,
        teacher_training,
        weight_fitting,
    )

    steps = [flag.step] if flag.step else list(STEPS)
    for number, step in enumerate(steps, 1):
        if not flag.step:
            progress.say(f"\n[{number}/{len(steps)}] {step}")
        if step == "draw":
            drawn_networks.draw(workdir, config, question)
        elif step == "retrain":
            ranking.retrain(workdir, config, question, strategy)
        elif step == WEIGHTS:
            content = weight_fitting.fit(workdir, config, question)
            words = ",".join(f"{weight:.3f}" for weight in content["weights"])
            return cli.next_command("search", workdir, f"--weights={words}")
        elif step == "rate":
            if not flag.step:
                teacher_training.train_teacher(workdir, config, strategy)
                supernet_training.train_supernet(workdir, config, strategy)
            network_scores.rate(workdir, config, question, flag.untrained)
        else:
            ranking.compare(workdir, config, question)
    if steps[-1] != "report":
        following = STEPS[STEPS.index(flag.step) + 1]
        cli.next_command("rank", workdir, *_words(), f"--step={following}")
    elif band is None:
        middle = drawn_networks.median_macs(workdir, question)
        words = [word for word in _words() if not word.startswith("--name")]
        cli.next_command("rank", workdir, *words, "--band=0.03", f"--macs={middle}")
    else:
        cli.next_command("report", workdir)


def _band():
    """The `drawing.Band` of the flags, or `None`."""
    from dna_tf.common import formatting
    from dna_tf.search import drawing

    flag = cli.FLAGS
    if bool(flag.band) != bool(flag.macs):
        raise ValueError(
            "A band of equal MACs needs both flags, such as --band=0.03 --macs=350M. Received: "
            f"--band={flag.band!r}, --macs={flag.macs!r}"
        )
    if not flag.band:
        return None
    try:
        width = float(flag.band)
    except ValueError:
        raise ValueError(f"--band takes a share, such as 0.03. Received: {flag.band!r}") from None
    return drawing.Band(formatting.parse_count(flag.macs), width)


def _words():
    """The flags of the set, for the next command."""
    flag = cli.FLAGS
    words = [f"--networks={flag.networks}"] if flag["networks"].present else []
    words += [f"--fix={text}" for text in flag.fix]
    for name in ("band", "macs", "name", "draw_seed"):
        words += [f"--{name}={flag[name].value}"] if flag[name].present else []
    return words


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
