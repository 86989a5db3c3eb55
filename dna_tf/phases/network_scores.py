"""The rating of each drawn network: the exact sum of the ratings of its paths, and a control.

The control is the same sum from untrained cells: what a rating says of shapes alone.
"""

import math

import numpy as np

from dna_tf import workdirs
from dna_tf.common import files, progress
from dna_tf.phases import drawn_networks, rating, runs, search_inputs
from dna_tf.space import presets
from dna_tf.supernet import cell_rating, phase_settings, snapshots, stage_training


def rate(workdir, config, question, with_untrained=True):
    """Rates all cells, and adds up the ratings of each drawn network.

    Args:
        workdir: a `workdirs.Workdir` with a trained supernet.
        config: its config.
        question: a `drawn_networks.Draw`.
        with_untrained: whether to rate untrained cells too, as a control: as long again.

    Returns:
        The content of the file of scores.

    Raises:
        FileNotFoundError: networks are not drawn, or cells are not trained.
        ValueError: ratings are broken.
    """
    drawn_networks.load(workdir, question)
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
            for arch in drawn_networks.load(workdir, question)
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
    return math.fsum(block_ratings(values, arch, space))


def block_ratings(values, arch, space):
    """The rating of a network's path in each block: a list of floats.

    Args:
        values, arch, space: as of `network_rating`.

    Raises:
        ValueError: the network is not of the space.
    """
    if any(block.path is None for block in arch.blocks) or len(arch.blocks) != len(space.blocks):
        raise ValueError(
            f"The architecture {arch.name!r} has no paths of the space {space.name!r}, so it has "
            "no rating. Draw it from this space."
        )
    return [
        float(values[b, block.cell][space.path_index(b, block.cell, block.path)])
        for b, block in enumerate(arch.blocks)
    ]


def load(workdir, config, question):
    """Reads the scores of a set, and checks that they are of these ratings and these networks.

    Args:
        workdir, config, question: as of `rate`.

    Returns:
        The content of the file of scores.

    Raises:
        FileNotFoundError: the networks are not drawn or not rated.
        ValueError: the scores are of other ratings or networks.
    """
    path, hint = _scores_path(workdir, question), "Rate the networks first: --step=rate."
    scores = files.read_json(path, workdirs.SCORES_KIND, hint)
    inputs = search_inputs.SearchInputs(workdir, config)
    weights = list(inputs.problem.weights)
    now = [inputs.made_from, inputs.metric, weights]
    if [scores["ratings"], scores["metric"], scores["weights"]] != now:
        raise ValueError(
            f"The scores in {path} are of other ratings than those of this run. {hint}"
        )
    for arch in drawn_networks.load(workdir, question):
        if scores["scores"].get(arch.name, {}).get("blocks") != arch.describe():
            raise ValueError(f"The scores in {path} are not of the network {arch.name}. {hint}")
    return scores


def _scores_path(workdir, question):
    return workdir.ranking / f"{question.set_name}_scores.json"


def _weighted(values, weights):
    """Ratings of paths times the weight of their block."""
    return {(b, c): weights[b] * np.asarray(each) for (b, c), each in values.items()}
