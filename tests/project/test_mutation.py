"""The mutation script: every kind of change, one at a time, and none in words."""

import ast
import subprocess
import sys

from tests.project import mutation

SOURCE = '''"""Doc 1."""
LIMIT = 3


def f(x: "int" = 2):
    """Doc 2."""
    y = x + 1
    if y < LIMIT and not x:
        raise ValueError(f"{y + 1} is below {1 + 1}")
    while True:
        break
    print("words", y)
    return x * 2
'''


def test_every_kind_of_change_is_made_alone_and_none_in_words():
    made_of = {mutant.what: mutant for mutant in mutation.mutants(SOURCE)}
    assert set(made_of) == {
        "3 becomes 4", "2 becomes 3", "1 becomes 2", "Add becomes Sub", "Lt becomes LtE",
        "And becomes Or", "the condition is negated", "True becomes False", "Mult becomes Add",
        "None is returned", "left out in line 7: y = x + 1",
        "left out in line 12: print('words', y)", "left out in line 11: break",
        "left out in line 9: raise ValueError(f'{y + 1} is below {1 + 1}')",
    }  # fmt: skip
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for mutant in made_of.values():
        changed = mutant.source().splitlines()
        assert len(changed) == len(plain)
        assert sum(a != b for a, b in zip(changed, plain, strict=True)) == 1
    assert len({mutant.name for mutant in made_of.values()}) == len(made_of)


def test_a_mutant_lives_if_its_tests_pass_and_dies_if_they_fail_or_do_not_end(tmp_path):
    (tmp_path / "test_it.py").write_text("import m\n\n\ndef test_it():\n    assert m.f() == 1\n")
    for source, lives in (
        ("def f(): return 1\n", True),
        ("def f(): return 2\n", False),
        ("def f():\n    while True: pass\n", False),
    ):
        (tmp_path / "m.py").write_text(source)
        limit = 2.0 if "while" in source else None
        assert mutation.passes(tmp_path, ["test_it.py", "--rootdir=."], limit) == lives


def test_its_command_line_explains_itself():
    words = [sys.executable, "-m", "tests.project.mutation", "--help"]
    run = subprocess.run(words, capture_output=True, text=True, cwd=mutation.rooms.ROOT)
    assert run.returncode == 0 and "--module" in run.stdout
