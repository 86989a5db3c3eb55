"""Whole networks as a supernet: trained on labels, then searched by accuracy or by angle."""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from dna_tf import workdirs
from dna_tf.common import (
    checks,
    files,
    formatting,
    locks,
    progress,
    rank_correlation,
    statistics,
)
from dna_tf.phases import angles, runs
from dna_tf.search import aging, control, evolution, exact, q_learning, reinforce, trial_search
from dna_tf.space import presets
from dna_tf.supernet import (
    cell_angles,
    cell_rating,
    phase_settings,
    whole_angles,
    whole_files,
    whole_rater,
    whole_scores,
    whole_training,
)
from dna_tf.supernet.phase_settings import RatingSettings, WholeSettings
from dna_tf.training import strategies

# How networks are searched by accuracy; the first is the default.
SEARCHES = {
    "evolution": evolution.spos,
    "random": trial_search.random_search,
    "regularised": aging.age,
    "reinforce": reinforce.reinforce,
    "q_learning": q_learning.q_learning,
}
BUDGET = 1000  # SPOS: 50 networks in each of 20 generations
_LEAST_NETWORKS = 10  # for a rank correlation
_MOST_NETWORKS = 1_000_000  # that are rated one by one


def train(workdir, config=None, strategy=None):
    """Trains the whole networks of the config's space on labels, as its section `whole` says.

    Args:
        workdir: a run, as `runs.open_run` takes it; it needs no teacher.
        config: its config.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Returns:
        The content of `WORKDIR/whole/result.json`.

    Raises:
        ValueError: config, data and space do not fit together, or the loss is not finite.
    """
    run = runs.open_run(workdir, config)
    workdir, config = run.workdir, run.config
    if (workdir.whole / "result.json").exists():
        progress.say(f"The whole network is there already: {workdir.whole}")
        return whole_files.read_result(workdir.whole)
    section, space = config.whole, presets.get_space(config.space)
    strategy = strategy or tf.distribute.get_strategy()
    with whole_training.writing(workdir.whole, strategies.is_chief(strategy)):
        whole_training.train_whole(
            space,
            run.images,
            settings=phase_settings.of_section(WholeSettings, section),
            seed=config.seed,
            folder=workdir.whole,
            strategy=strategy,
            curves_folder=workdir.tensorboard / "whole" if section.tensorboard else None,
        )
    return whole_files.read_result(workdir.whole)


def load(workdir, config):
    """Reads the trained whole network of a run, a `whole_files.TrainedWhole`.

    Raises:
        FileNotFoundError: it was not trained.
        ValueError: its files cannot be used.
    """
    hint = f"Train it first: {workdirs.command('whole', workdir)}"
    return whole_files.load(workdir.whole, presets.get_space(config.space), hint)


def middle_limit(workdir, config):
    """A limit in the middle of the MACs that a run's networks have, such as `"max_macs=2M"`."""
    trained = load(workdir, config)
    problem = angles.unrated_problem(trained.space, trained.task, config)
    middle = (problem.lowest("macs") + problem.highest("macs")) / 2
    return f"max_macs={formatting.format_count(round(middle))}"


@dataclasses.dataclass(frozen=True)
class WholeQuestion:
    """What to search for.

    Args:
        limits: a `cost_limits.Limits`.
        budget: how many networks are rated, at most.
        search: one of `SEARCHES`.
        name: of the architecture; `""` makes it from the limits.
    """

    limits: object
    budget: int = BUDGET
    search: str = next(iter(SEARCHES))
    name: str = ""

    def __post_init__(self):
        checks.check_whole("budget", self.budget, 1)
        checks.choose(self.search, SEARCHES, "search")


