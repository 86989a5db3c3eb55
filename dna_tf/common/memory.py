"""The memory that this process may use: that of the machine, or less in a container."""

import os
import pathlib

# Under version 1 of control groups, no limit is a number near 2**63.
_NO_LIMIT = 2**60


def limit_bytes(root="/"):
    """Returns how many bytes of memory this process may use.

    Args:
        root: folder of `proc/` and `sys/`; another one in tests.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits(pathlib.Path(root))])


def _group_limits(root):
    """Yields the limits of the control groups of this process, and of those above them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not Linux
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        folder, name = (
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            if controllers
            else ("sys/fs/cgroup", "memory.max")
        )
        # Within a container its own group is at the top, whatever the file above says.
        parts = [part for part in group.split("/") if part not in ("", "..")]
        for count in range(len(parts), -1, -1):
            path = root / folder / "/".join(parts[:count]) / name
            try:
                limit = int(path.read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue
            if 0 < limit < _NO_LIMIT:
                yield limit
