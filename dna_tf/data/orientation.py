"""The orientation of a photo: the tag that cameras write, and turning images by it.

A camera stores the pixels as its sensor lies, and writes beside them how a viewer must turn
them: a number of 1 to 8 in the EXIF block of a JPEG, PNG or WebP file. TensorFlow's decoders do
not read it, so it is read here, in the graph. A block that is damaged counts as 1: upright.
"""

import tensorflow as tf

# Field of the orientation in an EXIF block. Source: CIPA DC-008, Exif 2.32.
_TAG = 0x0112
_ENTRY_BYTES = 12
# More fields than any camera writes; a larger number is damage.
_MOST_ENTRIES = 1000
# The start of a JPEG with a JFIF segment of the usual length, and the markers of tables and
# sizes, before which EXIF stands if there is any. Source: ITU T.81, table B.1.
_JFIF = b"\xff\xd8\xff\xe0\x00\x10"
_JFIF_BYTES = 20
_TABLES = (b"\xff\xdb", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdd")


# Traced once in a process: the pipelines that read images all call the same graph.
@tf.function(input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
def of_file(contents):
    """Reads the orientation of an image file.

    Args:
        contents: string scalar, the bytes of the file.

    Returns:
        int32 scalar in 1..8; 1 without a readable tag.
    """
    # Going from block to block costs a third of decoding a small photo, and most have no EXIF.
    return tf.cond(_is_bare_jpeg(contents), lambda: tf.constant(1), lambda: _of_blocks(contents))


def _is_bare_jpeg(contents):
    """Whether a file is a JPEG whose tables follow its start or its JFIF segment at once."""
    head = tf.strings.substr(contents, 0, _JFIF_BYTES + 2)
    head = tf.strings.join([head, "-" * (_JFIF_BYTES + 2)])  # a file may be shorter
    after_start = tf.strings.substr(head, 2, 2)
    after_jfif = tf.strings.substr(head, _JFIF_BYTES, 2)
    tables = tf.constant(_TABLES)
    is_jpeg = tf.strings.substr(head, 0, 2) == _JFIF[:2]
    is_jfif = tf.strings.substr(head, 0, len(_JFIF)) == _JFIF
    return (is_jpeg & tf.reduce_any(after_start == tables)) | (
        is_jfif & tf.reduce_any(after_jfif == tables)
    )


def _of_blocks(contents):
    head = _bytes(contents, 0, 12)
    is_webp = _equal(head[:4], b"RIFF") & _equal(head[8:], b"WEBP")
    kinds = [
        (_equal(head[:2], b"\xff\xd8"), lambda: _exif_of_jpeg(contents)),
        (_equal(head[:8], b"\x89PNG\r\n\x1a\n"), lambda: _exif_of_png(contents)),
        (is_webp, lambda: _exif_of_webp(contents)),
    ]
    exif = tf.case(kinds, default=lambda: tf.constant(b""))
    return tf.cond(tf.strings.length(exif) > 0, lambda: _tag_of(exif), lambda: tf.constant(1))


def swaps_sides(tag):
    """Whether turning exchanges height and width: a bool scalar."""
    return tag >= 5


def turn(image, tag):
    """Turns and mirrors an image so that it is upright.

    Args:
        image: tensor `(height, width, channels)` as it is stored.
        tag: int32 scalar in 1..8, the orientation.

    Returns:
        A tensor like `image`; height and width are exchanged from 5 on.
    """

    def swapped():
        return tf.transpose(image, (1, 0, 2))

    def turned():
        result = tf.cond(swaps_sides(tag), swapped, lambda: image)
        # An axis is mirrored by reading its rows or columns from the last to the first.
        for axis in (0, 1):
            places = tf.range(tf.shape(result)[axis])
            places = tf.where(_is_mirrored(tag, axis), places[::-1], places)
            result = tf.gather(result, places, axis=axis)
        return result

    return tf.cond(tag > 1, turned, lambda: image)


def turned_shape(shape, tag):
    """Returns the shape `(height, width, channels)` after `turn`, from the stored one."""
    return tf.where(swaps_sides(tag), tf.gather(shape, [1, 0, 2]), shape)


def stored_box(box, shape, tag):
    """Returns where a rectangle of the turned image lies in the stored one.

    Args:
        box: int32 `(top, left, height, width)` in the turned image.
        shape: int32 `(height, width, channels)` of the turned image.
        tag: int32 scalar in 1..8, the orientation.
    """
    place, size = box[:2], box[2:]
    mirrored = tf.stack([_is_mirrored(tag, axis) for axis in (0, 1)])
    place = tf.where(mirrored, shape[:2] - place - size, place)
    swapped = swaps_sides(tag)
    place = tf.where(swapped, place[::-1], place)
    size = tf.where(swapped, size[::-1], size)
    return tf.concat([place, size], 0)


def _is_mirrored(tag, axis):
    """Whether an axis is mirrored, after height and width were exchanged."""
    mirrored = ((3, 4, 7, 8), (2, 3, 6, 7))[axis]
    return tf.reduce_any(tf.equal(tag, mirrored))


def _bytes(contents, position, count):
    """Returns `count` bytes of a file as int32 numbers; zeros behind its end."""
    position = tf.minimum(position, tf.strings.length(contents))
    part = tf.io.decode_raw(tf.strings.substr(contents, position, count), tf.uint8)
    part = tf.pad(tf.cast(part, tf.int32), [[0, count - tf.size(part)]])
    return tf.ensure_shape(part, (count,)) if isinstance(count, int) else part


def _equal(values, text):
    return tf.reduce_all(values == list(text))


def _number(values, is_big):
    """Returns the number of 2 or 4 bytes; one of 2**31 or more is negative, which is damage."""
    result = tf.constant(0)
    for value in tf.unstack(tf.where(is_big, values, values[::-1])):
        result = result * 256 + value
    return result


def _walk(contents, start, step):
    """Goes from block to block of a file until one is the EXIF block.

    Args:
        contents: string scalar, the bytes of the file.
        start: position of the first block.
        step: function from the position of a block to `(next position, start of the EXIF block
            in it, its length)`; the length is 0 for other blocks, and the next position is 0
            after the last one.

    Returns:
        The bytes of the EXIF block, empty if there is none.
    """
    length = tf.strings.length(contents)

    def goes_on(position, exif_start, exif_length):
        return (position > 0) & (position < length) & (exif_length <= 0)

    def body(position, exif_start, exif_length):
        following, exif_start, exif_length = step(position)
        # A block that does not lead forward is damage.
        return tf.where(following > position, following, 0), exif_start, exif_length

    state = tf.constant(start), tf.constant(0), tf.constant(0)
    _, exif_start, exif_length = tf.while_loop(goes_on, body, state)
    exif_start = tf.clip_by_value(exif_start, 0, length)
    return tf.strings.substr(contents, exif_start, tf.maximum(exif_length, 0))


def _exif_of_jpeg(contents):
    def step(position):
        # A segment: 0xFF, its kind, and its length with the two bytes of the length.
        head = _bytes(contents, position, 10)
        length = _number(head[2:4], True)
        is_exif = (head[1] == 0xE1) & _equal(head[4:10], b"Exif\0\0")
        # EXIF comes before the tables of the image: after other APPs and comments at most.
        is_before = (head[0] == 0xFF) & ((head[1] // 16 == 0xE) | (head[1] == 0xFE))
        following = tf.where(is_before, position + 2 + length, 0)
        return following, position + 10, tf.where(is_exif, length - 8, 0)

    return _walk(contents, 2, step)


def _exif_of_png(contents):
    def step(position):
        # A chunk: its length, its kind, the data and a checksum. EXIF comes before the pixels.
        head = _bytes(contents, position, 8)
        length = _number(head[:4], True)
        is_exif = _equal(head[4:8], b"eXIf")
        is_pixels = _equal(head[4:8], b"IDAT")
        following = tf.where(is_pixels, 0, position + 12 + length)
        return following, position + 8, tf.where(is_exif, length, 0)

    return _walk(contents, 8, step)


def _exif_of_webp(contents):
    def step(position):
        # A chunk: its kind, its length, and the data, filled up to an even length.
        head = _bytes(contents, position, 8)
        length = _number(head[4:8], False)
        is_exif = _equal(head[:4], b"EXIF")
        following = position + 8 + length + length % 2
        return following, position + 8, tf.where(is_exif, length, 0)

    return _walk(contents, 12, step)


def _tag_of(exif):
    """Returns the orientation that an EXIF block states, a TIFF file with a list of fields."""
    # Some writers of WebP put the name of JPEG's segment before the block.
    start = tf.where(_equal(_bytes(exif, 0, 6), b"Exif\0\0"), 6, 0)
    head = _bytes(exif, start, 8)
    is_big = _equal(head[:4], b"MM\0*")
    is_tiff = is_big | _equal(head[:4], b"II*\0")
    first = _number(head[4:8], is_big)
    position = start + tf.where(first > 0, first, 0)
    count = tf.clip_by_value(_number(_bytes(exif, position, 2), is_big), 0, _MOST_ENTRIES)
    fields = tf.reshape(_bytes(exif, position + 2, count * _ENTRY_BYTES), (-1, _ENTRY_BYTES))
    low, high = tf.where(is_big, 1, 0), tf.where(is_big, 0, 1)

    def short(column):
        return tf.gather(fields, column + low, axis=1) + 256 * tf.gather(
            fields, column + high, axis=1
        )

    values = tf.boolean_mask(short(8), short(0) == _TAG)
    value = tf.concat([values, [1]], 0)[0]
    is_right = is_tiff & (value >= 1) & (value <= 8)
    return tf.where(is_right, value, 1)
