"""README.md and docs/: every command that they show has flags and values that the tools take."""

import re
import shlex

import pytest

from tests.helpers import parsed_commands, tool_runs

DOCUMENTS = ("README.md", *sorted(f"docs/{p.name}" for p in tool_runs.ROOT.glob("docs/*.md")))
# A config file of the reader's own, which lies in no folder of the project.
OWN_CONFIG = re.compile(r"^--config=\w+\.py$")


def _commands(text):
    """The commands of a text, as lists of words after `tools.`; optional flags are given."""
    # To the end of the code or of the line; lines that start with a flag go on.
    found = re.findall(r"python -m tools\.((?:[^`|#\n]|\n(?=--))+)", text.replace("\\\n", " "))
    words = (shlex.split(re.sub(r"[\[\]]", "", one)) for one in found)
    return [
        [OWN_CONFIG.sub("--config=tests/helpers/tiny_config.py", word) for word in one]
        for one in words
    ]


@pytest.fixture(scope="module")
def parsed():
    """What each command of each document parses to, by the document's name."""
    listed = {name: _commands((tool_runs.ROOT / name).read_text()) for name in DOCUMENTS}
    results = iter(parsed_commands.parse_all([one for each in listed.values() for one in each]))
    return {name: [(" ".join(one), next(results)) for one in listed[name]] for name in DOCUMENTS}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_a_document_parse(name, parsed):
    for command, result in parsed[name]:
        assert not result["error"], f"{command}: {result['error']}"


def test_commands_are_found_in_tables_text_and_blocks(parsed):
    found = {name: [command for command, _ in commands] for name, commands in parsed.items()}
    assert "quickstart --workdir=runs/digits" in found["README.md"]
    assert "summary --arch=NAME_OR_FILE --json" in found["README.md"]
    assert any(
        "latency_table" in command and "--cores=" in command for command in found["docs/latency.md"]
    )
    assert _commands("`python -m tools.a --b=1\n--c=2` and\n    python -m tools.d \\\n  --e") == [
        ["a", "--b=1", "--c=2"], ["d", "--e"],
    ]  # fmt: skip
