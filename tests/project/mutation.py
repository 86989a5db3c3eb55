"""Who watches the tests: changes one thing in a module, and looks whether its tests notice.

    python -m tests.project.mutation --module dna_tf/search/exact.py \\
        --tests tests/search/test_exact.py --seed 0 --count 40

Each mutant is the module with one change: a comparison, an operator, a number, a condition, a
returned value, or a statement left out. It is tested in a copy of the project, with a time limit.
The tests kill a mutant if they fail or do not end. Mutants that live are listed: each is a test
that is missing, or a change that makes no difference. With --load=tensorflow,keras these packages
are imported once, and the tests of each mutant run in a fork.

Outcomes are kept in the file --record, one line each, so that the same command goes on where it
was stopped.
"""

import argparse
import ast
import dataclasses
import hashlib
import importlib
import json
import math
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

import pytest

from tests.project import rooms

_SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_LEFT_OUT = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Continue, ast.Break)
_LEAST_SECONDS, _TIMES_AS_LONG = 30.0, 5.0  # the limit of a mutant's tests
_PAUSE = 0.05  # seconds between looks at tests that run
_NOT_COPIED = (
    ".git",
    ".venv",
    "runs",
    "__pycache__",
    ".pytest_cache",
    ".hypothesis",
    ".ruff_cache",
)


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Args:
        module: the text of the module.
        node: which node is changed, in the order of `ast.walk`.
        number: which of the changes of this node it is.
        line: where.
        what: the change, in words.
    """

    module: str
    node: int
    number: int
    line: int
    what: str

    @property
    def name(self):
        """Identifies the mutant, whatever the others are."""
        text = f"{self.module} {self.node} {self.number} {self.what}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def source(self):
        """The text of the changed module."""
        tree = ast.parse(self.module)
        node = list(ast.walk(tree))[self.node]
        _, change = list(_changes(node))[self.number]
        change(node)
        return ast.unparse(ast.fix_missing_locations(tree))


def mutants(module):
    """All mutants of the text of a module, in the order of its lines.

    Texts, annotations, imports and docstrings are not changed.
    """
    tree = ast.parse(module)
    numbers = {node: number for number, node in enumerate(ast.walk(tree))}
    every = [
        Mutant(module, numbers[node], number, getattr(node, "lineno", 0), what)
        for node in _code(tree)
        for number, (what, _) in enumerate(_changes(node))
    ]
    return sorted(every, key=lambda mutant: (mutant.line, mutant.node, mutant.number))


def _code(tree):
    """The nodes of a tree that are run and are not texts, annotations or defaults of fields."""
    skipped = set()
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if isinstance(getattr(node, name, None), ast.AST):
                skipped |= set(ast.walk(getattr(node, name)))
        if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
            skipped |= set(ast.walk(node))
        if isinstance(node, ast.Raise) and node.exc is not None:
            skipped |= set(ast.walk(node.exc))  # the words of an error
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node)  # a docstring
    return [node for node in ast.walk(tree) if node not in skipped]


def _changes(node):
    """Yields `(what, function that changes the node)` for each change of one node."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            swap = _SWAPS[type(operator)]
            yield _words(operator, swap), lambda n, i=index, s=swap: n.ops.__setitem__(i, s())
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in _SWAPS:
        swap = _SWAPS[type(node.op)]
        yield _words(node.op, swap), lambda n: setattr(n, "op", swap())
    elif isinstance(node, ast.Constant) and type(node.value) in (bool, int, float):
        value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value!r} becomes {value!r}", lambda n: setattr(n, "value", value)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        negated = lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))  # noqa: E731
        yield "the condition is negated", negated
    elif isinstance(node, ast.Return) and not _is_none(node.value):
        yield "None is returned", lambda n: setattr(n, "value", ast.Constant(None))
    for field in ("body", "orelse", "finalbody"):
        block = getattr(node, field, None)
        for index, statement in enumerate(block if isinstance(block, list) else ()):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if isinstance(statement, _LEFT_OUT) and not is_text and hasattr(node, "lineno"):
                text = ast.unparse(statement).splitlines()[0][:60]
                yield (
                    f"left out in line {statement.lineno}: {text}",
                    lambda n, f=field, i=index: getattr(n, f).__setitem__(i, ast.Pass()),
                )


