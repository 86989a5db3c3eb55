"""Ratings held against trained networks: random ones are drawn, trained, rated and compared.

The networks are drawn before anything is rated, so that neither ratings nor costs choose them. A
second set within a band of equal MACs is the harder test: there cost cannot order them. DNA
Figure 4 has such a set of 16 networks, and no number.
"""

import dataclasses
import math

import numpy as np

from dna_tf import workdirs
from dna_tf.common import checks, files, formatting, progress
from dna_tf.phases import rating, retraining, runs, search_inputs
from dna_tf.report import ranking_page
from dna_tf.search import drawing
from dna_tf.space import presets, tasks, zoo
from dna_tf.supernet import cell_rating, phase_settings, snapshots, stage_training
from dna_tf.truth import ranking

MOST = 99  # networks of a set: their names have two digits
_ENDS = ("tau", "spearman", "pearson")


@dataclasses.dataclass(frozen=True)
class Draw:
    """Which networks are compared.

    Args:
        networks: how many, from 3 to 99; the first ones are the same for every number.
        band: a `drawing.Band` of MACs; `None` draws from the whole space.
        fixed: as of `drawing.unrated_problem`.
        seed: of the draw; `None` takes the config's.
        name: of the set; `""` is `rank`, or `rank_350M` in a band.

    Raises:
        ValueError: the number is out of range, or the name cannot name files.
    """

    networks: int = 16
    band: drawing.Band | None = None
    fixed: dict = dataclasses.field(default_factory=dict)
    seed: int | None = None
    name: str = ""

    def __post_init__(self):
        checks.check_whole("The number of networks", self.networks, 1, MOST)
        if self.networks < ranking.LEAST:
            raise ValueError(
                f"At least {ranking.LEAST} networks can be ranked: the order of fewer has no "
                f"interval. Received: {self.networks}. DNA Figure 4 has 16."
            )
        checks.check_file_name("a set of networks", self.set_name)

    @property
    def set_name(self):
        """The name of the set, with which those of its networks begin."""
        if self.name or self.band is None:
            return self.name or "rank"
        return f"rank_{formatting.format_count(self.band.macs)}"

    @property
    def names(self):
        """The names of the networks: `rank_01`, `rank_02`, ..."""
        return [f"{self.set_name}_{number:02d}" for number in range(1, self.networks + 1)]

    def text(self):
        """How the networks are drawn, in words."""
        where = "from the whole space" if self.band is None else f"from {self.band.text()}"
        fixed = "".join(f", block {number} fixed to {op}" for number, op in self.fixed.items())
        return f"{self.networks} networks drawn uniformly {where}{fixed}"


def draw(workdir, config, question):
    """Draws the networks and writes their architecture files; equal ones stay.

    Args:
        workdir: a `workdirs.Workdir`; nothing needs to be trained yet.
        config: its config.
        question: a `Draw`.

    Returns:
        A list of `architectures.Architecture`.

    Raises:
        ValueError: too few networks can be drawn, or files of these names have other networks.
    """
    space = presets.get_space(config.space)
    problem = drawing.unrated_problem(space, _task(workdir, config), question.fixed)
    seed = config.seed if question.seed is None else question.seed
    choices = drawing.draw(problem, question.networks, seed, question.band)
    origin = {"by": "draw", "space": space.name, "seed": seed}
    if question.band:
        origin["band"] = {"macs": question.band.macs, "width": question.band.width}
    if question.fixed:
        origin["fixed"] = {str(number): op for number, op in sorted(question.fixed.items())}
    drawn = {
        name: problem.architecture(choice, name, origin)
        for name, choice in zip(question.names, choices, strict=True)
    }
    search_inputs.save_all(drawn, workdir)
    macs = [arch.costs()["macs"] for arch in drawn.values()]
    progress.say(
        f"{question.text()}: {formatting.format_count(min(macs))} to "
        f"{formatting.format_count(max(macs))} MACs. {workdir.architectures}"
    )
    return list(drawn.values())


def retrain(workdir, config, question, strategy=None):
    """Trains the drawn networks with the config's recipe; finished ones are not trained again.

    Args:
        workdir, config, question: as of `draw`.
        strategy: a `tf.distribute.Strategy`; the current one by default.

    Raises:
        FileNotFoundError: the networks are not drawn yet.
    """
    for arch in _drawn(workdir, question):
        retraining.retrain(workdir, config, arch, strategy=strategy)


