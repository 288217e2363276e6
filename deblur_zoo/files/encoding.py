"""Pixels to encoded picture files, with their colour profile, EXIF data and resolution."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_zoo.files import sixteen_bits
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.metadata import Metadata

WRITE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
# Formats that hold uint16 pixels.
DEEP_FORMATS = ("PNG", "TIFF")
_QUALITY = 95


def format_of(path):
    """Pillow's name of the format that a path's ending names.

    Raises:
        ValueError: another ending.
    """
    name = WRITE_FORMATS.get(Path(path).suffix.lower())
    if name is None:
        raise ValueError(f"The picture {Path(path).name!r} must end in one of {', '.join(WRITE_FORMATS)}.")
    return name


def check_ending(path):
    """Raise ValueError unless ``write`` knows the path's ending."""
    format_of(path)


def encode(pixels, format="png", profile=None, metadata=None, quality=None):
    """Encode pixels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as a picture file.

    Args:
        pixels: uint8, RGB order, alpha last; PNG and TIFF take uint16 as well.
        format: "png", "jpeg" (full chroma), "webp", "bmp" or "tiff".
        profile: bytes of a colour profile to put into the file; None: the pixels are sRGB.
        metadata: ``Metadata`` to put into the file, as far as the format supports it.
        quality: 1 to 100, of JPEG (default: 95) and WebP (default: lossless).

    Raises:
        ValueError: another format, shape or kind of array, or alpha in a format that cannot hold it.
    """
    name = WRITE_FORMATS.get(f".{format.lower().lstrip('.')}")
    if name is None:
        raise ValueError(f"Pictures are written as {', '.join(WRITE_FORMATS)}, not as {format!r}.")
    pixels, metadata = np.asarray(pixels), metadata or Metadata()
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    deep = pixels.dtype == np.uint16 and name in DEEP_FORMATS
    if not (deep or pixels.dtype == np.uint8) or pixels.size == 0 or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    ):  # fmt: skip
        raise ValueError(
            "A picture is written from uint8 pixels (H, W), (H, W, 3) or (H, W, 4), PNG and TIFF from uint16 ones as "
            f"well, not {name} from {pixels.dtype} {pixels.shape}."
        )
    if name == "JPEG" and pixels.ndim == 3 and pixels.shape[2] == 4:
        raise ValueError("JPEG has no alpha channel: write PNG or WebP, or drop the fourth channel.")
    if deep:
        return sixteen_bits.encode(pixels, name, profile, metadata)
    options = metadata.save_options(name, profile is not None)
    if name == "JPEG":
        options |= {"quality": quality or _QUALITY, "subsampling": 0}
    elif name == "WEBP":
        options |= {"lossless": True, "exact": True} if quality is None else {"quality": quality}
    buffer = BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, name, icc_profile=profile, **options)
    except (OSError, ValueError) as error:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ValueError(f"A picture of {size} pixels cannot be written as {name} ({error}).") from error
    return buffer.getvalue()


def write(path, pixels, profile=None, metadata=None, quality=None):
    """Write pixels to a picture file, in the format that the path's ending names, atomically.

    Args:
        path: of the file.
        pixels, profile, metadata, quality: as for ``encode``.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: as ``encode``.
    """
    path = Path(path)
    check_ending(path)
    data = encode(pixels, path.suffix, profile, metadata, quality)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
