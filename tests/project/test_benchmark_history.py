"""Figures of benchmarks by commit, and their comparison."""

import json
import sys

import pytest

from benchmarks import history, run_all
from dna_tf.common import files


def _content(figures, calibration=0.1, busy=False, date="2026-11-27T10:00:00", machine="a"):
    run = {"command": "python -m benchmarks.search --json", "seed": 0, "busy": busy}
    run |= {"figures": figures, "calibration_s": calibration}
    content = {"kind": history.KIND, "commit": "abc", "machine": machine, "date": date}
    return {**content, "benchmarks": {"search": run}}


def test_seconds_are_compared_as_multiples_of_the_calibration():
    before = _content({"best_s": 1.0, "best_s_noise": 2.0, "peak_gib": 1.0, "speedup": 2.0})
    # A machine that is half as fast; `best_s_noise` is slower beyond that, and memory rose.
    after = _content(
        {"best_s": 2.0, "best_s_noise": 6.0, "peak_gib": 1.5, "speedup": 1.0, "new_s": 1.0}, 0.2
    )
    changes = {change.name: change for change in history.compare(before, after)}
    assert set(changes) == {
        f"search.{n}" for n in ("best_s", "best_s_noise", "peak_gib", "speedup")
    }
    assert (changes["search.best_s"].ratio, changes["search.best_s"].is_slower) == (1.0, False)
    assert changes["search.best_s_noise"].ratio == 1.5 and changes["search.best_s_noise"].is_slower
    assert changes["search.peak_gib"].ratio == 1.5 and changes["search.peak_gib"].is_slower
    assert changes["search.speedup"].is_slower is None
    texts = history.lines(changes.values())
    assert [text.startswith("SLOWER") for text in texts] == [True, True, False, False]
    assert "2 -> 6  ratio 1.50" in texts[0]
    disturbed = history.lines(changes.values(), with_figures=False)
    assert "->" not in "".join(disturbed) and "SLOWER" not in "".join(disturbed)
    assert disturbed[0] == "slower, or disturbed: search.best_s_noise: ratio 1.50"
    nothing = history.compare(_content({"best_s": 0.0}), after)[0]
    assert nothing.ratio is None and nothing.is_slower is None


@pytest.mark.parametrize(
    ("before", "after", "load", "expected"),
    [
        (0.1, 0.11, 0.3, False),
        (0.1, 0.13, 0.3, True),
        (0.13, 0.1, 0.3, True),
        (0.1, 0.1, 1.5, True),
    ],
)
def test_other_work_is_seen(before, after, load, expected):
    assert history.is_busy(before, after, load, cores=2) is expected


def test_the_calibration_is_some_work():
    assert 0 < history.calibrate(rounds=1) < 60


def test_the_newest_file_of_the_machine_is_taken(tmp_path):
    assert history.latest(tmp_path, "a") is None
    for name, date, machine in (
        ("x", "2026-01", "a"),
        ("y", "2026-03", "a"),
        ("z", "2026-09", "b"),
    ):
        files.write_json(tmp_path / f"{name}.json", _content({}, date=date, machine=machine))
    assert history.latest(tmp_path, "a")[0] == tmp_path / "y.json"
    assert history.latest(tmp_path, "a", without=tmp_path / "y.json")[0] == tmp_path / "x.json"
    (tmp_path / "w.json").write_text('{"kind": "dna_tf.teacher"}')
    with pytest.raises(ValueError, match=r"w\.json"):
        history.latest(tmp_path, "a")


def test_a_benchmark_runs_in_a_process_of_its_own(monkeypatch, capsys):
    report = {"figures": {"best_s": 1.5}, "command": "python -m it", "seed": 3, "machine": "a"}
    monkeypatch.setattr(history, "calibrate", lambda: 0.1)
    monkeypatch.setattr(run_all.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    calls = []

    def run(command, **_):
        calls.append(command)
        return type("Done", (), {"returncode": 0, "stdout": f"words\n{json.dumps(report)}\n"})

    monkeypatch.setattr(run_all.subprocess, "run", run)
    kept = run_all.run_one("search")
    assert calls == [[sys.executable, "-m", "benchmarks.search", "--json"]]
    assert kept == {
        "figures": {"best_s": 1.5},
        "command": "python -m it",
        "seed": 3,
        "calibration_s": 0.1,
        "busy": False,
    }
    assert "best_s: 1.5" in capsys.readouterr().out
    monkeypatch.setattr(run_all.os, "getloadavg", lambda: (9.0, 0.0, 0.0))
    assert run_all.run_one("search")["busy"]
    out = capsys.readouterr().out
    assert "only ratios can be read" in out and "best_s" not in out


def test_every_benchmark_with_figures_is_run():
    folder = files.as_path(run_all.__file__).parent
    reporting = {path.stem for path in folder.glob("*.py") if "machine.report(" in path.read_text()}
    # They are about one model or its steps, and take its file.
    assert reporting - {"networks", "step_profile"} == set(run_all.BENCHMARKS)
