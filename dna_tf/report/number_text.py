"""Numbers for readers of a report: as text, and as cells of a table."""

from dna_tf.common import formatting, statistics


def percent(share):
    """A share as text: `0.97222` becomes `"97.22 %"`, and `None` a dash."""
    return "–" if share is None else f"{100 * share:.2f} %"


def signed(number, digits=2):
    """A number with its sign, `"+0.83"` or `"−0.40"`; a dash for NaN."""
    return "–" if number != number else f"{number:+.{digits}f}".replace("-", "−")


def points(difference):
    """A difference of shares in percentage points, with its sign: `"+0.83"`."""
    return signed(100 * difference)


def file_size(num_bytes):
    """The size of a file as text: `48123` becomes `"48.1 kB"`."""
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes} B"


def count_cell(number):
    """A table cell of a count, with all digits on hover; a dash for `None`."""
    return ("–", "", "") if number is None else (formatting.format_count(number), "", f"{number:,}")


def rating_cell(rating):
    """A table cell of a rating to four digits; a dash for `None`."""
    return "–" if rating is None else f"{rating:.4f}"


def accuracy_cell(shares, unit="seed"):
    """A table cell of accuracies: their mean and standard deviation, each one on hover.

    Args:
        shares: accuracies in [0, 1].
        unit: what each of them belongs to, such as `"seed"` or `"control"`.
    """
    if not shares:
        return ("–", "not trained", "")
    mean, std = statistics.mean_and_std(shares)
    spread = "" if std is None else f" ± {100 * std:.2f}"
    count = f"{len(shares)} {unit}s" if len(shares) > 1 else f"1 {unit}"
    return (percent(mean) + spread, count, ", ".join(map(percent, shares)))


def wilson_cell(correct, total):
    """A table cell of the 95 % Wilson interval of `correct` right answers of `total`."""
    low, high = statistics.wilson(correct, total)
    return (f"{100 * low:.2f} – {100 * high:.2f} %", f"{correct:,} of {total:,} right", "")
