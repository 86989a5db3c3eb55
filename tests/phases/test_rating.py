"""The rating phase: which cells it rates, and that its settings and files are those of a run."""

import shutil
import subprocess
import sys
import types

from dna_tf.phases import rating
from dna_tf.space import presets, spaces
from dna_tf.supernet import cell_rating, phase_settings
from tests.helpers import rated_runs, tool_runs


def test_a_share_is_of_the_space_whatever_is_trained_by_now(tmp_path, monkeypatch):
    workdir, config, _ = rated_runs.rated_run(tmp_path / "run")
    shutil.rmtree(workdir.ratings)
    teacher = types.SimpleNamespace(shapes=None)
    run = types.SimpleNamespace(workdir=workdir, config=config, teacher=teacher, images=None)
    monkeypatch.setattr(rating.runs, "open_run", lambda *_: run)
    monkeypatch.setattr(rating.cell_files, "load", lambda folder, space, shapes, names: names)
    monkeypatch.setattr(rating.cell_rating, "rate_cells", lambda names, *_, **settings: names)
    places = {spaces.cell_name(b, c): (b, c) for b, c, _ in presets.get_space(config.space).cells()}

    def part_of(share):
        return [places[name] for name in rating.rate(workdir, config, share)]

    parts = [part_of((i, 2)) for i in range(2)]
    assert parts == [[(0, 1)], [(0, 0), (1, 0)]]
    for name in ("block1_cell1", "block1_cell2"):
        path = workdir.cell(name)
        content = path.read_bytes()
        path.unlink()
        remaining = [part_of((i, 2)) for i in range(2)]
        path.write_bytes(content)
        assert remaining == [[p for p in part if spaces.cell_name(*p) != name] for part in parts]


def test_ratings_of_a_run_have_the_identity_that_the_search_asks_for(tmp_path):
    workdir, config, _ = rated_runs.rated_run(tmp_path / "run")
    config.rating.batches = 7
    settings = phase_settings.of_section(phase_settings.RatingSettings, config.rating)
    for name in ("block1_cell1", "block2_cell1"):
        cell = workdir.cell_result(name)["fingerprint"]
        data = workdir.teacher_result()["data_fingerprint"]
        identities = cell_rating.rating_identities(cell, data, settings, config.seed)
        assert identities == workdir.ratings_fingerprints(config, name)
        assert identities[0] == workdir.ratings_made_from(config, name)


def test_the_benchmark_says_what_it_needs():
    words = [sys.executable, "-m", "benchmarks.rating", "--space=digits"]
    done = subprocess.run(words, cwd=tool_runs.ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "'digits' has no cell of four layers" in done.stderr and "--space=dna" in done.stderr
