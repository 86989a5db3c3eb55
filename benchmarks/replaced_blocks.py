"""What a teacher loses when one, two or all of its blocks are replaced, on images held out.

    python -m benchmarks.replaced_blocks --workdir=W --output=FILE.json

W is a run of `tools.compress` whose cells are trained and rated. In each block stands the path with
the best rating of its cells, once by replacing (the divergence of the answers) and once by the
local rating (relative L1 of the map). Each network is realised, nothing is trained, and the test
images show how often it gives the teacher's answer. No budget is kept: MACs stand beside.

Writes: OUTPUT after each network; the same command goes on after a kill.
"""

import itertools

from absl import flags

from dna_tf import cli

cli.define_run_flags()
flags.DEFINE_string("output", "", "A JSON file.")
flags.DEFINE_integer("images", 200, "How many test images, at most.")
flags.DEFINE_bool("cheap", False, "Only paths with fewer MACs than the block that they replace.")

_KIND = "dna_tf.replaced_blocks"


def main():
    """Realises what is missing, and prints the table."""
    from dna_tf.common import files, progress
    from dna_tf.inheritance import answers, realising
    from dna_tf.models import logits
    from dna_tf.phases import compressing, runs
    from dna_tf.supernet import cell_files, cell_rating

    if not cli.FLAGS.output:
        raise ValueError("Give a file for the results: --output=FILE.json.")
    workdir, config = cli.open_run(may_create=False)
    path, results = files.as_path(cli.FLAGS.output), {}
    if path.exists():
        results = files.read_json(path, _KIND, "Delete it.")["networks"]
    run = runs.open_run(workdir, config)
    candidates = _candidates(workdir, config, run)
    space = candidates["space"]
    cells = cell_files.load(workdir.supernet, space, run.teacher.shapes)
    settings = compressing.rating_settings(config)
    calibration = cell_rating.calibration_images(run.images, settings, config.seed)
    whole = logits.with_logits(run.teacher.model)
    todo = list(_networks(candidates))
    with run.images.reading(), progress.bar("networks", len(todo), "network") as bar:
        for name, assembly in todo:
            if name not in results:
                model = realising.realise(assembly, run.teacher, cells, calibration)
                split = {"split": "test", "batch_size": 50, "most": cli.FLAGS.images}
                compared = answers.compare(model, whole, run.images, **split)
                results[name] = {
                    "assembly": assembly.describe(),
                    "macs": assembly.costs()["macs"],
                    "kl": compared.kl,
                    "agreed": compared.agreed,
                    "correct": compared.correct,
                    "images": compared.images,
                }
                files.write_json(path, {"kind": _KIND, "networks": results})
            bar.update(1)
    _print(results)


def _candidates(workdir, config, run):
    """The best path of each block by both ratings, as `(cell, index)`."""
    import numpy as np

    from dna_tf.phases import compressing, rating
    from dna_tf.search import assembly_problem
    from dna_tf.space import presets
    from dna_tf.teachers import parts

    space, facts = presets.get_space(config.space), parts.facts(run.teacher)
    local = {k: cell.metrics["relative_l1"][0] for k, cell in rating.rate(workdir, config).items()}
    kl = {key: cell.kl for key, cell in compressing.replace(workdir, config).items()}
    problem = assembly_problem.build_problem(space, facts, kl)
    best = {}
    for name, ratings in (("by replacing", kl), ("local", local)):
        best[name] = []
        for b, block in enumerate(space.blocks):
            pairs = []
            for c in range(len(block.cells)):
                values = np.array(ratings[b, c], np.float64)
                if cli.FLAGS.cheap:
                    row = problem.names.index("macs")
                    costs = problem.costs[b, c, facts.shapes[b][-1]][row]
                    values = np.where(costs < facts.blocks[b]["macs"], values, np.inf)
                index = int(np.argmin(values))
                pairs.append((values[index], c, index))
            value, cell, index = min(pairs)
            best[name].append((cell, index) if np.isfinite(value) else None)
    return {"space": space, "problem": problem, "best": best}


def _networks(candidates):
    """Yields the name and the assembly of each network."""
    from dna_tf.search import problems

    space, problem = candidates["space"], candidates["problem"]
    count = len(space.blocks)
    subsets = [(b,) for b in range(count)]
    subsets += list(itertools.combinations(range(count), 2)) + [tuple(range(count))]
    for measure, best in candidates["best"].items():
        for subset in subsets:
            if any(best[b] is None for b in subset):
                continue
            chosen = [
                best[b] if b in subset else (len(block.cells), 0)
                for b, block in enumerate(space.blocks)
            ]
            cells, paths = zip(*chosen, strict=True)
            name = f"{measure}: blocks {'+'.join(str(b + 1) for b in subset)}"
            choice = problems.Choice(tuple(cells), tuple(paths), 0.0, {})
            yield name, problem.architecture(choice, "replaced", {"blocks": list(subset)})


def _print(results):
    from dna_tf.common import formatting, statistics

    texts = [["", "networks", "MACs, mean", "agrees", "lowest", "highest", "KL, nats"]]
    for measure in ("by replacing", "local"):
        for count, what in ((1, "one block"), (2, "two blocks"), (3, "all blocks")):
            rows = [
                row
                for name, row in results.items()
                if name.startswith(measure) and min(name.count("+") + 1, 3) == count
            ]
            if rows:
                shares = [row["agreed"] / row["images"] for row in rows]
                texts.append(
                    [
                        f"{measure}, {what}",
                        str(len(rows)),
                        formatting.format_count(sum(row["macs"] for row in rows) / len(rows)),
                        f"{sum(shares) / len(shares):.1%}",
                        f"{min(shares):.1%}",
                        f"{max(shares):.1%}",
                        f"{sum(row['kl'] for row in rows) / len(rows):.3f}",
                    ]
                )
    for line in formatting.aligned(texts, right=range(1, len(texts[0]))):
        print(line)
    for name, row in results.items():
        interval = statistics.wilson(row["agreed"], row["images"])
        low, high = (f"{100 * value:.1f}" for value in interval)
        macs = formatting.format_count(row["macs"])
        share = f"{row['agreed'] / row['images']:.1%} ({low}-{high})"
        print(f"  {name}: {row['assembly']}: {macs} MACs, agrees on {share}, KL {row['kl']:.3f}")


if __name__ == "__main__":
    cli.run(main)
