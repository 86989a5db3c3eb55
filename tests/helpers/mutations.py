"""Broken JSON files: a strategy of hypothesis that changes one or two places of a valid one.

The result is read rightly, or refused by a `ValueError` that names the file; nothing else, and
neither takes long nor much memory.
"""

import copy
import json
import os
import tracemalloc
import warnings

import hypothesis
from hypothesis import strategies as st

# Values that no field expects everywhere; `RAW` is written as it is.
RAW = {
    "<nan>": "NaN",
    "<infinity>": "-Infinity",
    "<huge float>": "1e999",
    "<huge int>": "9" * 5000,
    "<deep>": "[" * 2000 + "]" * 2000,
    "<deeper>": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "<half of a character>": '"\\ud800"',
    "<twice>": '{"a": 1, "a": 2}',
}
VALUES = (
    *(None, True, False, 0, 1, -1, 2, 7, 0.5, 1.5, -0.0, 1e-320, 1e308, -1e308),
    *(10**9, 2**31, 2**63, 10**30, -(10**30), 10**400),
    *("", "x", "0", "../../up", "/etc/passwd", "a" * 500, "<script>", "\x00", "\u202e", "é", "NaN"),
    *([], {}, [[]], [None], [0], ["x"], [1, 2, 3], [[1, 2], [3]], {"a": 1}, {"": {}}, {"kind": 1}),
    *RAW,
)
BYTES = (
    b"", b" ", b"\n", b"null", b"[]", b"{}", b"3", b'"x"', b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00",
    b"\x00" * 100, b"PK\x03\x04", b"[" * 200_000, b'{"a":' * 200_000, b"9" * 100_000,
)  # fmt: skip
MOST_BYTES = 200 * 2**20  # of memory that reading a small file may take


def _places(value, path=()):
    """The paths of all values in a JSON value, outermost first."""
    yield path
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else items:
        yield from _places(item, (*path, key))


def _at(value, path):
    for key in path:
        value = value[key]
    return value


