"""What docs/pictures.md says of each kind of file: the right pixels, or a refusal; never others."""

import io
import itertools
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from deblur_zoo.files import pictures

COLOUR = np.ascontiguousarray(astronaut()[20:84, 110:182])
GREY = COLOUR[..., 1]
ALPHA = np.tile(np.arange(72, dtype=np.uint8) * 3, (64, 1))


def tiff(stored, photometric, bits, planar=False, order="<", compressed=False, format=1, extra=0):
    """A TIFF (revision 6.0) of one strip a plane, written by hand.

    Args:
        stored: (H, W) or (H, W, C) of numbers as they are to be stored.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK, 8 CIE Lab.
        bits, format: of a sample; 1 whole numbers, 2 signed ones, 3 floats.
        planar: a plane after the other.
        order: "<" or ">".
        extra: how many of the samples are alpha.
    """
    stored = stored if stored.ndim == 3 else stored[..., None]
    height, width, samples = stored.shape
    stored = stored.astype(stored.dtype.newbyteorder(order))
    planes = [stored[..., c] for c in range(samples)] if planar else [stored]
    strips = [plane.tobytes() for plane in planes]
    if compressed:
        strips = [zlib.compress(strip) for strip in strips]
    fields = {
        256: [width],
        257: [height],
        258: [bits] * samples,
        259: [8 if compressed else 1],
        262: [photometric],
        277: [samples],
        278: [height],
        284: [2 if planar else 1],
        339: [format] * samples,
    }
    if extra:
        fields[338] = [2] * extra
    body, places = b"", []
    for strip in strips:
        places.append(8 + len(body))
        body += strip + bytes(len(strip) % 2)
    fields |= {273: places, 279: [len(strip) for strip in strips]}
    entries = b""
    for tag, values in sorted(fields.items()):
        kind, letter = (4, "I") if tag in (273, 279) else (3, "H")
        value = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(value) > 4:
            place = 8 + len(body)
            body += value + bytes(len(value) % 2)
            value = struct.pack(order + "I", place)
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(body))
    return head + body + struct.pack(order + "H", len(fields)) + entries + bytes(4)


def as_kind(pixels, kind):
    """uint8 pixels in another kind of number, of the same meaning."""
    if kind == "u1":
        return pixels
    return pixels.astype(np.uint16) * 257 if kind == "u2" else (pixels / 255).astype(np.float32)


def read_or_none(data):
    try:
        return pictures.decode(data)
    except ValueError as error:
        assert str(error).startswith("The data ") and "\n" not in str(error)
        return None


COMBINATIONS = list(itertools.product(("rgb", "rgba", "black", "white"), ("u1", "u2", "f4"), "<>", (0, 1), (0, 1)))


@pytest.mark.parametrize("colours, kind, order, planar, compressed", COMBINATIONS)
def test_a_tiff_is_read_right_or_refused(colours, kind, order, planar, compressed):
    right = {"rgb": COLOUR, "rgba": np.dstack([COLOUR, ALPHA])}.get(colours, GREY)
    stored = as_kind(255 - right if colours == "white" else right, kind)
    photometric = {"rgb": 2, "rgba": 2, "black": 1, "white": 0}[colours]
    bits, format, extra = 8 * stored.itemsize, 3 if kind == "f4" else 1, int(colours == "rgba")
    data = tiff(stored, photometric, bits, planar and right.ndim == 3, order, compressed, format, extra)
    read = read_or_none(data)
    if read is not None:
        np.testing.assert_allclose(read.astype(int), right, atol=1)
    must_be_read = kind == "u1" or (kind == "u2" and colours != "white" and not (planar and right.ndim == 3))
    assert read is not None or not must_be_read


def test_white_is_zero_in_16_bits_is_read():
    data = tiff(65535 - as_kind(GREY, "u2"), 0, 16)
    np.testing.assert_array_equal(pictures.decode(data), GREY)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) // 257, 255 - GREY)


