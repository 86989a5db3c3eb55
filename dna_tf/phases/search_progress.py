"""How ratings and searches change while the cells train: copies of the cells, rated and searched.

Each copy is rated, and searched under one limit. Two curves cost no training of students: how
far the copy orders networks as the final ratings do, and the final rating of its winner. The
third, the accuracy of the winners, is DNA's Figure 6. Untrained cells are the first point.
"""

import dataclasses
import math

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, formatting, progress, rank_correlation
from dna_tf.phases import network_scores, rating, retraining, runs, search_inputs, searching
from dna_tf.report import progress_page
from dna_tf.search import drawing, finding
from dna_tf.space import presets, spaces, tasks
from dna_tf.supernet import cell_rating, phase_settings, snapshots

NETWORKS = 1000  # that are drawn to compare orders


def measure(workdir, config, limits, with_retraining=False, strategy=None):
    """Rates and searches the copies of a run's cells, and writes the curves.

    Args:
        workdir: a `workdirs.Workdir` whose cells were trained with `supernet.snapshots`.
        config: its config.
        limits: the `cost_limits.Limits` of all searches.
        with_retraining: whether to train the winners too, each architecture once.
        strategy: for that training, a `tf.distribute.Strategy`; the current one by default.

    Returns:
        The content of `progress/progress.json`; the page is `progress.html` beside it.

    Raises:
        FileNotFoundError: the cells are not trained.
        ValueError: there are no copies of cells, or no network is within the limits.
    """
    space = presets.get_space(config.space)
    for name in (spaces.cell_name(b, c) for b, c, _ in space.cells()):
        workdir.cell_result(name)  # raises, with the tool that trains it
    copied = snapshots.epochs_in(workdir.supernet, space)
    if not copied:
        raise ValueError(
            f"The cells in {workdir.supernet} were trained without copies, or for fewer epochs "
            "than from one copy to the next. Train them in a new workdir with "
            "--config.supernet.snapshots=2, a copy after every second epoch as in DNA Figure 6."
        )
    teacher = workdir.teacher_result()
    task = tasks.Task.from_image_shape(teacher["image_shape"], teacher["num_classes"])
    drawing.check_possible(drawing.unrated_problem(space, task), limits)
    rating.rate(workdir, config)
    inputs = search_inputs.SearchInputs(workdir, config)
    with searching.naming_cost_files():
        finding.best_choices(inputs.problem, limits)  # refuses others before long work
    problems = _problems(workdir, config, inputs, copied)
    points, searched = winners(config, inputs, problems, limits)
    search_inputs.save_all(searched, workdir)
    if with_retraining:
        for arch in searched.values():
            retraining.retrain(workdir, config, arch, strategy=strategy)
    for point in points:
        point["accuracies"] = _accuracies(workdir, config, searched[point["winner"]])
    content = {
        "kind": workdirs.PROGRESS_KIND,
        "space": space.name,
        "metric": inputs.metric,
        "limits": dict(limits),
        "training": _training(workdir, space),
        "drawn": min(NETWORKS, inputs.problem.num_architectures()),
        "points": points,
    }
    files.write_json(workdir.progress / "progress.json", content)
    page = workdir.progress / "progress.html"
    files.write_text(page, progress_page.page_html(content))
    for line in lines(content):
        progress.say(line)
    progress.say(str(page))
    return content


def _problems(workdir, config, inputs, copied):
    """A search problem for each number of epochs: 0, those of the copies, and all."""
    rated = {0: network_scores.rate_untrained(workdir, config)}
    run = runs.open_run(workdir, config)
    teacher, images = run.teacher, run.images
    fingerprint = workdir.teacher_result()["fingerprint"]
    settings = phase_settings.of_section(phase_settings.RatingSettings, config.rating)
    for epochs in copied:
        progress.say(f"Cells after {epochs} of {config.supernet.epochs} epochs:")
        cells = snapshots.load(workdir.supernet, inputs.space, teacher.shapes, epochs, fingerprint)
        rated[epochs] = cell_rating.rate_cells(
            cells,
            teacher,
            images,
            settings=settings,
            seed=config.seed,
            folder=workdir.progress / f"epoch{epochs:03d}",
        )
    problems = {}
    for epochs, of_cells in rated.items():
        measured = {key: cell.metrics[inputs.metric][0] for key, cell in of_cells.items()}
        problems[epochs] = with_ratings(inputs.problem, measured)
    return {**problems, config.supernet.epochs: inputs.problem}


def with_ratings(problem, measured):
    """A search problem with the same costs and other ratings.

    Args:
        problem: a `problems.SearchProblem`.
        measured: a dict from `(block, cell)` to one rating per path.
    """
    ratings = {(b, c): problem.weights[b] * values for (b, c), values in measured.items()}
    return dataclasses.replace(problem, measured=measured, ratings=ratings)