def _is_none(node):
    return node is None or isinstance(node, ast.Constant) and node.value is None


def _words(operator, swap):
    return f"{type(operator).__name__} becomes {swap.__name__}"


def passes(folder, tests, seconds):
    """Whether tests pass in a copy of the project; `False` too if they do not end in time.

    Tests that failed before are run first. They run in a fork of this process, so that packages
    that are loaded here are not loaded again.
    """
    process = os.fork()
    if process == 0:
        _run_tests(folder, tests)
    end = time.monotonic() + (math.inf if seconds is None else seconds)
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(_PAUSE)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return False


def _run_tests(folder, tests):
    """Runs tests in a fork, which it ends with their exit status."""
    status = 1
    try:
        os.setsid()  # with the programs that it starts it can be killed at once
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.chdir(folder)
        # The project is imported from the copy.
        for name in list(sys.modules):
            if name.partition(".")[0] in ("dna_tf", "tests", "tools", "benchmarks", "configs"):
                del sys.modules[name]
        sys.path = [str(folder), *(p for p in sys.path if p not in ("", str(rooms.ROOT)))]
        status = pytest.main(["-q", "-x", "--ff", *tests])
    finally:
        os._exit(int(status))


def _read(path):
    """The outcomes in a record file: a dict from a mutant's name to whether it was killed."""
    if not path.exists():
        return {}
    rows = map(json.loads, path.read_text().splitlines())
    return {row["mutant"]: row["killed"] for row in rows}


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--module", required=True, help="such as dna_tf/search/exact.py")
    parser.add_argument("--tests", required=True, nargs="+", help="arguments of pytest")
    parser.add_argument("--seed", type=int, default=0, help="which mutants are drawn")
    parser.add_argument("--count", type=int, default=40, help="how many; 0 takes all")
    parser.add_argument("--load", default="", help="packages, such as tensorflow,keras")
    parser.add_argument("--record", default="", help="default: in the folder for temporary files")
    arguments = parser.parse_args()
    module = pathlib.Path(arguments.module)
    every = mutants((rooms.ROOT / module).read_text())
    count = min(arguments.count or len(every), len(every))
    drawn = sorted(random.Random(arguments.seed).sample(range(len(every)), count))
    default = f"{tempfile.gettempdir()}/mutants_{'_'.join(module.with_suffix('').parts)}.jsonl"
    record = pathlib.Path(arguments.record or default)
    outcomes = _read(record)
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    for package in filter(None, arguments.load.split(",")):
        importlib.import_module(package)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "copy"
        shutil.copytree(rooms.ROOT, folder, ignore=shutil.ignore_patterns(*_NOT_COPIED))
        started = time.monotonic()
        if not passes(folder, arguments.tests, None):
            sys.exit("The tests fail without any mutant.")
        limit = max(_LEAST_SECONDS, _TIMES_AS_LONG * (time.monotonic() - started))
        for number in drawn:
            mutant = every[number]
            if mutant.name not in outcomes:
                (folder / module).write_text(mutant.source())
                outcomes[mutant.name] = not passes(folder, arguments.tests, limit)
                row = {"mutant": mutant.name, "killed": outcomes[mutant.name]}
                row |= {"module": str(module), "line": mutant.line, "what": mutant.what}
                with record.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    alive = [every[number] for number in drawn if not outcomes[every[number].name]]
    for mutant in alive:
        print(f"lives: {module}:{mutant.line} {mutant.what}")
    share = 100 * (count - len(alive)) / count if count else 100.0
    print(f"{module}: {count - len(alive)} of {count} mutants killed, {share:.0f} %  ({record})")


if __name__ == "__main__":
    main()
