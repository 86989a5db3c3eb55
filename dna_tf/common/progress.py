"""Progress bars with rate and time left, on standard error, and lines on standard output.

On a terminal one line is redrawn. In a log file a new line is added every ten seconds, so that
the log of a long run stays readable.
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
        label: the name of the work, such as `"supernet"`.
        total: the number of units in all.
        unit: the name of a unit, such as `"image"`.
        initial: the number of units that an earlier run did already.
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
    """Yields `items` and shows a progress bar.

    Args:
        items: any iterable.
        label: the name of the work.
        unit: the name of one item.
        total: the number of items; by default `len(items)`.
    """
    with bar(label, len(items) if total is None else total, unit) as progress:
        for item in items:
            yield item
            progress.update(1)


def say(text):
    """Prints a line to standard output, without buffering."""
    print(text, flush=True)


def warn(text):
    """Prints a warning to standard error, above a visible progress bar."""
    tqdm.tqdm.write(f"warning: {text}", file=sys.stderr)
    sys.stderr.flush()
