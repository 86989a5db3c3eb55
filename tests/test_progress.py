"""Progress in logs: whole lines with rate and time left, none of them redrawn."""

from dna_tf import progress


def test_lines_of_a_log_have_count_rate_and_time_left(capsys):
    seen = list(progress.track(range(3), "rating", "path"))
    lines = capsys.readouterr().err.splitlines()
    assert seen == [0, 1, 2]
    assert lines[-1].startswith("rating: 3/3 paths, ") and "path/s" in lines[-1]
    assert "left" in lines[-1]
    assert all("\r" not in line for line in lines)


def test_a_resumed_run_starts_where_it_was(capsys):
    with progress.bar("teacher", 10, "step", initial=7) as shown:
        shown.update(3)
    assert "teacher: 10/10 steps" in capsys.readouterr().err
