"""The plotly figures: curves, ratings of paths, and the Pareto front."""

import types

import numpy as np

from dna_tf.report import figures
from dna_tf.space import architectures, presets


def test_rating_figure_marks_best_and_chosen_path_of_a_large_cell():
    space = presets.get_space("dna")
    rated = {(b, c): np.full(space.num_paths(b, c), 0.5) for b, c, _ in space.cells()}
    rated[4, 1][1234] = 0.25
    rated[4, 1][np.ravel_multi_index((0, 1, 2, 3, 4), (6,) * 5)] = 0.375
    choice = architectures.BlockChoice(2, 192, space.ops[:5], 1, (0, 1, 2, 3, 4), 0.375)
    blocks = [architectures.BlockChoice(1, 8, (space.ops[0],))] * 4 + [choice]
    one = types.SimpleNamespace(name="<n>", blocks=tuple(blocks))
    drawn = figures.rating_distribution(rated, space, one)
    best, taken = drawn.data[-2:]
    row = [name for name in drawn.layout.yaxis.ticktext].index("5.2  5 × 192")
    path = np.base_repr(1234, 6).zfill(5)
    ops = " ".join(space.ops[int(digit)].name for digit in path)
    assert (best.x[row], best.y[row]) == (0.25, row)
    assert best.text[row] == f"block5 cell2: <b>{ops}</b><br>rank 1 of 7,776"
    assert taken.name == "path in &lt;n&gt;" and list(taken.y) == [row]
    assert list(taken.x) == [0.375] and "rank 2 of 7,776" in taken.text[0]
    assert max(len(t.x) for t in drawn.data if t.type == "scatter") == figures.MOST_POINTS


def test_loss_figure_has_a_line_for_each_cell_in_order():
    epochs = [{"block2_cell10": 2.0, "block2_cell9": 1.0}, {"block2_cell9": 0.5}]
    drawn = figures.loss_curves(epochs)
    assert [t.name for t in drawn.data] == ["block2 cell9", "block2 cell10"]
    assert drawn.data[0].y == (1.0, 0.5) and drawn.data[1].y == (2.0, None)


def test_the_front_of_a_huge_search_is_thinned_and_keeps_its_indices():
    entries = [
        {"rating": i / 1e4, "costs": {"macs": 10**6 - i}, "blocks": "8: k3e3"} for i in range(5000)
    ]
    front = figures.pareto_front(entries, []).data[0]
    assert len(front.x) <= 2000
    assert [entries[i]["costs"]["macs"] for i in front.customdata] == list(front.x)
