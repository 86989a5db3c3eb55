"""The section on the front: published networks, weights, other fronts."""

import json

import numpy as np
import pytest

from dna_tf import workdirs
from dna_tf.common import files
from dna_tf.report import front_section, report_page, run_data
from dna_tf.space import presets, ratings, spaces, zoo
from tests.helpers import paper_ratings, rated_runs
from tests.helpers.report_runs import SPACE, Page, make_workdir


def test_published_networks_stand_at_the_ratings_of_their_paths():
    networks = front_section.published_networks(paper_ratings.run())
    by_name = {network["name"].partition(",")[0]: network for network in networks}
    assert tuple(by_name) == zoo.NAMES
    # dna.md, by hand: dna_c's block 1 is cell 1 (2 x 24) with k5e6 k3e6, ops 1 and 0 of six.
    choices = [(0, (1, 0)), (2, (1, 1, 0, 1)), (2, (1, 0, 1, 1)), (1, (0, 1, 1, 4))]
    choices += [(0, (1, 4, 1, 1)), (0, (0,))]
    rating = sum(
        paper_ratings.RATINGS[b, c][int("".join(map(str, path)), 6)]
        for b, (c, path) in enumerate(choices)
    )
    assert by_name["dna_c"]["rating"] == pytest.approx(rating, rel=1e-12)
    assert by_name["dna_c"]["costs"]["macs"] == 450_138_976  # dna.md
    assert by_name["dna_c"]["role"] == "published" and "published" in by_name["dna_c"]["name"]
    assert "77.8 % on ImageNet, published, not measured here" in by_name["dna_c"]["note"]


def test_the_page_goes_by_the_metric_and_the_weights_of_the_search(tmp_path):
    folder = make_workdir(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["config"]["search"]["metric"] = "mse"
    files.write_json(folder / "config.json", config)
    front = json.loads((folder / "architectures/front.json").read_text())
    files.write_json(folder / "architectures/front.json", {**front, "weights": [1.0, 2.0, 1.0]})
    squared = {}
    for b, c, _ in SPACE.cells():
        path = folder / "ratings" / f"{spaces.cell_name(b, c)}.json"
        one = ratings.load_cell(path, SPACE, b, c)
        # The worst in relative L1 is the best in squared error.
        squared[b, c] = 0.01 / one.metrics["relative_l1"][0]
        metrics = {**one.metrics, "mse": np.stack([squared[b, c], 0.0 * squared[b, c]])}
        ratings.save(path, SPACE, b, c, ratings.RatedCell(metrics, 1), "0123")
    page = Page(report_page.write_report(folder).read_text())
    assert "rated by mse: mean squared error." in page.texts["ratings"]
    for b, c, _ in SPACE.cells():
        name = spaces.cell_name(b, c).replace("_", " ")
        row = [text for text, _ in page.row("ratings", name)]
        values = squared[b, c]
        best = " ".join(SPACE.ops[i].name for i in SPACE.paths(b, c)[values.argmin()])
        expected = [f"{v:.4f}" for v in (values.min(), np.median(values), values.max())]
        assert row[4:] == [*expected, best]
    marks = next(
        t
        for t in json.loads(page.scripts["data-ratings"])["data"]
        if t.get("name") == "best path of the cell"
    )
    assert marks["x"] == [squared[b, c].min() for b, c, _ in SPACE.cells()]
    assert "no other one is better in both weighted rating and cost" in page.texts["front"]
    assert "weights of the blocks are 1, 2, 1;" in page.texts["front"]


def test_published_networks_stay_out_where_they_do_not_compare():
    assert front_section.published_networks(paper_ratings.run(image_shape=[192, 192, 3])) == []
    lite = run_data.Run(
        space=presets.get_space("dna_lite"),
        ratings=paper_ratings.RATINGS,
        teacher=paper_ratings.run().teacher,
    )
    assert front_section.published_networks(lite) == []
    four = presets.get_space("dna_four_ops")
    rated = {(b, c): np.zeros(four.num_paths(b, c)) for b, c, _ in four.cells()}
    some = run_data.Run(space=four, ratings=rated, teacher=paper_ratings.run().teacher)
    names = [one["name"] for one in front_section.published_networks(some)]
    assert names == ["dna_c, published", "efficientnet_b0, published"]  # the others have k7


def test_the_page_has_the_plots_and_other_fronts(digits):
    files.write_json(digits / "fronts" / "macs_params.json", {
        "kind": workdirs.FRONT_KIND, "front_costs": ["macs", "params"], "rounding": 0.001,
        "limits": {"max_macs": 1_500_000},
        "entries": [{"rating": 1.25}, {"rating": 1.5}, {"rating": 2.0}],
    })  # fmt: skip
    page = Page(report_page.write_report(digits).read_text())
    row = [text for text, _ in page.row("front", "macs, params", table=0)]
    assert row == [
        "macs, params",
        "3",
        "1.2500",
        "2.0000",
        "macs <= 1.5M",
        "costs rounded, by less than 0.1 %",
    ]
    assert "Rating against cost" in page.texts["ratings"]
    assert "What wins as the budget grows" in page.texts["front"]
    assert "published" not in page.texts["front"]  # 32x32 images compare with none


def test_the_page_of_the_paper_s_space_marks_published_networks(tmp_path):
    config = {"space": "dna", "search": {"budgets": []}}
    files.write_json(tmp_path / "config.json", {"kind": "dna_tf.config", "config": config})
    teacher = {"kind": "dna_tf.teacher", "model": "b7", "params": 1, **paper_ratings.run().teacher}
    files.write_json(tmp_path / "teacher/result.json", teacher)
    for b, c, _ in paper_ratings.SPACE.cells():
        path = tmp_path / "ratings" / f"{spaces.cell_name(b, c)}.json"
        ratings.save(
            path, paper_ratings.SPACE, b, c, rated_runs.rated_cell(paper_ratings.RATINGS[b, c]), "x"
        )
    front = {
        "kind": "dna_tf.front",
        "entries": paper_ratings.front_entries(),
        "front_costs": ["macs"],
    }
    front["num_architectures"] = paper_ratings.SPACE.num_architectures()
    files.write_json(tmp_path / "architectures/front.json", front)
    path = report_page.write_report(tmp_path)
    page = Page(path.read_text())
    assert len(path.read_bytes()) < 8_000_000
    traces = {t.get("name"): t for t in json.loads(page.scripts["data-front"])["data"]}
    networks = front_section.published_networks(run_data.read_run(tmp_path))
    assert traces["published"]["x"] == [network["costs"]["macs"] for network in networks]
    assert traces["published"]["y"] == [network["rating"] for network in networks]
    for text in traces["published"]["text"]:
        assert "published, not measured here" in text and "rating" in text
    assert "They were not trained or measured here" in page.texts["front"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return make_workdir(tmp_path_factory.mktemp("run"))
