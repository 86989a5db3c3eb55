"""The angles of a run's networks: how far training turned their weights, beside controls."""

import math

import numpy as np

from dna_tf import workdirs
from dna_tf.common import checks, files, formatting, progress, rank_correlation
from dna_tf.phases import runs, search_inputs
from dna_tf.search import angle_search, exact, finding
from dna_tf.space import angle_sums, presets, spaces, tasks
from dna_tf.supernet import cell_angles, cell_files, stage_training

NETWORKS = 1000  # that are drawn to compare orders
_LISTED = 2_000_000  # most networks whose angles are all computed
_ENDS = ("tau", "low", "high")
_CONTROLS = {
    angle_sums.STRUCTURE: "control: shapes alone",
    angle_sums.NOISE: "control: moved as far at random",
    angle_sums.FRESH: "control: first weights of another seed",
}


def compute(workdir, config, parts=angle_sums.PARTS[0]):
    """Computes the angle sums of all cells of a run; those that are there are read.

    Args:
        workdir: a `workdirs.Workdir` in which all cells were trained.
        config: its config.
        parts: which weights count, one of `angle_sums.PARTS`.

    Returns:
        A dict from `(block, cell)` to `angle_sums.CellAngle`.

    Raises:
        FileNotFoundError: teacher or cells were not trained.
        ValueError: a cell was not trained by this run's config, or its weights cannot be used.
    """
    checks.choose(parts, angle_sums.PARTS, "choice of weights", "It is --parts.")
    # 1. The cells; all have to be trained.
    space, shapes = presets.get_space(config.space), _shapes(workdir.teacher_result())
    trained = cell_files.trained_names(workdir.supernet, space)
    for name in cell_files.cell_names(space):
        if name not in trained:
            workdir.cell_result(name)  # raises, with the tool that trains it

    # 2. What is computed already?
    computed, todo = {}, []
    for b, c, _ in space.cells():
        name = spaces.cell_name(b, c)
        present = _present(
            workdir.angle(parts, name), space, b, c, _made_from(workdir, config, b, c)
        )
        if present is None:
            todo.append(name)
        else:
            computed[b, c] = present
    if not todo:
        progress.say(f"The angles of all {len(computed)} cells are there already: {workdir.angles}")
        return computed

    # 3. The others; each cell is written as soon as it is computed.
    starts = _starts(workdir, config) if parts == "all" else None
    teacher = workdir.teacher_result()["fingerprint"]
    for cell in cell_files.load(workdir.supernet, space, shapes, todo, teacher):
        place = cell.block, cell.cell
        start = starts[cell.block] if starts else None
        try:
            computed[place] = cell_angles.cell_angle(cell, shapes, config.seed, parts, start)
        except cell_angles.NotTrained as error:
            hint = f"Delete {workdir.supernet} and train: {workdirs.command('supernet', workdir)}"
            raise ValueError(f"{error} {hint}") from error
        path, made_from = workdir.angle(parts, cell.name), _made_from(workdir, config, *place)
        angle_sums.save(path, space, *place, computed[place], made_from)
    progress.say(f"Computed the angles of {len(todo)} cells: {workdir.angles}")
    return computed


def _shapes(result):
    """`(height, width, channels)` of the image and of each block's output."""
    return [tuple(result["image_shape"]), *(tuple(cut["shape"]) for cut in result["cuts"])]


def _made_from(workdir, config, block, cell):
    """The fingerprint of all that the angle of a cell is made from."""
    fingerprint = workdir.cell_result(spaces.cell_name(block, cell))["fingerprint"]
    start = config.supernet.output_start
    return files.fingerprint([fingerprint, config.seed, start, angle_sums.VERSION])


def _present(path, space, block, cell, made_from):
    if not path.exists():
        return None
    cell_angle, written_from = angle_sums.read(path, space, block, cell)
    return cell_angle if written_from == made_from else None


def _starts(workdir, config):
    """Mean and deviation at which the output of each block's cells started; `None` for none."""
    if config.supernet.output_start != "teacher":
        return None
    run = runs.open_run(workdir, config)
    teacher, images = run.teacher, run.images
    return stage_training.output_starts(teacher, images, config.supernet.batch_size)


