"""Photos are turned as their EXIF tag says: against Pillow, whole and cut, in every format."""

import io

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from dna_tf.data import decoding, orientation
from tests.helpers.data_files import picture

FORMATS = {"JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}}


def photo(kind, tag, height=19, width=26, **more):
    """The bytes of an image file with an orientation tag."""
    exif = PIL.Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x0112] = tag
    coarse = PIL.Image.fromarray(picture(tag, 4, 5)).resize((width, height))
    file = io.BytesIO()
    coarse.save(file, kind, exif=exif, **FORMATS[kind], **more)
    return file.getvalue()


@pytest.fixture(scope="module")
def in_graph():
    """Decoding as datasets do it, compiled once."""
    box = tf.constant([3, 5, 11, 8])
    signature = [tf.TensorSpec([], tf.string)]
    return (
        tf.function(orientation.of_file, signature),
        tf.function(lambda contents: decoding.decode(contents), signature),
        tf.function(lambda contents: decoding.decode_crop(contents, lambda shape: box), signature),
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_a_photo_is_turned_as_pillow_turns_it(kind, in_graph):
    of_file, decode, decode_crop = in_graph
    for tag in range(1, 9):
        contents = tf.constant(photo(kind, tag))
        upright = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(contents.numpy())))
        expected = np.asarray(upright.convert("RGB")).astype(int)
        assert int(of_file(contents)) == tag
        whole = decode(contents).numpy().astype(int)
        assert whole.shape == expected.shape == ((26, 19, 3) if tag > 4 else (19, 26, 3))
        # TensorFlow and Pillow may round a JPEG differently.
        assert np.abs(whole - expected).max() <= (3 if kind == "JPEG" else 0), tag
        part = decode_crop(contents).numpy().astype(int)
        wanted = whole[3:14, 5:13]
        assert part.shape == wanted.shape
        # At one side of the crop of a JPEG the colours miss their neighbours.
        assert np.mean(np.abs(part - wanted)) < (3 if kind == "JPEG" else 1e-9), tag


def test_the_tag_is_found_behind_other_blocks_and_in_both_byte_orders(in_graph):
    of_file = in_graph[0]
    contents = photo("JPEG", 6, comment=b"a comment " * 30, icc_profile=b"x" * 3000)
    assert contents.index(b"Exif") > 2
    assert int(of_file(contents)) == 6
    for order, number in ((b"II*\0", "little"), (b"MM\0*", "big")):

        def short(value, number=number):
            return value.to_bytes(2, number)

        fields = [(0x010E, 9), (0x0112, 8), (0x0128, 2)]
        block = order + (8).to_bytes(4, number) + short(len(fields))
        for tag, value in fields:
            block += short(tag) + short(3) + (1).to_bytes(4, number) + short(value) + b"\0\0"
        segment = b"\xff\xe1" + (len(block) + 8).to_bytes(2, "big") + b"Exif\0\0" + block
        assert int(of_file(contents[:2] + segment + contents[2:])) == 8


def test_a_segment_of_thousands_of_bytes_before_the_tag_is_passed(in_graph):
    """Lengths of segments have two bytes; colour profiles and comments need both."""
    contents = photo("JPEG", 6)
    for size in (300, 5000):
        comment = b"\xff\xfe" + (size + 2).to_bytes(2, "big") + b"c" * size
        assert int(in_graph[0](tf.constant(contents[:2] + comment + contents[2:]))) == 6


def test_damaged_blocks_count_as_upright_and_end(in_graph):
    of_file = in_graph[0]
    for kind in FORMATS:
        whole, rng = photo(kind, 6), np.random.default_rng(0)
        for _ in range(60):
            damaged = bytearray(whole[: rng.integers(1, len(whole))])
            for place in rng.integers(0, min(len(damaged), 150), 3):
                damaged[place] = rng.integers(0, 256)
            assert 1 <= int(of_file(bytes(damaged))) <= 8
    for contents in (b"", b"\xff", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF    WEBP", b"GIF89a"):
        assert int(of_file(contents)) == 1
