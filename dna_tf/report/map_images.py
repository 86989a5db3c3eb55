"""Feature maps of teacher and student below one another, as small PNGs inside HTML."""

import base64
import html
import struct
import zlib

import numpy as np

from dna_tf.common import pictures

_IMAGES = 2
_KEYS = ("block", "layer", "rating", "teacher", "student", "images")


def check_maps(maps):
    """Checks feature maps before any work.

    Args:
        maps: for each block a dict with `block` (number from 1), `layer` (of the
            teacher), `rating`, `teacher` and `student` (arrays of one shape
            `(images, height, width, channels)`) and `images` (array
            `(images, height, width, 3 or 1)` in 0..255).

    Raises:
        ValueError: a key is missing or a shape does not fit.
    """
    for entry in maps:
        missing = [key for key in _KEYS if key not in entry]
        if missing:
            raise ValueError(
                f"The maps of a block have no {', '.join(missing)}. Expected the keys "
                f"{', '.join(_KEYS)}."
            )
        shapes = [np.shape(entry[key]) for key in ("teacher", "student", "images")]
        teacher, student, images = shapes
        fits = len(teacher) == len(images) == 4 and teacher[0] == images[0] > 0
        if not fits or teacher != student or images[3] not in (1, 3):
            raise ValueError(
                f"The maps of block {entry['block']} do not fit. Expected teacher and student "
                "maps of one shape (images, height, width, channels), and one picture for each "
                f"image. Received: teacher {teacher}, student {student}, images {images}"
            )


def maps_html(entry, num_channels=pictures.CHANNELS, num_images=_IMAGES):
    """Draws the maps of one block, for the channels in which the teacher varies most.

    Teacher and student share one colour scale for each channel of an image.

    Args:
        entry: an entry of the maps that `check_maps` takes.
        num_channels: most channels to show.
        num_images: most images to show.

    Returns:
        HTML: a grid for each image.
    """
    teacher = np.nan_to_num(np.asarray(entry["teacher"], np.float64))
    student = np.nan_to_num(np.asarray(entry["student"], np.float64))
    channels = pictures.strongest_channels(teacher, num_channels)
    grids = []
    for i in range(min(num_images, len(teacher))):
        cells = [_img(_png(_rgb(entry["images"][i])), f"image {i + 1}")]
        cells += [f'<div class="label channel">ch {c}</div>' for c in channels]
        for model, values in (("teacher", teacher), ("student", student)):
            cells.append(f'<div class="label">{model}</div>')
            for c in channels:
                pair = np.stack([teacher[i, :, :, c], student[i, :, :, c]])
                low, high = float(pair.min()), float(pair.max())
                hover = f"{model}, image {i + 1}, channel {c}; scale {low:.3g} to {high:.3g}"
                cells.append(_img(_png(pictures.colored(values[i, :, :, c], low, high)), hover))
        style = f"grid-template-columns:3.6rem repeat({len(channels)},minmax(0,1fr))"
        grids.append(f'<div class="maps" style="{style}">{"".join(cells)}</div>')
    return f'<div class="columns">{"".join(grids)}</div>'


def _rgb(image):
    image = np.clip(np.nan_to_num(np.asarray(image, np.float64)), 0, 255).round().astype(np.uint8)
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _png(pixels):
    """Encodes uint8 pixels `(height, width, 3)` as a PNG."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # 0: the row is not filtered

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def _img(png, hover):
    hover = html.escape(hover)
    data = base64.b64encode(png).decode()
    return f'<img alt="{hover}" title="{hover}" src="data:image/png;base64,{data}">'
