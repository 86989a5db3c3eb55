"""The report of a run that compressed a model: its numbers are those of the files."""

import json
import shutil

import pytest

from dna_tf.common import files
from dna_tf.report import report_page, run_data
from dna_tf.space import assemblies
from tests.helpers import compressed_runs
from tests.helpers.report_runs import ANCHORS, Page, make_workdir

ALL = (
    "compressed", "assemblies", "teacher", "supernet", "ratings", "replacing", "additivity",
    "agreement",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    kl = compressed_runs.write_run(path)
    compressed_runs.write_additivity(path, kl)
    compressed_runs.write_agreement(path)
    return path


@pytest.fixture(scope="module")
def page(folder):
    return Page(report_page.write_report(folder).read_text())


def anchors(page):
    return tuple(a["id"] for tag, a in page.elements if tag == "section")


def test_the_sections_are_those_of_a_compression(page):
    assert anchors(page) == ALL
    assert "tools." not in "".join(page.texts.values())
    assert "A model, compressed: folder:images" in page.texts[""]
    assert "from scratch" not in page.texts[""]
    assert "MACs ≤ 500k; parameters ≤ 10k" in page.texts[""] and "7 epochs" in page.texts[""]


def test_the_table_has_the_rows_of_the_files(folder, page):
    table = page.tables["compressed"][0]
    assert [text for text, _ in table[0]] == [
        "network|", "MACs|", "parameters|", "int8 kB|", "peak kB|", "test accuracy|",
        "95 % Wilson|", "agrees|", "KL, nats|",
    ]  # fmt: skip
    teacher, *rows = table[1:]
    assert teacher[0][0] == "teacher|the model itself|"
    assert teacher[1] == ["700.1k|", "700,096"] and teacher[5][0] == "96.00 %|"
    expected = []
    for name, correct in (("max_macs_half", 40), ("max_params_10k", 41)):
        costs = assemblies.load(folder / f"compressed/{name}/assembly.json").costs()
        expected += [(name, "assembled", correct - 5, costs), (name, "fine-tuned", correct, costs)]
    expected.sort(key=lambda row: (row[3]["macs"], row[0]))  # the cheapest first
    for row, (name, what, correct, costs) in zip(rows, expected, strict=True):
        assert row[0][0].startswith(f"{name}|{what}")
        assert row[1][1] == f"{costs['macs']:,}" and row[2][1] == f"{costs['params']:,}"
        assert f"|{100 * costs['macs'] / 700_096:.0f} %|" in row[1][0]
        assert row[5][0] == f"{100 * correct / 50:.2f} %|"
        assert f"{correct} of 50 right" in row[6][0]
        assert row[8][1] == ("0.3125" if what == "assembled" else "0.0475")
    exports = page.tables["compressed"][1]
    assert [text for text, _ in exports[2]][1:3] == ["int8|", "12.3 kB|"]
    assert [text for text, _ in exports[2]][3:] == ["80.00 %|", "98.00 %|", "yes|"]
    assert "accuracy of 80.0 % (95 % interval 67.0 to 88.8 %)" in page.texts["compressed"]


def test_the_choices_are_those_of_the_assembly(folder, page):
    assembly = assemblies.load(folder / "compressed/max_macs_half/assembly.json")
    heads = [text.rstrip("|") for text, _ in page.tables["compressed"][2][0]]
    column = heads.index("max_macs_half")
    for b, part in enumerate(assembly.parts):
        text, title = page.row("compressed", f"block {b + 1}", table=2)[column]
        own = assembly.describe().split(" | ")[b]
        assert text.startswith("own block" if part.is_own else own + "|")
        assert f"{part.rating:.4f} nats" in text or part.is_own
        assert title.startswith("" if part.is_own else f"cell {part.cell + 1}: ")
    assert any(part.is_own for part in assembly.parts) or assembly.rating > 0
    total, _ = page.row("compressed", "all", table=2)[column]
    assert total.startswith(f"{assembly.rating:.4f} nats|")


def test_the_front_goes_from_the_teacher_down(folder, page):
    run = run_data.read_run(folder)
    front = run.compression.front()
    (first, text), (last, _) = front[0], front[-1]
    assert (text, first.rating, first.costs["macs"]) == ("own | own", 0.0, 700_096)
    assert last.costs["macs"] == run.compression.problem().lowest("macs")
    rows = page.tables["assemblies"][0][1:]
    assert len(rows) == len(front) > 3
    for row, (choice, blocks) in zip(rows, front, strict=True):
        assert row[0][0] == f"{blocks}|"
        assert row[1][1] == f"{int(choice.costs['macs']):,}"
        assert row[3][0] == f"{choice.rating:.4f}|"
    for student in run.compression.students:
        for each in student.candidates:
            words = f"predicted {each.rating:.4f} nats, measured {each.kl:.4f} nats"
            assert f"{words}; of {student.name}" in page.texts["assemblies"]
        assert f"{student.tuned.correct} of 50 right" in page.texts["assemblies"]


def test_additivity_and_agreement_are_those_of_the_files(page):
    rows = [[text for text, _ in row] for row in page.tables["additivity"][0]]
    assert rows[1] == ["relative L1|", "+0.25|", "−0.50 to +0.75|", ""]
    assert rows[2] == ["divergence, by replacing|", "+0.62|", "+0.38 to +0.88|", "0.50|"]
    assert [row[0] for row in rows[3:]] == ["MACs alone|", "parameters alone|"]
    assert "3 networks were drawn" in page.texts["additivity"]
    assert "network 2: MACs alone 500k, measured 0.6250" in page.texts["additivity"]
    assert "network 0: parameters alone 5k, measured 0.1250" in page.texts["additivity"]
    rows = [[text for text, _ in row] for row in page.tables["agreement"][0]]
    assert rows[0][2:] == ["relative L1|", "divergence, by replacing|"]
    assert rows[4] == ["block2 cell2|", "8|", "+0.40|+0.05 to +0.75|", "−0.40|"]
    assert rows[5] == ["mean of the cells|", "", "+0.25|", "−0.25|"]


def test_the_cells_have_their_gap(folder, page):
    run = run_data.read_run(folder)
    row = [text for text, _ in page.row("replacing", "block2 cell2")]
    kl, mse = run.compression.replaced[1, 1].kl, run.compression.mse[1, 1]
    assert row[:2] == ["block2 cell2|3 × 16", "8|6 measured"]
    assert row[2].startswith(f"{kl.min():.4f}") and row[4] == "0.0125"
    assert row[5:] == ["0.3000", f"{mse.mean():.4f}", f"{mse.mean() / 0.3:.2f}"]


def test_a_panel_for_each_cell_rings_the_paths_of_the_students(folder, page):
    run, rings = run_data.read_run(folder), 0
    for b, c in run.compression.replaced:
        paths = {s.assembly.parts[b].path for s in run.compression.students if s.has(b, c)}
        rings += len(paths)
        for path in paths:
            kl = run.compression.replaced[b, c].kl[run.space.path_index(b, c, path)]
            assert f"rating {kl:.4f}" in page.texts["replacing"]
    looks = [attributes.get("class") for tag, attributes in page.elements if tag == "circle"]
    assert looks.count("taken") == rings > 0


def test_what_is_missing_is_left_out(folder, tmp_path):
    for gone, left in (
        ("additivity.json", set(ALL) - {"additivity"}),
        ("seeds", set(ALL) - {"agreement"}),
        ("replacements/block1_cell1.json", set(ALL) - {"assemblies", "replacing"}),
    ):
        copy = shutil.copytree(folder, tmp_path / f"run{len(left)}" / gone[:4])
        shutil.move(copy / gone, tmp_path / gone[:4])
        assert set(anchors(Page(report_page.write_report(copy).read_text()))) == left
    copy = shutil.copytree(folder, tmp_path / "no ratings")
    shutil.rmtree(copy / "supernet")
    shutil.rmtree(copy / "compressed/max_macs_half/exports")
    one = Page(report_page.write_report(copy).read_text())
    assert "ratio" not in one.texts["replacing"]
    assert "12.3 kB" in one.texts["compressed"]  # of the other student


def test_broken_files_are_notes(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "run")
    (copy / "additivity.json").write_text('{"kind": "dna_tf.additivity"}')
    (copy / "seeds/1/agreement.json").write_text("[")
    result = json.loads((copy / "compressed/max_macs_half/result.json").read_text())
    del result["table"][1]["kl"]
    files.write_json(copy / "compressed/max_macs_half/result.json", result)
    one = Page(report_page.write_report(copy).read_text())
    text = one.texts["compressed"]
    assert "additivity.json has no 'orders'" in text and "not complete JSON" in text
    assert "has no 'kl'" in text and "max_macs_half" not in one.texts["assemblies"]
    assert {"additivity", "agreement"}.isdisjoint(anchors(one))
    teacher = json.loads((copy / "teacher/result.json").read_text())
    files.write_json(copy / "teacher/result.json", {**teacher, "fingerprint": "another"})
    one = Page(report_page.write_report(copy).read_text())
    assert anchors(one) == ("compressed", *ANCHORS)
    assert "is of another teacher than the run's" in one.texts["compressed"]


def test_names_are_escaped(tmp_path):
    name = "<img src=x onerror=alert(1)>\"'&"
    compressed_runs.write_run(tmp_path, {"half": {"max_macs": 500_000}})
    (tmp_path / "compressed/half").rename(tmp_path / "compressed" / name)
    path = tmp_path / "compressed" / name / "result.json"
    result = json.loads(path.read_text())
    result["realised"][0]["assembly"] = result["table"][2]["name"] = name
    result["table"][2]["costs"][name] = 1.5
    files.write_json(path, result)
    compressed_runs.write_additivity(
        tmp_path, run_data.read_run(tmp_path).compression.problem().measured
    )
    content = json.loads((tmp_path / "additivity.json").read_text())
    content["networks"][0]["assembly"] = name
    files.write_json(tmp_path / "additivity.json", content)
    compressed_runs.write_agreement(tmp_path)
    content = json.loads((tmp_path / "seeds/1/agreement.json").read_text())
    content["cells"][0]["cell"] = name
    files.write_json(tmp_path / "seeds/1/agreement.json", content)
    one = Page(report_page.write_report(tmp_path).read_text())
    assert "img" not in [tag for tag, _ in one.elements]
    for section in ("compressed", "assemblies", "additivity", "agreement"):
        assert name.replace("_", " ") in one.texts[section].replace("_", " "), section


def test_a_run_without_students_has_none_of_it(tmp_path):
    text = report_page.write_report(make_workdir(tmp_path)).read_text()
    assert anchors(Page(text)) == ANCHORS
    assert ".plots{" not in text and ".swatches" not in text


def test_a_run_that_also_searched_has_both(tmp_path):
    folder = make_workdir(tmp_path)
    compressed_runs.write_agreement(folder)
    one = Page(report_page.write_report(folder).read_text())
    assert anchors(one) == (*ANCHORS, "agreement")
    assert "Blockwise architecture search" in one.texts[""]
