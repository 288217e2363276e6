"""Decode image files and PIL images to upright sRGB pixels, or raise a one-sentence error.

docs/pictures.md lists what is accepted; of an animation or a multi-page file the first image is read.
"""

import dataclasses
import os
import stat
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from deblur_zoo.files import examination, sixteen_bits
from deblur_zoo.files import metadata as picture_metadata
from deblur_zoo.files.colours import ColourProfile
from deblur_zoo.files.metadata import ORIENTATION, Metadata

# An explicit list: some of Pillow's formats start other programs (EPS) or open other files.
READ_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
# The kinds of HEIC, by their first box; Pillow reads them with a plug-in.
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
MAXIMUM_PIXELS = 64_000_000
# Four channels of 16 bits, and room for a colour profile.
_BYTES_PER_PIXEL = 9
_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 258, 259, 262, 284, 339
# EXIF orientation to the operation that makes the picture upright.
_UPRIGHT = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}


class TooManyPixels(ValueError):
    """An image has too many pixels."""


def check_pixels(name, height, width, maximum_pixels):
    """Raise TooManyPixels where a picture called ``name`` in the sentence is larger than ``maximum_pixels``."""
    if height * width > maximum_pixels:
        raise TooManyPixels(f"{name} has {width}x{height} pixels, more than the {maximum_pixels:,} that are accepted.")


@dataclass(frozen=True)
class Decoded:
    """A picture, upright.

    Attributes:
        pixels: sRGB, (H, W) for grey, (H, W, 3), or (H, W, 4) with alpha; uint8, uint16 for a file of 16 bits, float32
            (H, W) for grey of other kinds.
        grey: whether the colours of (H, W, 4) are known to be equal.
        deep: whether the file has 16 bits per channel.
        profile: ColourProfile that results can be given back in, or None.
        own: uint8 or uint16 pixels in the colours of ``profile``, alpha left out; None without one.
        metadata: of the file.
    """

    pixels: np.ndarray
    grey: bool = False
    deep: bool = False
    profile: ColourProfile | None = None
    own: np.ndarray | None = None
    metadata: Metadata = field(default_factory=Metadata)


def open_file(path):
    """Open a regular file for reading bytes.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: a folder.
        ValueError: a pipe, a device or a socket, whose reading might never end.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a picture.")
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError(f"{path} is a pipe, a device or a socket; pictures are read from files.")
        return open(path, "rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None


def decode_file(path, maximum_pixels, as_stored=False):
    """``Decoded`` of a file; raises as ``open_file`` and ``decode_image``."""
    with open_file(path) as file:
        return _decode(file, str(path), maximum_pixels, as_stored)


def decode_bytes(data, maximum_pixels, as_stored=False):
    """``Decoded`` of an encoded picture; raises as ``decode_image``."""
    return _decode(BytesIO(data), "The data", maximum_pixels, as_stored)


def _decode(file, name, maximum_pixels, as_stored):
    _examine(file, name, maximum_pixels)
    try:
        image = _open(file, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels(f"{name} has more than the {maximum_pixels:,} pixels that are accepted.") from None
    except _NeedsExtra:
        raise
    except Exception:  # Pillow raises nearly any exception for damaged files.
        raise ValueError(f"{name} is not a picture that can be read ({', '.join(READ_FORMATS)}, HEIC).") from None
    with image:
        return _decoded(image, name, maximum_pixels, as_stored, file)


class _NeedsExtra(ValueError):
    """Reading the picture needs an optional package."""


def _open(file, name):
    head = file.read(12)
    file.seek(0)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        try:
            import pillow_heif
        except ImportError:
            raise _NeedsExtra(f"{name} is a HEIC picture, which needs pip install 'deblur-zoo[heif]'.") from None
        pillow_heif.register_heif_opener()
        return Image.open(file, formats=("HEIF", "AVIF"))
    return Image.open(file, formats=READ_FORMATS)


def _examine(file, name, maximum_pixels):
    """Reject files that Pillow would take minutes to decode."""
    most = _BYTES_PER_PIXEL * max(maximum_pixels, MAXIMUM_PIXELS)
    content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} is larger than any picture of {maximum_pixels:,} pixels.")
    examination.examine(content, name)
    file.seek(0)


def decode_image(image, name, maximum_pixels, as_stored=False):
    """``Decoded`` of a PIL image.

    Args:
        image: PIL image, not necessarily loaded.
        name: what to call it in error messages.
        maximum_pixels: the most that are accepted.
        as_stored: leave a colour profile alone, for pixels that are not colours (label maps).

    Raises:
        ValueError: empty, too large, damaged, with a damaged colour profile, or of a kind that is not read.
    """
    return _decoded(image, name, maximum_pixels, as_stored)


def _decoded(image, name, maximum_pixels, as_stored, file=None):
    width, height = image.size
    if not width or not height:
        raise ValueError(f"{name} is empty: {width}x{height} pixels.")
    check_pixels(name, height, width, maximum_pixels)
    try:
        profile = None if as_stored else _profile(image)
    except ValueError as error:
        raise ValueError(f"{name}: {error}. Convert it to sRGB, or correct the profile.") from error
    try:
        inverted = image.format == "TIFF" and _is_inverted_tiff(image)
        deep = file is not None and sixteen_bits.holds(image)
        image.load()
        if image.mode == "CMYK" and profile:
            # Results are RGB, so they cannot be returned in this profile.
            pixels, grey, profile = profile.to_srgb(np.asarray(image)), False, None
        else:
            pixels, grey = _pixels(image)
        if deep and pixels.ndim == 3:
            pixels = sixteen_bits.read(file, pixels)
        if inverted:
            pixels = np.iinfo(pixels.dtype).max - pixels
    except MemoryError:
        raise ValueError(f"{name} has {width}x{height} pixels, too many for the available memory.") from None
    except Exception as error:  # Pillow raises nearly any exception for damaged files.
        raise ValueError(
            f"{name} is damaged or of a kind that cannot be read ({str(error) or type(error).__name__})."
        ) from error
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # Malformed EXIF data can raise anything, but the image itself is intact.
        orientation = None
    if orientation in _UPRIGHT:
        pixels = _UPRIGHT[orientation](pixels)
    pixels = np.ascontiguousarray(pixels)
    decoded = Decoded(pixels, grey) if profile is None else _in_srgb(pixels, grey, profile)
    metadata = picture_metadata.read(image)
    return dataclasses.replace(decoded, deep=pixels.dtype == np.uint16, metadata=metadata)


def to_uint8(pixels):
    """uint8, uint16 or float in [0, 1] to uint8, rounded to nearest."""
    if pixels.dtype == np.uint16:
        return np.rint(pixels / 257).astype(np.uint8)
    if pixels.dtype != np.uint8:
        return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return pixels


def to_uint16(pixels):
    """uint8, uint16 or float in [0, 1] to uint16, rounded to nearest."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * 257
    if pixels.dtype != np.uint16:
        return np.rint(np.clip(pixels, 0, 1) * 65535).astype(np.uint16)
    return pixels