class Networks:
    """The networks of a run with their angles: compared with other scores, and searched.

    Args:
        workdir: a `workdirs.Workdir`.
        config: its config.
        parts: which weights count.
        computed: what `compute` returned.
        count: how many networks are drawn to compare orders.
        task: of a whole network, which has no ratings, its `tasks.Task`; `None` for cells.
    """

    def __init__(self, workdir, config, parts, computed, count=NETWORKS, task=None):
        self._workdir, self._config, self._parts = workdir, config, parts
        self._is_whole = task is not None
        self.space, self._count = presets.get_space(config.space), count
        self._sums = {v: angle_sums.of_cells(computed, v) for v in angle_sums.VARIANTS}
        if self._is_whole:
            self.problem, self._is_rated = unrated_problem(self.space, task, config), False
        else:
            self.problem, self._is_rated = self._searched_problem()

    def _searched_problem(self):
        """The problem with the costs, and the ratings if there are any, and whether there are."""
        workdir, config = self._workdir, self._config
        try:
            return search_inputs.SearchInputs(workdir, config).problem, True
        except (FileNotFoundError, ValueError) as error:
            progress.say(f"Without the ratings of this run. {error}")
        result = workdir.teacher_result()
        task = tasks.Task.from_image_shape(result["image_shape"], result["num_classes"])
        return unrated_problem(self.space, task, config), False

    def compare(self):
        """Compares the order of the angle with those of controls, costs and ratings.

        Returns:
            A list of dicts: the score, and Kendall's tau-b with the angle and with the rating,
            each with its 95 % interval; `None` if all networks have the same score.
        """
        cells, paths = angle_sums.draw_networks(self.space, self._count, self._config.seed)
        ratings, costs = self.problem.evaluate_many(cells, paths)
        by_name = dict(zip(self.problem.names, costs, strict=True))
        # All are turned so that higher is better.
        scores = {"angle": -self._sums[angle_sums.TRAINED].cosines(cells, paths)}
        for variant, words in _CONTROLS.items():
            scores[words] = -self._sums[variant].cosines(cells, paths)
        scores |= {"control: MACs": by_name["macs"], "control: params": by_name["params"]}
        if self._is_rated:
            scores["DNA's rating"] = -ratings
        bootstrap = rank_correlation.Bootstrap(len(cells), self._config.seed)
        rows = []
        for name, values in scores.items():
            row = {"score": name}
            for other, ending in (("angle", ""), ("DNA's rating", "_of_rating")):
                ends = (None, None, None)
                if other in scores and other != name:
                    interval = bootstrap.interval(*bootstrap.tau(values, scores[other]))
                    if not math.isnan(interval.low):
                        ends = interval.value, interval.low, interval.high
                row |= {f"{n}{ending}": end for n, end in zip(_ENDS, ends, strict=True)}
            rows.append(row)
        return rows

    def spread(self):
        """Number, smallest, median and largest angle in degrees of all networks, or of some."""
        if self.space.num_architectures() <= _LISTED:
            networks = angle_sums.all_networks(self.space)
        else:
            networks = angle_sums.draw_networks(self.space, self._count, self._config.seed)
        angles = angle_sums.degrees(self._sums[angle_sums.TRAINED].cosines(*networks))
        values = (angles.min(), np.median(angles), angles.max())
        return {"networks": len(angles), "degrees": [float(value) for value in values]}

    def largest(self, limits, count=1, name=""):
        """Finds the networks with the largest angles, and the one by the shapes alone.

        Args:
            limits: a `cost_limits.Limits`.
            count: how many to find.
            name: of the first; `""` makes it from the limits.

        Returns:
            `(architectures, rows)`: a dict from name to `architectures.Architecture`, and a row
            for the result file for each.
        """
        name = name or self.name_of(limits)
        largest = angle_search.best(self.problem, self._sums[angle_sums.TRAINED], limits, count)
        structure, few = self._sums[angle_sums.STRUCTURE], exact.MANY_PAIRS
        by_shape = angle_search.best(self.problem, structure, limits, max_pairs=few)
        searched, rows = {}, []
        for number, choice in enumerate(largest.choices, 1):
            own_name = name if number == 1 else f"{name}_{number}"
            origin = {
                **angle_search.origin(largest, number, limits),
                "parts": self._parts,
                "space": self.space.name,
                "seed": self._config.seed,
            }
            searched[own_name] = self.problem.architecture(choice, own_name, origin)
            rows.append(
                {
                    "name": own_name,
                    "limits": dict(limits),
                    "cosine": largest.cosines[number - 1],
                    "bound": largest.bound,
                    "certified": largest.certified,
                    "degrees": {v: self._degrees(v, choice) for v in angle_sums.VARIANTS},
                    "macs": choice.costs["macs"],
                    "params": choice.costs["params"],
                    "rating": choice.rating if self._is_rated else None,
                    "by_shapes": {
                        "macs": by_shape.choices[0].costs["macs"],
                        "params": by_shape.choices[0].costs["params"],
                        "degrees": self._degrees(angle_sums.TRAINED, by_shape.choices[0]),
                    },
                }
            )
        return searched, rows

    def name_of(self, limits):
        """The name of the first architecture of a search."""
        words = [
            "whole" if self._is_whole else "",
            "angle",
            "" if self._parts == angle_sums.PARTS[0] else self._parts,
            limits.name(),
        ]
        return "_".join(filter(None, words))

    def _degrees(self, variant, choice):
        pair = np.array([choice.cells]), np.array([choice.path_indices])
        return float(angle_sums.degrees(self._sums[variant].cosines(*pair)[0]))

    def finish(self, rows, best):
        """Writes and prints the comparison and the networks of largest angle.

        Args:
            rows: what `compare` returned.
            best: rows of `largest`. Those of other names that the file has stay in it.

        Returns:
            What is printed: the content of the result file, with these rows only.
        """
        content = {
            "kind": workdirs.ANGLES_KIND,
            "parts": self._parts,
            "space": self.space.name,
            "seed": self._config.seed,
            "made_from": files.fingerprint(
                [array.tolist() for array in self._sums[angle_sums.TRAINED].paths.values()]
            ),
            "num_architectures": self.space.num_architectures(),
            "drawn": min(self._count, self.space.num_architectures()),
            "spread": self.spread(),
            "orders": rows,
            "best": best,
        }
        path = self._workdir.angle(self._parts, "angles")
        if self._is_whole:
            path = self._workdir.whole_angle(self._parts)
        present = read(path) if path.exists() else {}
        rows_by_name = {}
        if present and present["made_from"] == content["made_from"]:
            rows_by_name = {row["name"]: row for row in present["best"]}
        rows_by_name |= {row["name"]: row for row in best}
        written = {**content, "best": [rows_by_name[name] for name in sorted(rows_by_name)]}
        if present != written:
            files.write_json(path, written)
        for line in lines(content, self._is_whole):
            progress.say(line)
        return content


