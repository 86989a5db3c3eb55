"""README, CONTRIBUTING, CHANGELOG and docs/: commands parse, links resolve, text is readable."""

import ast
import importlib.util
import re
import shlex

import pytest

import dna_tf
from tests.helpers import parsed_commands
from tests.project import rooms

ROOT = rooms.ROOT
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
)
# A config file that the reader writes; it is in no folder of the project.
OWN_CONFIG = re.compile(r"^--config=\w+\.py$")
MOST_CHARACTERS = 140


def text_of(name):
    return (ROOT / name).read_text()


def tool_commands(text):
    """The commands of a text as lists of words after `tools.`, with optional flags included."""
    # A command ends with the code or the line; a next line that starts with a flag continues it.
    commands = re.findall(r"python -m tools\.((?:[^`|#\n]|\n(?=--))+)", text.replace("\\\n", " "))
    words = (shlex.split(re.sub(r"[\[\]]", "", command)) for command in commands)
    return [
        [OWN_CONFIG.sub("--config=tests/helpers/tiny_config.py", word) for word in command]
        for command in words
    ]


def code_blocks(text):
    """Yields `(language, code)` for each fenced block of a text."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def without_code(text):
    """A text without its fenced blocks and without code inside lines."""
    return re.sub(r"`[^`\n]+`", "``", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def anchors(text):
    """The anchors of a text's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def parsed():
    """A dict from document to `(command, result of its parsing)` for each of its commands."""
    listed = {name: tool_commands(text_of(name)) for name in DOCUMENTS}
    commands = [command for of_document in listed.values() for command in of_document]
    results = iter(parsed_commands.parse_all(commands))
    return {
        name: [(" ".join(command), next(results)) for command in listed[name]] for name in DOCUMENTS
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_a_document_parse(name, parsed):
    for command, result in parsed[name]:
        assert not result["error"], f"{command}: {result['error']}"


def test_commands_are_found_in_tables_text_and_blocks(parsed):
    listed = {name: [command for command, _ in commands] for name, commands in parsed.items()}
    assert "quickstart --workdir=runs/digits" in listed["README.md"]
    assert "summary --arch=NAME_OR_FILE --json" in listed["docs/guide/tools.md"]
    assert any(
        "latency_table" in command and "--cores=" in command
        for command in listed["docs/guide/latency.md"]
    )
    text = "`python -m tools.a --b=1\n--c=2` and\n    python -m tools.d \\\n  --e"
    assert tool_commands(text) == [["a", "--b=1", "--c=2"], ["d", "--e"]]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_other_commands_of_a_document_name_modules_and_tests_that_exist(name):
    for module in re.findall(r"python -m ((?:benchmarks|tests)[\w.]*)", text_of(name)):
        assert importlib.util.find_spec(module.rstrip(".")), module
    for path in re.findall(r"pytest [^`\n]*?(tests/[\w/.]+)", text_of(name)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_links_of_a_document_resolve(name):
    links = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", without_code(text_of(name)))
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{name} links to {link}, and {target} does not exist."
        if anchor:
            assert anchor in anchors(target.read_text()), f"{name}: {link} has no such heading."


def test_every_page_is_linked_from_the_index():
    index = text_of("docs/index.md")
    pages = [name.removeprefix("docs/") for name in DOCUMENTS if name.startswith("docs/")]
    assert [page for page in pages if f"]({page})" not in index and page != "index.md"] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_line_of_prose_is_too_long(name):
    prose = re.sub(r"^```.*?^```$", "", text_of(name), flags=re.M | re.S).splitlines()
    long = [line for line in prose if len(line) > MOST_CHARACTERS and not line.startswith("|")]
    assert not long, "\n".join(long)


def test_readme_and_contributing_are_short():
    assert len(text_of("README.md").splitlines()) <= 135
    assert len(text_of("CONTRIBUTING.md").splitlines()) <= 80


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_files_that_a_document_names_exist(name):
    for path in re.findall(r"`([\w./]+/[\w.]+\.(?:py|md))`", text_of(name)):
        if re.search("[A-Z]{3}", path.removesuffix(".md")):  # a placeholder such as NAME.py
            continue
        folders = (ROOT, ROOT / "dna_tf", (ROOT / name).parent)
        assert any((folder / path).exists() for folder in folders), f"{name} names {path}."


# The examples of the API page are run by test_api.py.
@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "docs/api.md"])
def test_the_python_of_a_document_parses(name):
    for language, code in code_blocks(text_of(name)):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "dna_tf":
                    assert hasattr(dna_tf, node.attr), f"{name}: dna_tf.{node.attr}"


@pytest.mark.parametrize("name", ["README.md", "docs/rooms.md"])
def test_the_map_of_rooms_has_the_sentence_of_each_room(name):
    rows = re.findall(r"^\| \[`([\w.]+)`\]\(\S+\) \| (.*) \|$", text_of(name), re.M)
    sentences = {}
    for room in rooms.LEVEL:
        path = ROOT / "dna_tf" / room
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        docstring = ast.get_docstring(ast.parse(source.read_text()))
        sentences[room if path.is_dir() else f"{room}.py"] = docstring.partition("\n")[0]
    assert dict(rows) == sentences