def rate(workdir, config, question, with_untrained=True):
    """Rates all cells, and adds up the ratings of each drawn network.

    Args:
        workdir: a `workdirs.Workdir` with a trained supernet.
        config: its config.
        question: a `Draw`.
        with_untrained: whether to rate untrained cells too, as a control: as long again.

    Returns:
        The content of the file of scores.

    Raises:
        FileNotFoundError: networks are not drawn, or cells are not trained.
        ValueError: ratings are broken.
    """
    _drawn(workdir, question)
    workdir.teacher_result()  # raises, with the tool that trains it
    rating.rate(workdir, config)
    values = None
    if with_untrained:
        metric = config.search.metric
        of_cells = rate_untrained(workdir, config)
        values = {key: cell.metrics[metric][0] for key, cell in of_cells.items()}
    return add_up(workdir, config, question, values)


def add_up(workdir, config, question, untrained=None):
    """Writes the sum of the ratings of each drawn network, from the ratings of a run.

    Args:
        workdir, config, question: as of `rate`.
        untrained: a dict from `(block, cell)` to one rating per path, of untrained cells; `None`
            for none.

    Returns:
        The content of the file of scores.
    """
    inputs = search_inputs.SearchInputs(workdir, config)
    weights = inputs.problem.weights
    trained = _weighted(inputs.problem.measured, weights)
    untrained = None if untrained is None else _weighted(untrained, weights)
    content = {
        "kind": workdirs.SCORES_KIND,
        "ratings": inputs.made_from,
        "metric": inputs.metric,
        "weights": list(weights),
        "scores": {
            arch.name: {
                "blocks": arch.describe(),
                "rating": network_rating(trained, arch, inputs.space),
                "untrained": untrained and network_rating(untrained, arch, inputs.space),
            }
            for arch in _drawn(workdir, question)
        },
    }
    files.write_json(_scores_path(workdir, question), content)
    for name, score in content["scores"].items():
        progress.say(f"  {name}: rating {score['rating']:.4f}")
    return content


def rate_untrained(workdir, config):
    """Rates all paths of the cells as they were before their training.

    Args:
        workdir: a `workdirs.Workdir` with a teacher.
        config: its config.

    Returns:
        A dict from `(block, cell)` to a `ratings.RatedCell`; also in `ranking/untrained/`.
    """
    run = runs.open_run(workdir, config)
    teacher, images, space = run.teacher, run.images, presets.get_space(config.space)
    starts = None
    if config.supernet.output_start == "teacher":
        starts = stage_training.output_starts(teacher, images, config.supernet.batch_size)
    fingerprint = workdir.teacher_result()["fingerprint"]
    return cell_rating.rate_cells(
        snapshots.untrained_cells(space, teacher.shapes, config.seed, fingerprint, starts),
        teacher,
        images,
        settings=phase_settings.of_section(phase_settings.RatingSettings, config.rating),
        seed=config.seed,
        folder=workdir.ranking / "untrained",
    )


def network_rating(values, arch, space):
    """The sum of the ratings of a network's paths, correctly rounded.

    Args:
        values: a dict from `(block, cell)` to one rating per path.
        arch: an `architectures.Architecture` of the space.
        space: the `spaces.SearchSpace`.

    Raises:
        ValueError: the network is not of the space.
    """
    if any(block.path is None for block in arch.blocks) or len(arch.blocks) != len(space.blocks):
        raise ValueError(
            f"The architecture {arch.name!r} has no paths of the space {space.name!r}, so it has "
            "no rating. Draw it from this space."
        )
    return math.fsum(
        float(values[b, block.cell][space.path_index(b, block.cell, block.path)])
        for b, block in enumerate(arch.blocks)
    )


def compare(workdir, config, question):
    """Compares the order of the ratings with that of the accuracies, beside controls.

    Args:
        workdir, config, question: as of `draw`; the networks are trained and rated.

    Returns:
        The content of `ranking/NAME.json`; the page is `NAME.html` beside it.

    Raises:
        FileNotFoundError: a network is not drawn, trained or rated.
        ValueError: the scores are of other ratings or networks, or nothing can be ranked because
            all scores or all accuracies are equal.
    """
    archs, scores = _drawn(workdir, question), _fresh_scores(workdir, config, question)
    seeds = range(config.retrain.seeds)
    results = {a.name: [workdir.student_result(a.name, seed) for seed in seeds] for a in archs}
    largest = max(op.expand for op in presets.get_space(config.space).ops)
    networks = [
        {
            "name": arch.name,
            "blocks": arch.describe(),
            **{cost: arch.costs()[cost] for cost in ("params", "macs")},
            "expanded": sum(op.expand == largest for block in arch.blocks for op in block.ops),
            "rating": scores["scores"][arch.name]["rating"],
            "untrained": scores["scores"][arch.name]["untrained"],
            "accuracies": [result["test_accuracy"] for result in results[arch.name]],
        }
        for arch in archs
    ]
    compared, left_out = _ranked(networks, f"layers with expansion {largest}", config.seed)
    content = {
        "kind": workdirs.RANKING_KIND,
        "name": question.set_name,
        "space": presets.get_space(config.space).name,
        "metric": scores["metric"],
        "draw": question.text(),
        "seeds": len(seeds),
        "test_images": next(iter(results.values()))[0]["test_images"],
        "networks": networks,
        "rows": [
            _row(name, row)
            for name, row in {compared.name: compared.score, **compared.controls}.items()
        ],
        "left_out": left_out,
        "lines": ranking.lines(compared),
    }
    files.write_json(workdir.ranking / f"{question.set_name}.json", content)
    page = workdir.ranking / f"{question.set_name}.html"
    files.write_text(page, ranking_page.page_html(content))
    for line in content["lines"]:
        progress.say(line)
    for text in left_out:
        progress.say(text)
    progress.say(f"{page}")
    return content


