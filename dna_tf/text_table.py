"""Tables of plain text for a terminal, columns aligned."""


def aligned(rows, right=()):
    """Rows of texts as lines with columns of one width, two spaces apart.

    Args:
        rows: lists of texts, all of one length.
        right: indices of the columns whose texts end at the right; others start at the left.

    Returns:
        A list of lines.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
