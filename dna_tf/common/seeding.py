"""Seeds derived from a run's seed and names, the same on every machine."""

import hashlib


def derive_seed(*parts):
    """Mixes ints and strings into one seed in [0, 2**31), the same on every machine."""
    value = 2166136261
    for byte in "/".join(map(str, parts)).encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value % 2**31


def seed_pair(*parts):
    """Returns two ints in 0..2^63-1 that depend on all `parts` (ints and strings)."""
    digest = hashlib.sha256(",".join(map(str, parts)).encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 8], "big") >> 1 for i in (0, 8))
