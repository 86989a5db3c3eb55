"""A run with invented results for the report, and a parser of its page."""

import html.parser
import pathlib

import numpy as np

from dna_tf.common import files
from dna_tf.search import control, fronts, problem_building, problems
from dna_tf.space import architectures, cost_limits, cost_tables, presets, ratings, spaces, tasks
from tests.helpers import rated_runs

ROOT = pathlib.Path(__file__).absolute().parents[2]
ANCHORS = (
    "summary", "teacher", "supernet", "ratings", "front", "student", "maps", "results",
    "difference",
)  # fmt: skip
BUDGETS = ("max_macs=1M", "max_macs=1.3M", "max_macs=1.7M")
CHOSEN = "max_macs_1.3M"
SPACE = presets.get_space("digits")
CONFIG = {
    "seed": 7,
    "data": {"source": "digits", "image_size": 32, "channels": 3},
    "teacher": {"model": "residual_cnn", "cuts": ["stage1_out", "stage2_out", "stage3_out"]},
    "space": "digits",
    "supernet": {"epochs": 20},
    "search": {"budgets": list(BUDGETS), "chosen": 1},
    "retrain": {"epochs": 30, "seeds": 3},
}


def make_workdir(folder, control_name="control_1.3M", searched_better_by=4):
    """Writes a run with random ratings, a real search over them, and invented accuracies."""
    draws = np.random.RandomState(0)
    files.write_json(folder / "config.json", {"kind": "dna_tf.config", "config": CONFIG})
    write_teacher(folder / "teacher", draws)
    cells = {spaces.cell_name(b, c): c for b, c, _ in SPACE.cells()}
    losses = [
        {name: 0.9 / (1 + c) * 0.8**e + 0.02 * draws.rand() for name, c in cells.items()}
        for e in range(20)
    ]
    for name in cells:
        files.write_json(folder / "supernet" / f"{name}.json", {
            "kind": "dna_tf.cell", "cell": name, "losses": [epoch[name] for epoch in losses],
        })  # fmt: skip
    rated = {}
    for b, c, cell in SPACE.cells():
        base = np.array([sum(p) for p in SPACE.paths(b, c)]) * 0.02 + 0.5 - 0.05 * cell.layers
        rated[b, c] = base + 0.05 * draws.rand(len(base))
        path = folder / "ratings" / f"{spaces.cell_name(b, c)}.json"
        ratings.save(path, SPACE, b, c, rated_runs.rated_cell(rated[b, c]), "0123")
    names = write_architectures(folder / "architectures", rated, control_name)
    for name in names:
        right = 345 + (searched_better_by if name == CHOSEN else 0)
        write_student(folder, name, [right + k for k in (0, -3, 2)], draws)
    for name in names[:3]:
        write_export(folder / "exports" / name, name)
    return folder


def write_teacher(folder, draws):
    cuts = zip(
        (1, 2, 3), ([16, 16, 32], [8, 8, 64], [8, 8, 96]), (28_000, 88_000, 201_000), strict=True
    )
    files.write_json(folder / "result.json", {
        "kind": "dna_tf.teacher", "model": "residual_cnn", "params": 345_678,
        "test_accuracy": 353 / 360, "test_correct": 353, "test_images": 360, "num_classes": 10,
        "class_names": [str(i) for i in range(10)], "image_shape": [32, 32, 3],
        "cuts": [{"layer": f"stage{i}_out", "shape": s, "params": p} for i, s, p in cuts],
        "counts": {"train": 1237, "rating": 200, "test": 360}, "fingerprint": "abcd",
    })  # fmt: skip
    losses = 2.2 * 0.75 ** np.arange(15) + 0.5 + 0.02 * draws.rand(15)
    write_history(folder, [{"loss": float(v), "accuracy": 0.9} for v in losses])


