"""Printed commands: a shell reads them back as they were meant, in a checkout and installed."""

import ast
import shlex

import pytest

from dna_tf import workdirs
from dna_tf.common import commands
from tests.project import rooms

WORDS = (
    "--workdir=runs/digits",
    "--workdir=my run (1)",
    "--arch=a'b",
    '--output=say "hi".json',
    "--x=$(rm -rf ~)`id`",
    "--x=a\\b!c",
    "--config.export.float_layers=('block1','x y',)",
    "--x=line\nbreak",
    "--x=a;b|c&d<e>f*g?",
    "~/x",
    "",
)


@pytest.mark.parametrize("word", WORDS)
def test_a_shell_reads_each_word_back(word):
    assert shlex.split(commands.line("rate", word)) == ["python", "-m", "tools.rate", word]
    assert ("'" in commands.quote("--workdir=runs/digits-1.5M_2")) is False


def test_a_comment_stays_one_comment():
    text = commands.line("rate", "--a=1", comment="on a\nrm -rf x")
    assert text == "python -m tools.rate --a=1    # on a rm -rf x"


def test_an_installation_has_other_names(tmp_path, monkeypatch):
    for folder in ("tools", "configs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "configs/digits.py").touch()
    assert commands.config_path("digits") == "configs/digits.py"
    monkeypatch.setattr(commands, "FOLDER", tmp_path)
    assert commands.line("rate") == "python -m dna_tf.tools.rate"
    path = f"{tmp_path}/configs/digits.py"
    text = workdirs.command("config", "my run")
    assert shlex.split(text)[3:] == [f"--config={path}", "--workdir=my run"]
    assert commands.in_help("x python -m tools.rate") == "x python -m dna_tf.tools.rate"


def test_arguments_that_the_locale_could_not_read_are_named():
    good = ["--workdir=Läufe/画像", "--seed=0"]
    commands.check_readable(good)
    read = [word.encode().decode("ascii", "surrogateescape") for word in good]  # as Python does
    with pytest.raises(ValueError, match=r"'--workdir=L.udcc3.udca4ufe/.* Set PYTHONUTF8=1"):
        commands.check_readable(read)


def test_no_other_place_writes_a_command():
    """All others would forget quotes and the names of an installation."""
    places = []
    for path in [*(rooms.ROOT / "dna_tf").rglob("*.py"), *(rooms.ROOT / "tools").glob("*.py")]:
        tree = ast.parse(path.read_text())
        stories = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and "-m tools" in text and id(node) not in stories:
                places.append(f"{path.relative_to(rooms.ROOT)}:{node.lineno}")
    assert not places, "\n".join(places)