def unrated_problem(space, task, config):
    """A search problem with the costs of a space and without ratings.

    Args:
        space: a `spaces.SearchSpace`.
        task: a `tasks.Task`.
        config: a run's config, which names files of costs.

    Returns:
        A `problems.SearchProblem`; its ratings are 0, and architectures of it have none.
    """
    blank = {(b, c): np.zeros(space.num_paths(b, c)) for b, c, _ in space.cells()}
    costs = tuple(config.search.cost_files)
    problem = finding.search_problem(space, blank, task, op_costs=costs)
    for values in problem.measured.values():
        values[:] = np.nan
    return problem


def read(path):
    """Reads a result file of angles.

    Raises:
        ValueError: it is damaged.
    """
    hint = "Delete it and compute the angles again."
    content = files.read_json(path, workdirs.ANGLES_KIND, hint)
    for number, row in enumerate(content["best"]):
        if "name" not in row:
            raise ValueError(f"The file {path} has no name in best[{number}]. {hint}")
    return content


def lines(content, is_whole=False):
    """The lines that print the content of a result file; `is_whole` of a whole network."""
    spread, total = content["spread"], formatting.large_count(content["num_architectures"])
    texts = [
        f"Angles ({content['parts']}) of {spread['networks']:,} of {total} networks: "
        f"{_range(spread)}",
        f"Kendall's tau-b over {content['drawn']:,} networks drawn at random, 95 % intervals from "
        "resampling them; more MACs or params count as better:",
    ]
    rows = [["score", "with the angle", "with DNA's rating"]]
    rows += [[row["score"], _tau(row, ""), _tau(row, "_of_rating")] for row in content["orders"]]
    texts += [f"  {line}" for line in formatting.aligned(rows)]
    texts.append(f"The largest angles of all {total} networks:")
    for row in content["best"]:
        degrees, by_shapes = row["degrees"], row["by_shapes"]
        proof = "certified" if row["certified"] else f"not certified: bound {_turn(row['bound'])}"
        texts += [
            f"  {row['name']}: {degrees['trained']:.3f} degrees ({proof}), {_costs(row)}"
            + ("" if row["rating"] is None else f", rating {row['rating']:.4f}"),
            f"    by the shapes alone {degrees['structure']:.3f}, moved as far at random "
            f"{degrees['noise']:.3f}, another seed {degrees['fresh']:.3f}; the largest by the "
            f"shapes alone: {_costs(by_shapes)}, {by_shapes['degrees']:.3f} degrees",
        ]
    if is_whole:
        return [*texts, "Where a control orders alike, the angle says nothing more."]
    return [
        *texts,
        "An angle of block-wise trained cells is not RLNAS's own score, which is of a whole "
        "network that learned random labels. Where a control orders alike, the angle says nothing "
        "more.",
    ]


def _range(spread):
    low, middle, high = spread["degrees"]
    return f"{low:.3f} to {high:.3f} degrees, median {middle:.3f}"


def _turn(cosine):
    return f"{angle_sums.degrees(cosine):.4f} degrees"


def _costs(row):
    return ", ".join(f"{formatting.format_count(row[name])} {name}" for name in ("macs", "params"))


def _tau(row, ending):
    ends = [row[f"{name}{ending}"] for name in _ENDS]
    return "" if ends[0] is None else rank_correlation.Interval(*ends).text(3)