def write_architectures(folder, rated, control_name):
    table = cost_tables.cost_table(SPACE, tasks.Task(32, 3, 10))
    problem = problem_building.build_problem(SPACE, rated, table)
    front = fronts.front(problem)
    entries = []
    for choice in front:
        architecture = problem.architecture(choice, "x", {})
        entries.append(
            {
                "rating": choice.rating,
                "costs": architecture.costs(),
                "blocks": architecture.describe(),
            }
        )
    files.write_json(folder / "front.json", {
        "kind": "dna_tf.front", "space": "digits", "front_costs": ["macs"], "entries": entries,
        "num_architectures": SPACE.num_architectures(),
    })  # fmt: skip
    names = []
    for budget in BUDGETS:
        choice = fronts.best_under(front, cost_limits.Limits(budget))
        origin = {"by": "search", "limits": dict(cost_limits.Limits(budget))}
        names.append(cost_limits.Limits(budget).name())
        architecture = problem.architecture(choice, names[-1], origin)
        architectures.save(architecture, folder / f"{names[-1]}.json")
    macs = architectures.load(folder / f"{CHOSEN}.json").costs()["macs"]
    picked = control.random_within(problem, macs, 0.02, seed=7)
    choice = problems.Choice(*picked, *problem.evaluate(*picked))
    origin = {"by": "control", "control_of": CHOSEN}
    architecture = problem.architecture(choice, control_name, origin)
    architectures.save(architecture, folder / "control.json")
    return [*names, control_name]


def write_student(folder, name, right, draws):
    for seed, correct in enumerate(right):
        place = folder / "students" / name.replace("/", "_") / f"seed{seed}"
        files.write_json(place / "result.json", {
            "kind": "dna_tf.student", "architecture": name, "seed": seed, "seconds": 12.5,
            "test_accuracy": correct / 360, "test_correct": correct, "test_images": 360,
            "params": 1, "macs": 1,
        })  # fmt: skip
        losses = 2.3 * 0.9 ** np.arange(30) + 0.55 + 0.03 * draws.rand(30)
        write_history(place, [{"loss": float(v), "accuracy": 0.9} for v in losses])


def write_export(folder, name):
    good = {"file": "float32.tflite", "bytes": 212_340, "agreement": 1.0, "good": True}
    poor = {"file": "int8.tflite", "bytes": 98_700, "agreement": 0.925, "good": False}
    files.write_json(folder / "result.json", {
        "kind": "dna_tf.export", "architecture": name, "seed": 0, "keras_accuracy": 0.95,
        "images": 360, "files": {
            "float32": {**good, "largest_difference": 1e-6, "accuracy": 0.95},
            "int8": {**poor, "largest_difference": 0.3, "accuracy": 0.91},
        },
    })  # fmt: skip


def write_history(folder, epochs):
    files.write_json(folder / "history.json", {"kind": "dna_tf.history", "epochs": epochs})


def make_maps(shapes=((16, 16, 32), (8, 8, 64), (8, 8, 96))):
    """Feature maps of smooth stripes; the student's are the teacher's with noise."""
    draws = np.random.RandomState(1)
    maps = []
    for number, (height, width, channels) in enumerate(shapes, 1):
        y, x = np.mgrid[:height, :width] / height
        waves = np.sin(
            6 * (x[..., None] * draws.randn(channels) + y[..., None]) + np.arange(channels)
        )
        teacher = np.stack([waves, -waves]) * draws.rand(channels)
        maps.append({
            "block": number, "layer": f"stage{number}_out", "rating": 0.2 + number / 10,
            "teacher": teacher, "student": teacher + 0.2 * draws.randn(*teacher.shape),
            "images": 255 * draws.rand(2, 32, 32, 3),
        })  # fmt: skip
    return maps


class Page(html.parser.HTMLParser):
    """A parsed page: its elements, texts and tables by section; unbalanced tags are an error."""

    VOID = ("meta", "img", "br", "hr", "input", "link")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts, self.tables = [], [], {}, {}
        self.section, self.scripts = "", {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attrs["id"]
        if tag == "script":
            self.script = attrs.get("id", f"script {len(self.scripts)}")
        if tag == "table":
            self.tables.setdefault(self.section, []).append([])
        if tag == "tr":
            self.tables[self.section][-1].append([])
        if tag in ("td", "th"):
            self.tables[self.section][-1][-1].append(["", attrs.get("title", "")])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[self.script] = data
            return
        self.texts[self.section] = self.texts.get(self.section, "") + data
        if {"td", "th"} & set(self.open):
            self.tables[self.section][-1][-1][-1][0] += data + "|"

    def row(self, section, start, table=0):
        """The cells of the one row that begins with `start`, as `(text, title)`."""
        rows = [r for r in self.tables[section][table] if r[0][0].startswith(start + "|")]
        assert len(rows) == 1, (start, self.tables[section][table])
        return [(text.rstrip("|"), title) for text, title in rows[0]]
