"""Finds the best architecture under a budget, exactly, over all combinations of paths.

    python -m tools.search --workdir=runs/digits
    python -m tools.search --workdir=runs/digits --max_macs=600k --max_params=80k

Without limits the budgets of the config are searched, and a control is drawn at random
at the cost of the chosen one. With limits, one more architecture is found.

Reads:  WORKDIR/ratings/ (no TensorFlow needed).
Writes: WORKDIR/architectures/NAME.json, which every later tool takes, and front.json.
"""

from absl import flags

from dna_tf import cli, cost

cli.define_run_flags()
for _name in cost.COSTS:
    flags.DEFINE_string(f"max_{_name}", "", f"Largest {_name}, such as 350M, 5.2k or 1000.")


def main():
    """Searches."""
    workdir, config = cli.open_run(may_create=False)
    from dna_tf import budget_search

    asked = [f"max_{n}={cli.FLAGS[f'max_{n}'].value}" for n in cost.COSTS]
    budget = ",".join(text for text in asked if not text.endswith("="))
    if budget:
        names = budget_search.search_budgets(workdir, config, [budget], with_control=False)
        cli.next_command("retrain", workdir, f"--arch={names[0]}")
    else:
        budget_search.search_budgets(workdir, config)
        cli.next_command("retrain", workdir)


def run():
    """The console command."""
    cli.run(main)


if __name__ == "__main__":
    run()
