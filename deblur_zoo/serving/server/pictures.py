"""Encoded pictures that are refused before they are decoded: by their kind, their size, and the work that they make.

Only the bytes between a picture's parts are read, so that a few megabytes take milliseconds. What TensorFlow would do
without this: of a GIF it decodes every frame, whatever the head says; a JPEG of 300 KB with thousands of scans takes
minutes; a PNG of 1 MB unpacks a gigabyte of comments.
"""

import struct

from deblur_zoo.serving.server.errors import invalid

# libjpeg writes 10 scans in a progressive file, and other writers a few dozen.
MOST_SCANS = 100
# Common writers cut a PNG's pixels into parts of at least 8 KB.
_MOST_PARTS = 10_000
_PNG_HEAD, _JPEG_HEAD = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# The rest is colour profiles and comments, which TensorFlow unpacks and does not use.
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Starts of frames; between them are Huffman's tables, extensions and arithmetic coding's tables.
_JPEG_FRAMES, _JPEG_SCAN = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}, 0xDA


def examine(encoded, name):
    """Height times width of an encoded picture, and its file without what is not needed.

    Args:
        encoded: ``bytes``.
        name: what it is, for the error.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    pixels, file = 0, encoded
    if encoded.startswith(_PNG_HEAD):
        pixels, file = _examine_png(encoded)
    elif encoded.startswith(_JPEG_HEAD):
        pixels, scans = _examine_jpeg(encoded)
        if scans > MOST_SCANS:
            raise invalid(f"{name} has {scans} scans; up to {MOST_SCANS} are accepted")
    if not pixels:
        raise invalid(f"{name} is no JPEG or PNG file, or a damaged one")
    return pixels, file


def _examine_png(encoded):
    place, kept, pixels = len(_PNG_HEAD), [_PNG_HEAD], 0
    for _ in range(_MOST_PARTS):
        if len(encoded) < place + 8:
            return pixels, b"".join(kept)
        length, kind = struct.unpack_from(">I4s", encoded, place)
        if kind == b"IHDR" and length == 13 and len(encoded) >= place + 16:
            width, height = struct.unpack_from(">II", encoded, place + 8)
            pixels = max(pixels, height * width)
        if kind in _PNG_KEPT:
            kept.append(encoded[place : place + 12 + length])
        place += 12 + length
    return 0, encoded


def _examine_jpeg(encoded):
    """Pixels, and how many scans they are spread over."""
    place, pixels = len(_JPEG_HEAD), 0
    for _ in range(_MOST_PARTS):
        if len(encoded) < place + 9 or encoded[place] != 0xFF:
            break
        marker, length = struct.unpack_from(">BH", encoded, place + 1)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", encoded, place + 5)
            pixels = max(pixels, height * width)
        if marker == _JPEG_SCAN:
            # Inside a scan this pair of bytes does not occur.
            return pixels, encoded.count(bytes([0xFF, _JPEG_SCAN]), place)
        place += 1 if marker == 0xFF else 2 + length
    return 0, 0
