"""Progress in logs: whole lines with rate and time left, none of them redrawn."""

from dna_tf.common import progress


def test_lines_of_a_log_have_count_rate_and_time_left(capsys):
    seen = list(progress.track(range(3), "rating", "path"))
    lines = capsys.readouterr().err.splitlines()
    assert seen == [0, 1, 2]
    assert lines[-1].startswith("rating: 3/3 paths, ") and "path/s" in lines[-1]
    assert "left" in lines[-1]
    assert all("\r" not in line for line in lines)


def test_a_resumed_run_starts_where_it_was(capsys):
    with progress.bar("teacher", 10, "step", initial=7) as bar:
        bar.update(3)
    assert "teacher: 10/10 steps" in capsys.readouterr().err


def test_warnings_go_to_standard_error_and_a_hidden_bar_shows_nothing(capsys):
    with progress.bar("teacher", 10, "step", hidden=True) as bar:
        bar.update(3)
        progress.warn("block1_cell2 failed")
        bar.set_postfix_str("loss 0.5", refresh=False)
    assert capsys.readouterr() == ("", "warning: block1_cell2 failed\n")
