"""Encoded pictures that are refused before TensorFlow decodes them, and those that are not."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server import pictures  # noqa: E402
from deblur_zoo.serving.server.errors import RequestError  # noqa: E402


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *extra):
    """A PNG whose head says so, and that holds one row of a pixel."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(b"\0" * 4)) + chunk(b"IEND", b"")
    )


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(width, height):
    """A JPEG whose start of frame (marker, length, precision, height, width) says so."""
    content = saved(Image.new("RGB", (8, 8)), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def progressive(scans):
    """The last scan of a progressive JPEG, again and again."""
    content = saved(Image.new("L", (64, 32)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * (scans - content.count(b"\xff\xda")) + content[-2:]


@pytest.mark.parametrize("make", [png, jpeg])
def test_what_a_picture_claims(make):
    assert pictures.examine(make(300, 200), "It")[0] == 60_000
    assert pictures.examine(make(65_500, 65_000), "It")[0] == 65_500 * 65_000
    for damaged in (make(300, 200)[:10], make(0, 200)):
        with pytest.raises(RequestError, match="It is no JPEG or PNG file, or a damaged one"):
            pictures.examine(damaged, "It")


def test_a_jpeg_in_which_a_smaller_picture_is_stored():
    """An EXIF preview stands before the picture's own frame, with scans of its own."""
    preview = saved(Image.new("RGB", (4, 4)), "JPEG")
    content = jpeg(300, 200)
    extension = b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview
    assert pictures.examine(content[:2] + extension + content[2:], "It")[0] == 60_000


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a" + b"\0" * 20, b"BM" + b"\0" * 60, b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff" + b"\0" * 20],
)
def test_what_is_no_jpeg_or_png(content):
    """A GIF's head tells nothing about its frames, and TensorFlow would decode all of them."""
    with pytest.raises(RequestError, match="It is no JPEG or PNG file"):
        pictures.examine(content, "It")


def test_scans():
    assert pictures.examine(progressive(pictures.MOST_SCANS), "It")[0] == 64 * 32
    with pytest.raises(RequestError, match="It has 101 scans; up to 100 are accepted"):
        pictures.examine(progressive(101), "It")


@pytest.mark.parametrize(
    "content", [png(1, 1, chunk(b"abCd", b"") * 1_000_000), b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000 + jpeg(8, 8)[2:]]
)
def test_a_million_parts_are_not_read(content):
    started = time.process_time()
    with pytest.raises(RequestError, match="damaged"):
        pictures.examine(content, "It")
    # Some milliseconds for 10,000.
    assert time.process_time() - started < 0.5


def test_comments_are_not_unpacked():
    """8 MB of text in 8 KB, many times: TensorFlow would unpack each."""
    bomb = png(1, 1, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 7_900_000)) * 100)
    assert pictures.examine(bomb, "It") == (1, png(1, 1))


def test_what_is_left_out_does_not_change_the_picture():
    """Palette with transparency, gamma, a colour profile and text: decoded as the whole file is."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    random = np.random.default_rng(0)
    grey = Image.fromarray(random.integers(0, 256, (9, 7), np.uint8))
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 1000, zip=True)
    text.add(b"gAMA", struct.pack(">I", 100_000))
    whole = saved(grey.convert("P"), "PNG", pnginfo=text, transparency=3, icc_profile=b"profile" * 20)
    _, file = pictures.examine(whole, "It")
    assert len(file) < len(whole)
    for channels in (3, 4):
        np.testing.assert_array_equal(
            tf.io.decode_png(file, channels=channels), tf.io.decode_png(whole, channels=channels)
        )
