"""Feature maps as pictures: shared colours, the channels shown, shapes that are refused."""

import base64
import re
import struct
import zlib

import numpy as np
import pytest

from dna_tf.common import pictures
from dna_tf.report import map_images, report_page
from tests.helpers.report_runs import make_maps


def test_maps_of_a_pair_share_their_colours():
    teacher, student = np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 3))
    teacher[0, :, :, 1] = [[0, 1], [2, 4]]
    student[0, :, :, 1] = [[0, 1], [2, 2]]
    entry = {"block": 1, "layer": "a", "rating": 0.1, "teacher": teacher, "student": student}
    entry["images"] = np.array([[[[0, 128, 255]]]])
    text = map_images.maps_html(entry, num_channels=1)
    assert ">ch 1<" in text and "scale 0 to 4" in text
    image, left, right = (decode_png(base64.b64decode(d)) for d in re.findall(r"64,([^\"]+)", text))
    assert image.tolist() == [[[0, 128, 255]]]
    assert left[0, 0].tolist() == [0x44, 0x01, 0x54]  # viridis from its dark end
    assert left[1, 1].tolist() == [0xFD, 0xE7, 0x25]  # to its bright end
    assert (left[:, 0] == right[:, 0]).all() and (left[1, 0] == right[1, 1]).all()


def decode_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert zlib.crc32(name + body) == check
        chunks[name], place = body, place + 12 + length
    width, height, depth, color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, color, list(chunks)[-1]) == (8, 2, b"IEND")
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_the_channels_shown_are_those_of_highest_variance():
    teacher = np.random.RandomState(0).randn(4, 5, 6, 8) * [1, 9, 2, 8, 3, 7, 4, 6] + 100
    assert pictures.strongest_channels(teacher, 6) == [1, 3, 5, 7, 6, 4]


def test_maps_that_do_not_fit_are_refused_before_anything_is_read(tmp_path):
    maps = make_maps()
    maps[1]["student"] = maps[1]["student"][..., :-1]
    with pytest.raises(ValueError, match=r"block 2 do not fit.*student \(2, 8, 8, 63\)"):
        report_page.write_report(tmp_path / "nowhere", maps)
    with pytest.raises(ValueError, match="have no rating"):
        report_page.write_report(
            tmp_path, [{k: v for k, v in make_maps()[0].items() if k != "rating"}]
        )