def _change(draw, content):
    """Changes one place of a JSON value and returns the value."""
    path = draw(st.sampled_from(list(_places(content))[1:] or [()]))
    if not path:
        return copy.deepcopy(draw(st.sampled_from(VALUES)))
    parent, key = _at(content, path[:-1]), path[-1]
    kind = draw(
        st.sampled_from(("set", "set", "set", "drop", "add", "wrap", "repeat", "swap", "near"))
    )
    old = parent[key]
    if kind == "set":
        parent[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    elif kind == "drop":
        del parent[key]
    elif kind == "add" and isinstance(parent, dict):
        parent[draw(st.sampled_from(("x", "kind", "", "../up", "0", "name")))] = copy.deepcopy(old)
    elif kind == "add":
        parent.insert(key, copy.deepcopy(draw(st.sampled_from(VALUES))))
    elif kind == "wrap":
        parent[key] = [old] if draw(st.booleans()) else {"a": old}
    elif kind == "repeat":
        parent[key] = [copy.deepcopy(old)] * draw(st.sampled_from((0, 2, 3, 1000)))
    elif kind == "swap":
        other = draw(st.sampled_from(list(_places(content))[1:]))
        parent[key] = copy.deepcopy(_at(content, other))
    elif isinstance(old, bool) or not isinstance(old, int | float):
        parent[key] = str(old)[:50] + draw(st.sampled_from(("", " ", "x", "\n")))
    else:
        parent[key] = draw(
            st.sampled_from((old + 1, old - 1, -old, float(old), str(old), old * 10**6))
        )
    return content


class Valid:
    """A valid content, which hypothesis does not print."""

    def __init__(self, content):
        self.content = content

    def __repr__(self):
        return "Valid(...)"


class File:
    """The bytes of a file, of which hypothesis prints the part that differs from `valid`."""

    def __init__(self, encoded, valid):
        self.encoded, self._valid = encoded, valid

    def __repr__(self):
        same = len(os.path.commonprefix([self.encoded, self._valid]))
        return f"... {self.encoded[max(0, same - 60) : same + 100]!r} ... at byte {same}"


@st.composite
def broken(draw, valid):
    """Files that differ from a JSON object.

    Args:
        valid: a `Valid` with a dict.
    """
    encoded = draw(_changed(valid))
    return File(encoded, json.dumps(valid.content).encode())


@st.composite
def _changed(draw, valid):
    content = copy.deepcopy(valid.content)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
        if isinstance(content, dict | list):
            content = _change(draw, content)
    text = json.dumps(content, ensure_ascii=draw(st.booleans()))
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    encoded = text.encode("utf-8", "surrogatepass")
    kind = draw(
        st.sampled_from((*["as it is"] * 8, "cut", "bom", "junk", "byte", "utf-16", "other"))
    )
    if kind == "cut":
        return encoded[: draw(st.integers(0, max(0, len(encoded) - 1)))]
    if kind == "byte" and encoded:
        at = draw(st.integers(0, len(encoded) - 1))
        return encoded[:at] + bytes([draw(st.integers(0, 255))]) + encoded[at + 1 :]
    others = {
        "bom": b"\xef\xbb\xbf" + encoded,
        "junk": encoded + draw(st.sampled_from((b"}", b"\x00", b"{}", b" x"))),
        "utf-16": text.encode("utf-16", "surrogatepass"),
    }
    if kind == "other":
        return draw(st.sampled_from(BYTES))
    return others.get(kind, encoded)


@st.composite
def damaged(draw, valid):
    """Files that differ from the bytes of a binary file: cut off, with other bytes, or longer.

    Args:
        valid: a `Valid` with bytes.
    """
    content = bytearray(valid.content)
    kind = draw(st.sampled_from(("cut", "bytes", "bytes", "bytes", "longer", "block", "other")))
    if kind == "cut":
        content = content[: draw(st.integers(0, len(content) - 1))]
    elif kind == "bytes":
        # Headers are at the ends.
        ends = st.integers(0, 300) | st.integers(max(0, len(content) - 300), len(content) - 1)
        for _ in range(draw(st.sampled_from((1, 1, 2, 8)))):
            at = draw(ends | st.integers(0, len(content) - 1)) % len(content)
            content[at] = draw(st.sampled_from((0, 1, 127, 128, 255)) | st.integers(0, 255))
    elif kind == "longer":
        content += draw(st.sampled_from((b"\x00", b"x" * 1000, bytes(content))))
    elif kind == "block":
        at = draw(st.integers(0, len(content) - 1))
        content[at : at + 64] = draw(st.sampled_from((b"", b"\x00" * 64, b"\xff" * 64)))
    else:
        content = draw(st.sampled_from(BYTES))
    return File(bytes(content), valid.content)


def counts(path, content, read, examples, seed=0, change=broken, write=None):
    """Reads many broken files; one that is neither read rightly nor refused by name is an error.

    Args:
        path: where the files go.
        content: of a valid file; a dict.
        read: a function without arguments that reads the file and uses all of it.
        examples: how many files.
        seed: another seed gives other files.
        change: the strategy of `File`s, made of a `Valid`.
        write: a function of the bytes that writes the file; `None` writes them to `path`.

    Returns:
        A dict with how many files were `read` and how many `refused`. If none is refused, the files
        are not broken, or are not read at all.
    """
    seen = {"read": 0, "refused": 0}

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,  # a busy machine is no fault; what does not end is seen
        database=None,
        derandomize=seed == 0,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],  # to shrink takes minutes
    )
    @hypothesis.given(change(Valid(content)))
    def run(file):
        (write or path.write_bytes)(file.encoded)
        tracemalloc.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)  # overflows of NumPy
                read()
            seen["read"] += 1
        except ValueError as error:
            assert path.name in str(error), f"The message does not name the file: {error}"
            assert len(str(error)) < 5000, f"A message of {len(str(error))} characters"
            seen["refused"] += 1
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MOST_BYTES

    run()
    return seen