def winners(config, inputs, problems, limits):
    """Searches each problem, and compares its ratings and its winner with the final ones.

    Args:
        config: the run's config.
        inputs: a `search_inputs.SearchInputs`, with the final ratings.
        problems: a dict from numbers of epochs to `problems.SearchProblem`.
        limits: the `cost_limits.Limits` of all searches.

    Returns:
        `(points, searched)`: a dict for each number of epochs, ascending, as `progress.json` has
        it without accuracies; and the distinct winners, a dict from name to
        `architectures.Architecture`.
    """
    final = inputs.problem
    count = min(NETWORKS, final.num_architectures())
    drawn = drawing.draw(final, count, config.seed)
    networks = tuple(np.array([getattr(c, at) for c in drawn]) for at in ("cells", "path_indices"))
    macs = np.array([choice.costs["macs"] for choice in drawn])
    final_ratings = np.array([choice.rating for choice in drawn])
    bootstrap = rank_correlation.Bootstrap(count, config.seed)
    points, names, searched = [], {}, {}
    for epochs, problem in sorted(problems.items()):
        (winner,) = finding.best_choices(problem, limits)
        key = winner.cells, winner.path_indices
        if key not in names:
            names[key] = f"progress_{limits.name() or 'best'}_epoch{epochs:03d}"
            origin = {"by": "progress", "epochs": epochs, "limits": dict(limits)}
            searched[names[key]] = inputs.architecture(winner, names[key], origin)
        rating_now, costs = final.evaluate(*key)
        near = np.abs(macs - costs["macs"]) <= config.search.control_tolerance * costs["macs"]
        tau = bootstrap.interval(*bootstrap.tau(problem.evaluate_many(*networks)[0], final_ratings))
        points.append(
            {
                "epochs": epochs,
                "tau": [None if math.isnan(v) else v for v in (tau.value, tau.low, tau.high)],
                "cells_tau": _cells_tau(problem, final),
                "winner": names[key],
                "blocks": final.describe(winner),
                "macs": costs["macs"],
                "params": costs["params"],
                "rating": float(rating_now),
                "random": float(final_ratings[near].mean()) if near.any() else None,
                "randoms": int(near.sum()),
            }
        )
    return points, searched


def _cells_tau(problem, final):
    """The mean over cells of tau between their ratings and the final ones; `None` without any."""
    taus = [rank_correlation.kendall_tau(problem.measured[key], final.measured[key])
            for key in final.measured]  # fmt: skip
    taus = [tau for tau in taus if not math.isnan(tau)]
    return float(np.mean(taus)) if taus else None


def _accuracies(workdir, config, arch):
    """The test accuracies of a winner's trainings, as far as all seeds are there."""
    results = [retraining.finished(workdir, arch, n) for n in range(config.retrain.seeds)]
    return [] if None in results else [result["test_accuracy"] for result in results]


def _training(workdir, space):
    """The mean over cells of relative L1 on held-out images, after each epoch."""
    names = [spaces.cell_name(b, c) for b, c, _ in space.cells()]
    curves = [workdir.cell_result(name).get("relative_l1", []) for name in names]
    return [float(np.mean(values)) for values in zip(*curves, strict=False)]


def lines(content):
    """The lines that print the curves: every tau with its interval, controls beside winners."""
    rows = [
        ["epochs", "tau with the final ratings", "mean tau of cells", "winner's final rating",
         "random ones", "MACs", "params", "accuracy"]
    ]  # fmt: skip
    for point in content["points"]:
        ends = (math.nan if end is None else end for end in point["tau"])
        accuracies, cells_tau, random = point["accuracies"], point["cells_tau"], point["random"]
        rows.append(
            [
                str(point["epochs"]),
                rank_correlation.Interval(*ends).text(),
                "-" if cells_tau is None else f"{cells_tau:+.2f}",
                f"{point['rating']:.4f}",
                "-" if random is None else f"{random:.4f}",
                formatting.format_count(point["macs"]),
                formatting.format_count(point["params"]),
                f"{100 * np.mean(accuracies):.2f} %" if accuracies else "not trained",
            ]
        )
    count = len({point["winner"] for point in content["points"]})
    return [
        f"Copies of the cells, rated and searched. Tau-b over {content['drawn']:,} networks drawn "
        "uniformly, 95 % bootstrap intervals. Random ones: mean final rating of drawn networks of "
        "the winner's MACs. The last row compares the final ratings with themselves.",
        *(f"  {line}" for line in formatting.aligned(rows, right=(0,))),
        f"{count} different winners at {len(content['points'])} points.",
    ]
