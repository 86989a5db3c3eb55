"""Feature maps of a teacher and a student as one picture, in false colours."""

import numpy as np
import plotly.colors

CHANNELS = 6  # shown by default


def strongest_channels(teacher, count):
    """The channels of highest variance, highest first.

    Args:
        teacher: array (images, height, width, channels).
        count: how many at most.

    Returns:
        A list of channel indices.
    """
    variance = np.asarray(teacher).var(axis=(0, 1, 2))
    return [int(c) for c in np.argsort(-variance, kind="stable")[:count]]


def side_by_side(teacher, student, num_channels=CHANNELS, side=64):
    """Draws maps as one picture: for each image a row of the teacher and a row of the student.

    Args:
        teacher: array (images, height, width, channels).
        student: array of the same shape.
        num_channels: how many channels to show at most, side by side.
        side: height and width of each map in the picture, in pixels.

    Returns:
        A uint8 array (height, width, 3).
    """
    teacher = np.nan_to_num(np.asarray(teacher, np.float64))
    student = np.nan_to_num(np.asarray(student, np.float64))
    rows = []
    for i in range(len(teacher)):
        pairs = [[], []]
        for c in strongest_channels(teacher, num_channels):
            maps = teacher[i, :, :, c], student[i, :, :, c]
            low, high = float(np.min(maps)), float(np.max(maps))
            for row, values in zip(pairs, maps, strict=True):
                row.append(_tile(colored(values, low, high), side))
        rows += [np.concatenate(row, axis=1) for row in pairs]
    return np.concatenate(rows, axis=0)


def _tile(pixels, side):
    """Resizes pixels to `side` x `side` by repeating or dropping some, with a white border."""
    height, width, _ = pixels.shape
    rows, columns = (np.arange(side - 2) * n // (side - 2) for n in (height, width))
    return np.pad(pixels[rows][:, columns], ((1, 1), (1, 1), (0, 0)), constant_values=255)


def colored(values, low, high):
    """Colours an array (height, width) by the scale Viridis, from `low` to `high`.

    Returns:
        A uint8 array (height, width, 3).
    """
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    stops = [plotly.colors.hex_to_rgb(color) for color in plotly.colors.sequential.Viridis]
    places = np.linspace(0, 1, len(stops))
    bands = [np.interp(scaled, places, [stop[band] for stop in stops]) for band in range(3)]
    return np.stack(bands, axis=-1).round().astype(np.uint8)