@pytest.mark.parametrize(
    "data, words",
    [
        (tiff(as_kind(COLOUR, "u2"), 2, 16, planar=True), "16-bit planes"),
        (tiff(1 - as_kind(GREY, "f4"), 0, 32, format=3), "white is zero"),
        (tiff((GREY // 2).astype(np.int8), 1, 8, format=2), "signed"),
        (tiff(GREY.astype(np.int16), 1, 16, format=2), "signed"),
    ],
)
def test_tiffs_that_are_refused_with_the_reason(data, words):
    with pytest.raises(ValueError, match=f"The data is damaged or of a kind that cannot be read .*{words}"):
        pictures.decode(data)


def test_cmyk_tiff_without_profile():
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[..., 0], ink[..., 3] = 255, 51
    # (255 - C) * (255 - K) / 255, and so on.
    np.testing.assert_allclose(pictures.decode(tiff(ink, 5, 8)), np.broadcast_to([0, 204, 204], (4, 4, 3)), atol=1)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_files_equal_opencv(channels, order):
    wide = np.random.default_rng(0).integers(0, 65536, (6, 9, channels)).astype(np.uint16)
    png = cv2.imencode(".png", wide[..., [2, 1, 0, 3][:channels]] if channels > 1 else wide)[1].tobytes()
    for data in (png, tiff(wide, 2 if channels > 1 else 1, 16, order=order, extra=int(channels == 4))):
        np.testing.assert_allclose(pictures.decode(data).reshape(wide.shape), wide / 257, atol=1)


def test_a_file_of_several_pages_gives_its_first():
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(pictures.decode(buffer.getvalue())[0, 0], [255, 0, 0])


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_in_other_formats(format, orientation):
    """The upright picture: white at its upper left, grey at its upper right."""
    upright = np.zeros((32, 48), np.uint8)
    upright[:16, :16], upright[:16, 32:] = 255, 128
    # How each orientation is stored (TIFF 6.0: what row 0 and column 0 of the file are).
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(buffer, format, exif=exif, quality=95)
    read = pictures.decode(buffer.getvalue())
    np.testing.assert_allclose(read if read.ndim == 2 else read[..., 0], upright, atol=16)


def test_ycck_jpeg_as_adobe_writes_it():
    """An Adobe JPEG whose first three channels are YCC (transform 2). Pillow writes transform 0; a byte changes it."""
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 8), (100, 120, 130, 40)).save(buffer, "JPEG", quality=100)
    data = bytearray(buffer.getvalue())
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0
    data[adobe + 11] = 2
    # Stored are 155, 135, 125, 215. JFIF's R = Y + 1.402 (Cr - 128), and so on, are the inks; the stored K is light.
    y, cb, cr, light = 155, 135, 125, 215
    inks = y + np.array([1.402 * (cr - 128), -0.344136 * (cb - 128) - 0.714136 * (cr - 128), 1.772 * (cb - 128)])
    expected = (255 - inks) * light / 255
    np.testing.assert_allclose(pictures.decode(bytes(data))[4, 4], expected, atol=4)
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[4, 4, ::-1]
    np.testing.assert_allclose(opencv, expected, atol=4)


def test_a_lab_tiff(colour_profiles):
    colours = [(40, 120, 200), (200, 90, 60), (128, 128, 128)]
    lab = np.array([[colour_profiles.lab(colour) for colour in colours]])
    # TIFF 6.0: L from 0 to 255, a and b signed.
    stored = np.rint(lab * (2.55, 1, 1)).astype(np.int16).astype(np.uint8)
    np.testing.assert_allclose(pictures.decode(tiff(stored, 8, 8))[0], colours, atol=4)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_palette_png_without_palette_is_refused():
    head = struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    data += png_chunk(b"IDAT", zlib.compress(bytes(6))) + png_chunk(b"IEND", b"")
    with pytest.raises(ValueError, match="The data is damaged"):
        pictures.decode(data)


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        for read in (pictures.read, pictures.load, pictures.read_bytes):
            with pytest.raises(ValueError, match="a pipe, a device or a socket"):
                read(path)
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(OSError, match="symbolic links"):
        pictures.read(tmp_path / "loop.png")


@pytest.mark.parametrize("ending", [".jpe", ".jfif", ".JPG"])
def test_other_endings_of_jpeg(tmp_path, ending):
    pictures.write(tmp_path / f"a{ending}", COLOUR)
    with Image.open(tmp_path / f"a{ending}") as image:
        assert image.format == "JPEG"
    assert pictures.list_pictures(tmp_path) == [tmp_path / f"a{ending}"]


def test_larger_arrays_are_refused_too():
    with pytest.raises(ValueError, match="The array has 5x4 pixels, more than the 19 that are accepted"):
        pictures.load(np.zeros((2, 4, 5, 3)), maximum_pixels=19)
    with pytest.raises(ValueError, match="2049x2048 pixels, more than the 4,194,304 .*--max_pixels"):
        pictures.restored(np.zeros((2048, 2049), np.uint8), lambda rgb: rgb, 1)
