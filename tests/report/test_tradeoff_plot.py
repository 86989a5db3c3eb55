"""Figure 3: points lie where their numbers say, published ones apart."""

import re
import xml.etree.ElementTree as ET

import pytest

from dna_tf.report import result_tables, tradeoff_plot
from dna_tf.space import zoo
from tests.helpers import evaluated_runs


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return evaluated_runs.write_evaluation(tmp_path_factory.mktemp("evaluation"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return evaluated_runs.write_run(tmp_path_factory.mktemp("tables") / "run")


def _marks(text):
    """Counts of points by class, and all texts, of an SVG."""
    root = ET.fromstring(text)
    tags = [(e.tag.rpartition("}")[2], e.get("class")) for e in root.iter()]
    return tags, ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("text")]


def test_published_points_stand_beside_measurements_of_imagenet_only(run, evaluation):
    digits = result_tables.run_rows(run[0].path)
    lite = [result_tables.evaluation_row(evaluation)]
    flops = sum(row.flops is not None for row in zoo.TABLE_2)
    params = sum(row.params is not None for row in zoo.TABLE_2)
    for rows, circles, titles in (
        (digits, 2, ["Measured here on digits", "Published on ImageNet, not measured here"]),
        (lite, 2, ["Measured here on folder:/data, beside published"]),
        (digits + lite, 4, ["Measured here on digits", "Measured here on folder:/data, beside"]),
    ):
        tags, texts = _marks(tradeoff_plot.svg(rows))
        assert tags.count(("circle", "measured")) == circles + 1  # and the legend's
        hollow = tags.count(("path", "published")) + tags.count(("path", "dna"))
        assert hollow == flops + params + 2
        for title in titles:
            assert any(text.startswith(title) for text in texts), texts
        assert texts.count("DNA-d") == 2
        assert "measured here, with 95 % interval" in texts
    assert tradeoff_plot.svg(lite) == tradeoff_plot.svg(lite)


def test_points_lie_where_their_numbers_say(evaluation):
    (row,) = [result_tables.evaluation_row(evaluation)]
    root = ET.fromstring(tradeoff_plot.svg([row]))
    circles = [e for e in root.iter() if e.tag.endswith("circle")][1:]
    diamonds = [e for e in root.iter() if e.get("class") == "dna"][1:]
    (x, y) = (float(circles[0].get(key)) for key in ("cx", "cy"))
    starts = [re.match(r"M([\d.]+) ([\d.]+)", e.get("d")).groups() for e in diamonds[:4]]
    a, d = ([float(n) for n in starts[i]] for i in (0, 3))  # dna_a, dna_d by parameters
    per_param, per_point = (d[0] - a[0]) / (6.4e6 - 4.2e6), (d[1] - a[1]) / (78.4 - 77.1)
    assert x == pytest.approx(a[0] + (4.65e6 - 4.2e6) * per_param, abs=0.2)
    assert y == pytest.approx(a[1] + 5 + (87.5 - 77.1) * per_point, abs=1.5)
    assert y < a[1] < 1e6  # higher is better
