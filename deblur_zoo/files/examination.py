"""Examine an encoded JPEG or PNG without decoding it: its size, and how long decoding would take.

Only the bytes between a picture's parts are read, so a few megabytes take milliseconds. Without these checks, a JPEG of
300 KB with thousands of scans takes minutes to decode, and so does a PNG of a million parts in Pillow; TensorFlow
decompresses a gigabyte of comments from a PNG of 1 MB, and decodes every frame of a GIF, whatever its header says.
"""

import re
import struct

# libjpeg writes 10 scans in a progressive file, and other writers a few dozen.
MOST_SCANS = 100
# Beside those of 4 KB and more: common writers cut a PNG's pixels into parts of 8 KB.
_MOST_PARTS, _PART = 10_000, 4096
_PNG_HEAD, _JPEG_HEAD = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# The rest is colour profiles and comments, which TensorFlow unpacks and does not use.
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Starts of frames; between them are Huffman's tables, extensions and arithmetic coding's tables.
_JPEG_FRAMES, _JPEG_SCAN, _JPEG_END = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}, 0xDA, 0xD9
# In a scan's data the others are values of 255, fillings and restarts.
_JPEG_PART = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")


def examine(encoded, name):
    """Height times width that an encoded picture claims, and its file without what decoding does not need.

    Args:
        encoded: ``bytes``.
        name: what it is, for the error.

    Returns:
        Pixels, 0 where it is neither JPEG nor PNG or damaged; and bytes.

    Raises:
        ValueError: too many parts or scans to decode quickly.
    """
    if encoded.startswith(_PNG_HEAD):
        return _examine_png(encoded, name)
    if encoded.startswith(_JPEG_HEAD):
        return _examine_jpeg(encoded, name), encoded
    return 0, encoded


def _examine_png(encoded, name):
    place, kept, pixels = len(_PNG_HEAD), [_PNG_HEAD], 0
    for _ in _parts(encoded, name):
        if len(encoded) < place + 8:
            return pixels, b"".join(kept)
        length, kind = struct.unpack_from(">I4s", encoded, place)
        if kind == b"IHDR" and length == 13 and len(encoded) >= place + 16:
            width, height = struct.unpack_from(">II", encoded, place + 8)
            pixels = max(pixels, height * width)
        if kind in _PNG_KEPT:
            kept.append(encoded[place : place + 12 + length])
        place += 12 + length


def _examine_jpeg(encoded, name):
    place, pixels, scans = len(_JPEG_HEAD), 0, 0
    for _ in _parts(encoded, name):
        found = _JPEG_PART.search(encoded, place)
        if found is None or encoded[found.end() - 1] == _JPEG_END or len(encoded) < found.end() + 7:
            return pixels if scans else 0
        marker, place = encoded[found.end() - 1], found.end()
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", encoded, place + 3)
            pixels = max(pixels, height * width)
        scans += marker == _JPEG_SCAN
        if scans > MOST_SCANS:
            raise ValueError(f"{name} has more than {MOST_SCANS} scans")
        place += struct.unpack_from(">H", encoded, place)[0]


def _parts(encoded, name):
    most = _MOST_PARTS + len(encoded) // _PART
    yield from range(most)
    raise ValueError(f"{name} has more than {most} parts")