def search(workdir, config, question):
    """Searches the network with the best accuracy on the rating images.

    Scores are kept in `WORKDIR/whole/scores.json`: a killed search goes on, and ends with the
    same result. Beside the result stand two controls with the same supernet: the network with
    the most MACs within the limits, and one drawn at random with the MACs of the result.

    Args:
        workdir: a `workdirs.Workdir` with a trained whole network.
        config: its config. Calibration and rating are those of its section `rating`.
        question: a `WholeQuestion`.

    Returns:
        A dict from name to `architectures.Architecture`: the result, and the random control.

    Raises:
        FileNotFoundError: nothing was trained.
        ValueError: the network learned random labels, or nothing meets the limits.
    """
    # 1. What can be checked before any work.
    trained = load(workdir, config)
    _check_labels(workdir, trained)
    problem = angles.unrated_problem(trained.space, trained.task, config)
    largest = _largest(problem, question.limits)

    # 2. The search; each network is rated once.
    with locks.hold(workdir.whole / "scores.json", f"The scores in {workdir.whole}"):
        scores = _scores(workdir, config, trained)
        outcome = _search(problem, question, scores, config.seed)
        if outcome.best is None:
            raise ValueError(
                f"The search {question.search!r} drew no network within the limits "
                f"{dict(question.limits)}. Give it a larger budget, or wider limits."
            )
        # 3. The controls, which do not count.
        name = question.name or "_".join(filter(None, ("whole", question.limits.name())))
        rows = {name: outcome.best, "control: the most MACs": largest}
        drawn = _random_control(problem, outcome.best, config)
        if drawn is not None:
            rows[f"{name}_control"] = drawn
        rated = {each: scores.score(choice.path_indices) for each, choice in rows.items()}
        scores.save()
    origin = {
        "by": "whole",
        "search": question.search,
        "limits": dict(question.limits),
        "evaluations": outcome.evaluations,
        "correct": rated[name].correct,
        "images": rated[name].images,
        "cross_entropy": rated[name].cross_entropy,
        "space": trained.space.name,
        "seed": config.seed,
        "whole": trained.fingerprint,
    }
    searched = {name: problem.architecture(outcome.best, name, origin)}
    if drawn is not None:
        about = {"by": "control", "control_of": name, "seed": config.seed}
        control_name = f"{name}_control"
        searched[control_name] = problem.architecture(drawn, control_name, about)
    _print(problem, outcome, rows, rated, scores, config.seed)
    return searched


def rate_all(workdir, config):
    """Rates all networks of a small space; a killed rating goes on.

    Args:
        workdir: a `workdirs.Workdir` with a network trained on true labels.
        config: its config.

    Returns:
        A dict from the path indices of a network, one for each block, to its
        `whole_rater.Score`.

    Raises:
        FileNotFoundError: nothing was trained.
        ValueError: it learned random labels, or the space has more than a million networks.
    """
    trained = load(workdir, config)
    _check_labels(workdir, trained)
    space = trained.space
    count = space.num_architectures()
    if count > _MOST_NETWORKS:
        raise ValueError(
            f"The space {space.name!r} has {formatting.large_count(count)} networks; at most "
            f"{_MOST_NETWORKS:,} can be rated one by one. Search it instead."
        )
    # In this order networks share the maps of their first layers.
    every = itertools.product(*(range(space.num_paths(b, 0)) for b in range(len(space.blocks))))
    with locks.hold(workdir.whole / "scores.json", f"The scores in {workdir.whole}"):
        scores, rated = _scores(workdir, config, trained), {}
        try:
            with progress.bar("whole rating", count, "network") as bar:
                for path_indices in every:
                    rated[path_indices] = scores.score(path_indices)
                    bar.update(1)
        finally:
            scores.save()
    return rated


def _check_labels(workdir, trained):
    if trained.result["labels"] == "random":
        raise ValueError(
            f"The whole network in {workdir.whole} learned random labels: its accuracy on the true "
            "ones says nothing. Rank its networks by the angle instead (--by=angle), or train "
            "another one with config.whole.labels=true in a new workdir."
        )


def angle_networks(workdir, config, parts, count=angles.NETWORKS):
    """The angles of a run's whole networks, ready to be compared and searched.

    Args:
        workdir: a `workdirs.Workdir` with a trained whole network.
        config: its config.
        parts: which weights count.
        count: how many networks are drawn to compare orders.

    Returns:
        An `angles.Networks`.

    Raises:
        FileNotFoundError: nothing was trained.
        ValueError: its weights cannot be used.
    """
    trained = load(workdir, config)
    try:
        computed = whole_angles.whole_angles(trained, parts)
    except cell_angles.NotTrained as error:
        hint = f"Delete {workdir.whole} and train: {workdirs.command('whole', workdir)}"
        raise ValueError(f"{error} {hint}") from error
    return angles.Networks(workdir, config, parts, computed, count, trained.task)


