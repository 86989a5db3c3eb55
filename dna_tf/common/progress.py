"""Progress lines with rate and time left, on standard error.

On a terminal one line is redrawn; in a log file a new line comes every ten
seconds, so that a log of a long run stays readable.
"""

import sys

import tqdm


class _LogFile:
    """Turns the redraws of a progress bar into lines, for files and pipes."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        text = text.replace("\r", "").strip()
        if text:
            self._stream.write(text + "\n")

    def flush(self):
        self._stream.flush()


def bar(label, total, unit, initial=0, hidden=False):
    """Returns a progress bar, to be used in a `with` statement.

    Args:
        label: what is going on, such as `"supernet"`.
        total: how many units there are in all.
        unit: the name of a unit, such as `"image"`.
        initial: units that an earlier run did already.
        hidden: whether to show nothing.

    Returns:
        A `tqdm` bar: `.update(n)` counts units, `.set_postfix_str(text)` shows
        figures beside the rate and the time left.
    """
    on_terminal = sys.stderr.isatty()
    return tqdm.tqdm(
        desc=label,
        total=total,
        initial=initial,
        disable=hidden,
        unit=unit,
        unit_scale=total >= 10_000,
        file=sys.stderr if on_terminal else _LogFile(sys.stderr),
        mininterval=0.2 if on_terminal else 10.0,
        maxinterval=10.0,
        ascii=not on_terminal,
        dynamic_ncols=on_terminal,
        bar_format=None
        if on_terminal
        else "{desc}: {n_fmt}/{total_fmt} {unit}s, {rate_fmt}, {remaining} left {postfix}",
    )


def track(items, label, unit, total=None):
    """Yields `items` and shows how far it is, at which rate, and the time left.

    Args:
        items: any iterable.
        label: what is going on.
        unit: the name of one item.
        total: the number of items; by default `len(items)`.
    """
    with bar(label, len(items) if total is None else total, unit) as progress:
        for item in items:
            yield item
            progress.update(1)


def say(text):
    """Prints a line of the tool's own story to standard output, at once."""
    print(text, flush=True)


def warn(text):
    """Prints a warning to standard error, above the bar if one is being drawn."""
    tqdm.tqdm.write(f"warning: {text}", file=sys.stderr)
    sys.stderr.flush()