def median_macs(workdir, question):
    """The median MACs of a drawn set as text, such as `"1.4M"`: the middle of a band."""
    macs = [arch.costs()["macs"] for arch in _drawn(workdir, question)]
    return formatting.format_count(float(np.median(macs)))


def _ranked(networks, expanded_name, seed):
    """A `ranking.Ranking` of networks, and sentences about controls that were left out."""
    accuracies = np.array([network["accuracies"] for network in networks])
    columns = {"macs": "macs", "params": "params", expanded_name: "expanded"}
    if networks[0]["untrained"] is not None:
        columns["untrained cells"] = "untrained"
    controls, left_out = {}, []
    for name, field in columns.items():
        values = np.array([network[field] for network in networks], np.float64)
        if (values == values[0]).all():
            left_out.append(f"Not compared with {name}: all networks have {values[0]:g}.")
        else:
            controls[name] = -values if field == "untrained" else values
    compared = ranking.rank_score(
        accuracies.mean(axis=1),
        np.array([network["rating"] for network in networks]),
        controls,
        seed,
        name="rating",
        lower_is_better=True,
        trainings=accuracies if accuracies.shape[1] > 1 else None,
    )
    return compared, left_out


def _row(name, row):
    """A row of a ranking as JSON-able data; NaN becomes `None`."""
    return {
        "score": name,
        **{field: _ends(getattr(row, field)) for field in _ENDS},
        "ahead": {control: _ends(interval) for control, interval in row.ahead.items()},
        "partial": {control: _ends(interval) for control, interval in row.partial.items()},
        "bands": {
            cost: {"tau": _ends(band.tau), "right": band.right, "pairs": band.pairs}
            for cost, band in row.bands.items()
        },
    }


def _ends(interval):
    ends = (interval.value, interval.low, interval.high)
    return [None if math.isnan(end) else float(end) for end in ends]


def _weighted(values, weights):
    """Ratings of paths times the weight of their block."""
    return {(b, c): weights[b] * np.asarray(each) for (b, c), each in values.items()}


def _task(workdir, config):
    """What the networks are for, from the teacher's result or from the images."""
    if (workdir.teacher / "result.json").exists():
        teacher = workdir.teacher_result()
        return tasks.Task.from_image_shape(teacher["image_shape"], teacher["num_classes"])
    images = runs.open_run(workdir, config).images
    return tasks.Task.from_image_shape(images.image_shape, images.num_classes)


def _drawn(workdir, question):
    """The architectures of a set, from their files."""
    missing = [name for name in question.names if not workdir.architecture(name).exists()]
    if missing:
        raise FileNotFoundError(
            f"Not drawn yet: {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}. Draw "
            "first: --step=draw, with the same --networks, --band, --macs and --name."
        )
    archs = [zoo.find(name, workdir.architectures) for name in question.names]
    others = [arch.name for arch in archs if arch.origin.get("by") != "draw"]
    if others:
        raise ValueError(
            f"The architecture {others[0]} in {workdir.architectures} was not drawn. Give the set "
            "another name with --name."
        )
    return archs


def _scores_path(workdir, question):
    return workdir.ranking / f"{question.set_name}_scores.json"


def _fresh_scores(workdir, config, question):
    """The scores of a set, checked to be of these ratings and these networks."""
    path, hint = _scores_path(workdir, question), "Rate the networks first: --step=rate."
    scores = files.read_json(path, workdirs.SCORES_KIND, hint)
    inputs = search_inputs.SearchInputs(workdir, config)
    weights = list(inputs.problem.weights)
    now = [inputs.made_from, inputs.metric, weights]
    if [scores["ratings"], scores["metric"], scores["weights"]] != now:
        raise ValueError(
            f"The scores in {path} are of other ratings than those of this run. {hint}"
        )
    for arch in _drawn(workdir, question):
        if scores["scores"].get(arch.name, {}).get("blocks") != arch.describe():
            raise ValueError(f"The scores in {path} are not of the network {arch.name}. {hint}")
    return scores
