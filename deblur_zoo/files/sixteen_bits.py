"""Colour PNG and TIFF files with 16 bits per channel; Pillow reads and writes only their high bytes."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import TiffImagePlugin

_BITS, _STRIP_OFFSETS = TiffImagePlugin.BITSPERSAMPLE, TiffImagePlugin.STRIPOFFSETS
_DEFLATE, _DIFFERENCES = 8, 2


def holds(image):
    """Whether an opened PIL image, not yet loaded, is one of these files."""
    if image.format == "PNG":
        return bool(image.tile) and ";16" in str(image.tile[0][3])
    return image.format == "TIFF" and set(image.tag_v2.get(_BITS, (1,))) == {16} and image.mode.startswith("RGB")


def read(file, high_bytes):
    """All bits of a file's pixels.

    Args:
        file: the opened file.
        high_bytes: uint8 (H, W, 3) or (H, W, 4), as Pillow reads them.

    Returns:
        uint16 of the same shape; ``high_bytes`` if OpenCV reads other pixels than Pillow, as of rare kinds of TIFF.
    """
    import cv2

    file.seek(0)
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), flags)
    except cv2.error:
        return high_bytes
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape != high_bytes.shape:
        return high_bytes
    pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return pixels if np.array_equal(pixels >> 8, high_bytes) else high_bytes


def encode(pixels, format, profile, metadata):
    """A PNG or TIFF file's bytes.

    Args:
        pixels: uint16 (H, W), (H, W, 3) or (H, W, 4).
        format: "PNG" or "TIFF".
        profile: bytes of a colour profile, or None.
        metadata: ``Metadata`` of the picture.
    """
    exif = metadata.exif(profile is not None)
    return (_png if format == "PNG" else _tiff)(pixels, profile, exif, metadata.dpi)


def _png(pixels, profile, exif, dpi):
    import cv2

    order = slice(None) if pixels.ndim == 2 else [2, 1, 0, 3][: pixels.shape[2]]
    data = cv2.imencode(".png", pixels[..., order])[1].tobytes()
    chunks = b""
    if profile is not None:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile))
    if dpi is not None:
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1))
    if exif is not None:
        chunks += _chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    # After the signature and the header.
    return data[:33] + chunks + data[33:]


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _tiff(pixels, profile, exif, dpi):
    """One strip, compressed: Pillow writes the directory, which moves the strip's offset behind itself."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    height, width, channels = pixels.shape
    differences = np.diff(pixels, axis=1, prepend=pixels[:, :1] * 0)
    strip = zlib.compress(differences.astype("<u2"))
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    for tag in exif or ():
        values = exif.get(tag)
        directory[tag] = dict(values) if isinstance(values, dict) else values
    directory[TiffImagePlugin.IMAGEWIDTH], directory[TiffImagePlugin.IMAGELENGTH] = width, height
    directory[_BITS] = (16,) * channels
    directory[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    directory[TiffImagePlugin.COMPRESSION] = _DEFLATE
    directory[TiffImagePlugin.PREDICTOR] = _DIFFERENCES
    directory[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 1 if channels == 1 else 2
    if channels == 4:
        # Alpha that the colours are not multiplied by.
        directory[TiffImagePlugin.EXTRASAMPLES] = 2
    if profile is not None:
        directory[TiffImagePlugin.ICCPROFILE] = profile
    if dpi is not None:
        directory[TiffImagePlugin.RESOLUTION_UNIT] = 2
        directory[TiffImagePlugin.X_RESOLUTION], directory[TiffImagePlugin.Y_RESOLUTION] = dpi
    directory[TiffImagePlugin.ROWSPERSTRIP] = height
    directory[TiffImagePlugin.STRIPBYTECOUNTS] = len(strip)
    directory[_STRIP_OFFSETS] = 0
    file = BytesIO()
    directory.save(file)
    return file.getvalue() + strip
