"""Writes docs/api.md from the docstrings of the public names.

python -m tests.project.api_page           # says whether the page is out of date
python -m tests.project.api_page --write   # writes it
"""

import argparse
import inspect
import re
import sys

import dna_tf
from tests.project import rooms

PAGE = rooms.ROOT / "docs/api.md"
HEADER = """\
# The Python API

Written by `python -m tests.project.api_page --write` from the docstrings; do not edit.

`import dna_tf` gives these names. Each is loaded on first use. Every function takes values: a
`keras.Model`, arrays, numbers. The phases of the command line call the same functions with the
values of a config, so a script and a command line give the same results.
"""


def example_of(value):
    """Returns the code of a docstring's `Example:` section, or `""`."""
    match = re.search(r"^Examples?:\n((?:[ ].*\n|\n)*)", f"{inspect.getdoc(value)}\n", flags=re.M)
    return inspect.cleandoc(match[1]) if match else ""


def page():
    """Returns the text of docs/api.md."""
    parts = [HEADER]
    names = [name for name in dna_tf.__all__ if name != "recipes"]
    parts.append(
        "\n".join(f"- [`{name}`](#{name.lower()}): {_first(name)}" for name in names) + "\n"
    )
    for name in names:
        parts.append(_section(name, getattr(dna_tf, name)))
    parts.append(_recipes())
    return "\n".join(parts)


def _first(name):
    return inspect.getdoc(getattr(dna_tf, name)).partition("\n\n")[0].replace("\n", " ")


def _section(name, value):
    lines = [f"## {name}", "", "```python", *_signature(name, value), "```", ""]
    lines += _prose(inspect.getdoc(value))
    return "\n".join(lines).rstrip() + "\n"


def _signature(name, value):
    """The signature as lines of at most 100 characters; types without their modules."""
    signature = inspect.signature(value)
    parameters, keyword = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword:
            parameters.append("*")
            keyword = True
        parameters.append(_parameter(parameter))
    returned = signature.return_annotation
    arrow = "" if returned is signature.empty else f" -> {_type(returned)}"
    line = f"{name}({', '.join(parameters)}){arrow}"
    if len(line) <= 100:
        return [line]
    return [f"{name}(", *(f"    {parameter}," for parameter in parameters), f"){arrow}"]


def _parameter(parameter):
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {parameter.default!r}"
    return text


def _type(annotation):
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"(?:[A-Za-z_]\w*\.)+(\w+)", r"\1", text)


def _prose(doc):
    """A docstring as Markdown: its sections as bold titles, arguments as list items."""
    lines, section = [], ""
    for line in doc.splitlines():
        title = re.fullmatch(r"(Args|Attributes|Returns|Raises|Examples?|Yields):", line)
        if title:
            if section.startswith("Example"):
                lines.append("```")
            section = title[1]
            lines += [f"**{section}**", ""]
            if section.startswith("Example"):
                lines.append("```python")
        elif section in ("Args", "Attributes", "Raises") and re.match(r"    \S", line):
            item = re.match(r"    ([\w, *.`]+): (.*)", line)
            lines.append(f"- `{item[1].strip('`')}`: {item[2]}" if item else f"- {line.strip()}")
        else:
            lines.append(line[4:] if section and line.startswith("    ") else line)
    while lines and not lines[-1].strip():
        lines.pop()
    if section.startswith("Example"):
        lines.append("```")
    text = "\n".join(lines)
    text = re.sub(r"```python\n+", "```python\n", text)
    return re.sub(r"\n\n```\n", "\n```\n\n", text).splitlines()


def _recipes():
    lines = ["## recipes", "", "Recipes by name: `dna_tf.recipes.small()` is a value for "]
    lines[-1] += "`train_student`; in a config file `recipes.small(config)` changes the config.\n"
    module = dna_tf.recipes
    for name, value in inspect.getmembers(module, inspect.isfunction):
        if value.__module__ == module.__name__ and not name.startswith("_"):
            first = inspect.getdoc(value).partition("\n\n")[0].replace("\n", " ")
            lines.append(f"- `recipes.{name}{inspect.signature(value)}`: {first}")
    return "\n".join(lines) + "\n"


def main():
    """Writes the page, or says whether it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the page")
    write = parser.parse_args().write
    text = page()
    stale = not PAGE.exists() or PAGE.read_text() != text
    if stale and write:
        PAGE.write_text(text)
    if stale:
        print(f"{'written' if write else 'out of date'}: {PAGE.relative_to(rooms.ROOT)}")
    sys.exit(1 if stale and not write else 0)


if __name__ == "__main__":
    main()