def _scores(workdir, config, trained):
    """The `whole_scores.WholeScores` of a run, whose rater is made when it is needed."""
    run = runs.open_run(workdir, config)
    settings = phase_settings.of_section(RatingSettings, config.rating)
    images, seed = run.images, config.seed
    of = f"the whole network in {workdir.whole}"
    runs.check_same_data(images, trained.result["data_fingerprint"], of)
    made_from = files.fingerprint(
        [
            trained.fingerprint,
            images.fingerprint,
            seed,
            phase_settings.rating_identity(settings),
        ]
    )
    raters = []

    def rate(path):
        if not raters:
            raters.append(_rater(trained, images, settings, seed))
        return raters[0].rate(path)

    path, seconds = workdir.whole / "scores.json", settings.checkpoint_seconds
    return whole_scores.WholeScores(trained.space, rate, made_from, path, seconds)


def _rater(trained, images, settings, seed):
    with images.reading():
        positions = cell_rating.rating_positions(images, settings, seed)
        pixels, labels = images.some("rating", positions), images.labels("rating")[positions]
        size = settings.batch_size
        starts = range(0, len(pixels), size)
        batches = [(pixels[start : start + size], labels[start : start + size]) for start in starts]
        calibration = cell_rating.calibration_images(images, settings, seed)
    return whole_rater.WholeRater(trained.build(), calibration, batches)


def _search(problem, question, scores, seed):
    total = min(question.budget, problem.num_architectures())
    with progress.bar("whole search", total, "network") as bar:

        def objective(cells, path_indices):
            value = scores.objective(cells, path_indices)
            bar.update(1)
            return value

        try:
            return SEARCHES[question.search](
                problem, question.limits, question.budget, seed, objective
            )
        finally:
            scores.save()  # also if the search is interrupted


def _largest(problem, limits):
    """The network with the most MACs within limits; an error if there is none."""
    row = problem.names.index("macs")
    by_macs = {(b, c): -costs[row] for (b, c, _), costs in problem.costs.items()}
    return exact.best(dataclasses.replace(problem, ratings=by_macs), limits)[0]


def _random_control(problem, best, config):
    """A network drawn at random with the MACs of another one, or `None` if none is near."""
    try:
        cells, paths = control.random_within(
            problem,
            best.costs["macs"],
            config.search.control_tolerance,
            config.seed,
            forbidden=[(best.cells, best.path_indices)],
        )
    except control.NoControl as error:
        progress.say(f"Without a random control. {error}")
        return None
    return problem.choices(np.array([cells]), np.array([paths]))[0]


def _print(problem, outcome, rows, rated, scores, seed):
    all_networks = formatting.large_count(problem.num_architectures())
    progress.say(
        f"Rated {outcome.evaluations:,} of {all_networks} networks with the weights of the "
        f"supernet ({scores.rated:,} in this call):"
    )
    for name, choice in rows.items():
        score, costs = rated[name], choice.costs
        texts = [f"{formatting.format_count(costs[each])} {each}" for each in ("macs", "params")]
        accuracy = statistics.describe_accuracy(score.correct, score.images)
        progress.say(
            f"  {name}: accuracy {accuracy} on rating images, cross-entropy "
            f"{score.cross_entropy:.4f}, {', '.join(texts)}"
        )
        progress.say(f"    {problem.describe(choice)}")
    networks = scores.networks()
    if len(networks) < _LEAST_NETWORKS:
        return
    paths = np.array([path for path, _ in networks])
    values = np.array([-score.value for _, score in networks])
    _, costs = problem.evaluate_many(np.zeros_like(paths), paths)
    bootstrap, texts = rank_correlation.Bootstrap(len(paths), seed), []
    for name in ("macs", "params"):
        tau = bootstrap.tau(values, costs[problem.names.index(name)])
        texts.append(f"{bootstrap.interval(*tau).text(3)} with {name}")
    progress.say(
        f"Kendall's tau-b of this order over the {len(paths):,} networks rated so far, 95 % "
        f"intervals: {'; '.join(texts)}. They were searched, not drawn at random. Accuracy with "
        "shared weights is not that of a student: retrain the result beside its control."
    )