def _is_inverted_tiff(image):
    """Whether to invert a TIFF's grey pixels after Pillow; raises ValueError for kinds that Pillow reads wrongly."""
    tags = image.tag_v2
    bits = max(tags.get(_BITS, (1,)))
    if any(format not in (1, 3, 4) for format in tags.get(_SAMPLE_FORMAT, (1,))):
        raise ValueError("a TIFF with signed or complex numbers")
    # Pillow takes the planes of an uncompressed file for 8-bit ones.
    if tags.get(_PLANAR) == 2 and bits == 16 and tags.get(_COMPRESSION, 1) == 1:
        raise ValueError("an uncompressed TIFF of 16-bit planes; interleave the channels, compress, or save as PNG")
    # 0: white is zero. Pillow inverts it up to 8 bits.
    if tags.get(_PHOTOMETRIC) == 0 and bits > 8:
        if not image.mode.startswith("I;16"):
            raise ValueError(f"a TIFF of {bits}-bit grey in which white is zero")
        return True
    return False


def _profile(image):
    """The ColourProfile of a PIL image, or None."""
    # None where Pillow found a damaged one and dropped it.
    data = image.info.get("icc_profile", b"")
    if data is None and image.format:
        raise ValueError("its colour profile is damaged")
    if not data:
        if image.format in ("JPEG", "MPO") and _is_adobe_rgb(image):
            raise ValueError("its EXIF data says that it is in Adobe RGB, and it has no colour profile")
        return None
    # Of colours that are neither grey nor CMYK Pillow makes RGB.
    grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    return ColourProfile(data, "L" if grey else image.mode if image.mode == "CMYK" else "RGB")


def _is_adobe_rgb(image):
    """Whether a camera wrote Adobe RGB and says so in EXIF data only (DCF 2.0: interoperability index R03)."""
    try:
        return image.getexif().get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
    except Exception:  # Malformed EXIF data can raise anything, but the image itself is intact.
        return False


def _pixels(image):
    """A PIL image's pixels as uint8, uint16 or float, and whether it is grey with alpha."""
    mode = image.mode
    if mode.startswith("I"):
        pixels = np.asarray(image)
        # Pillow gives 16-bit PNG as 32-bit integers or as uint16, depending on its version.
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ValueError("32-bit integers outside 0 to 65535")
        return pixels.astype(np.uint16), False
    if mode == "F":
        pixels = np.asarray(image)
        if not (pixels.min() >= -1e-3 and pixels.max() <= 1 + 1e-3):
            raise ValueError("32-bit floats outside 0 to 1")
        return pixels, False
    if image.has_transparency_data:
        grey = mode in ("1", "L", "LA", "La")
        # Pre-multiplied modes convert to their plain form only.
        plain = {"La": "LA", "RGBa": "RGBA"}.get(mode)
        return np.asarray((image.convert(plain) if plain else image).convert("RGBA")), grey
    return np.asarray(image.convert("L" if mode in ("1", "L") else "RGB")), False


def _in_srgb(pixels, grey, profile):
    """``Decoded`` of upright pixels that are in the colours of a profile."""
    if pixels.ndim == 2:
        own, srgb = pixels if pixels.dtype == np.uint16 else to_uint8(pixels), profile.to_srgb(pixels)
    else:
        own = pixels[..., :3]
        # Grey with alpha comes as RGBA.
        srgb = np.repeat(profile.to_srgb(own[..., 0])[..., None], 3, axis=2) if grey else profile.to_srgb(own)
        srgb = np.concatenate([srgb, pixels[..., 3:]], axis=2)
    # A profile of grey colours does not describe RGBA pixels.
    returns = profile.can_return and not grey
    return Decoded(srgb, grey, profile=profile if returns else None, own=own if returns else None)
