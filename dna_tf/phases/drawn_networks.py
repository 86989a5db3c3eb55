"""Networks of a run that are drawn before anything is rated: the test set of its ratings.

Neither ratings nor costs choose them. A second set within a band of equal MACs is the harder test:
there cost cannot order them.
"""

import dataclasses

import numpy as np

from dna_tf.common import checks, formatting, progress
from dna_tf.phases import runs, search_inputs
from dna_tf.search import drawing
from dna_tf.space import presets, tasks, zoo
from dna_tf.truth import ranking

MOST = 99  # networks of a set: their names have two digits


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


def load(workdir, question):
    """Reads the drawn networks of a set.

    Args:
        workdir: a `workdirs.Workdir`.
        question: a `Draw`.

    Returns:
        A list of `architectures.Architecture`.

    Raises:
        FileNotFoundError: they are not drawn yet.
        ValueError: a file of one of the names is of a network that was not drawn.
    """
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


def median_macs(workdir, question):
    """The median MACs of a drawn set as text, such as `"1.4M"`: the middle of a band."""
    macs = [arch.costs()["macs"] for arch in load(workdir, question)]
    return formatting.format_count(float(np.median(macs)))


def _task(workdir, config):
    """What the networks are for, from the teacher's result or from the images."""
    if (workdir.teacher / "result.json").exists():
        teacher = workdir.teacher_result()
        return tasks.Task.from_image_shape(teacher["image_shape"], teacher["num_classes"])
    images = runs.open_run(workdir, config).images
    return tasks.Task.from_image_shape(images.image_shape, images.num_classes)
