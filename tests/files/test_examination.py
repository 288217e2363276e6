"""Encoded pictures that would take minutes to decode are refused, by the examination and by what reads pictures."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from deblur_zoo.files import examination, pictures


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


def progressive(scans, between=b""):
    """The last scan of a progressive JPEG, again and again, with something between."""
    content = saved(Image.new("L", (64, 32)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:-2] + (between + content[last:-2]) * (scans - content.count(b"\xff\xda")) + content[-2:]


def segment(content):
    """A JPEG's comment."""
    return b"\xff\xfe" + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("make", [png, jpeg])
def test_what_a_picture_claims(make):
    assert examination.examine(make(300, 200), "It")[0] == 60_000
    assert examination.examine(make(65_500, 65_000), "It")[0] == 65_500 * 65_000
    for damaged in (make(300, 200)[:10], make(0, 200), b"", b"GIF89a" + b"\0" * 20, b"\xff\xd8\xff" + b"\0" * 20):
        assert examination.examine(damaged, "It")[0] == 0


def test_a_jpeg_in_which_a_smaller_picture_is_stored():
    """An EXIF preview stands before the picture's own frame, with scans of its own."""
    content, preview = jpeg(300, 200), progressive(150)
    assert examination.examine(content[:2] + segment(preview) + content[2:], "It")[0] == 60_000


# An end in a comment, which is not the file's, hides no scans.
@pytest.mark.parametrize("between", [b"", segment(b"\xff\xd9"), b"\xff\xff"])
def test_scans(between):
    assert examination.examine(progressive(100, between), "It")[0] == 64 * 32
    for read in (lambda data: examination.examine(data, "The data"), pictures.decode):
        with pytest.raises(ValueError, match="The data has more than 100 scans"):
            read(progressive(101, between))


def test_what_follows_a_jpeg_or_lies_in_a_comment_is_no_scan():
    """Phones append films, and profiles and comments hold any bytes."""
    content, other = saved(Image.new("L", (64, 32)), "JPEG"), b"\xff\xda\0\1" * 1000
    assert pictures.decode(content + other).shape == (32, 64)
    assert pictures.decode(content[:2] + segment(other) + content[2:]).shape == (32, 64)


@pytest.mark.parametrize(
    "content", [png(1, 1, chunk(b"abCd", b"") * 1_000_000), b"\xff\xd8" + segment(b"") * 1_000_000]
)
@pytest.mark.parametrize("read", [lambda data: examination.examine(data, "The data"), pictures.decode])
def test_a_million_parts_are_not_read(content, read):
    started = time.process_time()
    with pytest.raises(ValueError, match="The data has more than [0-9]{5} parts"):
        read(content)
    # Pillow takes half a minute.
    assert time.process_time() - started < 2


def test_a_file_larger_than_any_picture_is_not_read(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures.decoding, "MAXIMUM_PIXELS", 10)
    (tmp_path / "long.png").write_bytes(png(1, 1) + b"\0" * 100)
    with pytest.raises(ValueError, match="long.png is larger than any picture of 10 pixels"):
        pictures.read(tmp_path / "long.png", maximum_pixels=10)


def test_comments_are_not_unpacked():
    """8 MB of text in 8 KB, many times: TensorFlow would unpack each."""
    bomb = png(1, 1, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 7_900_000)) * 100)
    assert examination.examine(bomb, "It") == (1, png(1, 1))


def test_what_is_left_out_does_not_change_the_picture():
    """Palette with transparency, gamma, a colour profile and text: decoded as the whole file is."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    random = np.random.default_rng(0)
    grey = Image.fromarray(random.integers(0, 256, (9, 7), np.uint8))
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 1000, zip=True)
    text.add(b"gAMA", struct.pack(">I", 100_000))
    whole = saved(grey.convert("P"), "PNG", pnginfo=text, transparency=3, icc_profile=b"profile" * 20)
    _, file = examination.examine(whole, "It")
    assert len(file) < len(whole)
    for channels in (3, 4):
        np.testing.assert_array_equal(
            tf.io.decode_png(file, channels=channels), tf.io.decode_png(whole, channels=channels)
        )
