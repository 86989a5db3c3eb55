"""The memory of a container counts, in both versions of control groups."""

import os

import pytest

from dna_tf.common import memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def write(root, **texts):
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {"memory.max": "4096\n"}, 4096),
        ("0::/\n", {"memory.max": "max\n"}, MACHINE),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "8192\n"}, 8192),
        # The path is the host's, and the container sees its own group as the top.
        ("0::/kubepods/pod1\n", {"memory.max": "4096\n"}, 4096),
        (
            "5:cpu,memory:/docker/x\n1:pids:/y\n",
            {"memory/docker/x/memory.limit_in_bytes": "5000\n"},
            5000,
        ),
        ("5:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("5:memory:/\n", {"memory/memory.limit_in_bytes": "no number\n"}, MACHINE),
        ("1:pids:/\n", {"memory.max": "4096\n"}, MACHINE),
    ],
)
def test_the_smallest_limit_counts(tmp_path, groups, limits, expected):
    write(tmp_path, proc__self__cgroup=groups)
    for name, text in limits.items():
        write(tmp_path, **{f"sys__fs__cgroup__{name}".replace("/", "__"): text})
    assert memory.limit_bytes(tmp_path) == expected


def test_without_control_groups_it_is_the_machines(tmp_path):
    assert memory.limit_bytes(tmp_path) == MACHINE
    assert 0 < memory.limit_bytes() <= MACHINE
