"""Picture files, PIL images and arrays to one form, and back to the form they came in.

The one form is float32 RGB in [0, 1], layout (N, H, W, 3). Files come upright (EXIF orientation applied), as 8 bit:
16-bit RGB files are read by their high bytes, 16-bit grey ones in full. An animation gives its first frame.
"""

import os
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_zoo.files.atomic_file import atomic_path

# A named list: Pillow's full one holds formats that start other programs (EPS) or reach for other files.
READ_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
WRITE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_WRITE_OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}
MAXIMUM_PIXELS = 64_000_000
# Rec. 601, the weights of Pillow's and OpenCV's conversions to grey.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ACCEPTED_ARRAYS = "arrays of shape (H, W), (H, W, C) or (N, H, W, C) with C = 1, 3 or 4"
# What damaged files make Pillow raise, beside OSError.
_DECODER_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError,
                   struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip
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


@dataclass(frozen=True)
class Picture:
    """Pictures ready for a model, and what is needed to give a result back in the form they came in.

    Attributes:
        rgb: float32 (N, H, W, 3) in [0, 1].
        shape: shape of the array (or of the upright picture) that they came as.
        grey: the picture has one colour channel, or three equal ones (grey with alpha).
        alpha: uint8 (N, H, W), or None.
    """

    rgb: np.ndarray
    shape: tuple
    grey: bool
    alpha: np.ndarray | None

    def rebuild(self, rgb):
        """Give ``rgb`` the shape that this picture came in.

        Args:
            rgb: float (N, H, W, 3) in [0, 1] (clipped), of the same size as ``self.rgb``.

        Returns:
            uint8 array of the input's shape, rounded to nearest. Grey pictures give Rec. 601 luma; an alpha channel
            is the input's.

        Raises:
            ValueError: another shape, or NaN.
        """
        rgb = np.asarray(rgb, np.float32)
        if rgb.shape != self.rgb.shape:
            raise ValueError(f"The result has shape {rgb.shape}, the picture has {self.rgb.shape}.")
        if not np.isfinite(rgb).all():
            raise ValueError("The result holds NaN or infinity and is no picture.")
        if self.grey:
            rgb = (rgb @ LUMA)[..., None]
        pixels = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
        if self.alpha is not None:
            pixels = np.concatenate([np.broadcast_to(pixels, self.rgb.shape), self.alpha[..., None]], axis=-1)
        return pixels.reshape(self.shape)


def load(source, maximum_pixels=MAXIMUM_PIXELS):
    """Read a picture, or take an array, for a model.

    Args:
        source: a path, a PIL image, or an array of shape (H, W), (H, W, C) or (N, H, W, C), C = 1, 3 or 4: uint8,
            uint16 (0 to 65535) or float in [0, 1]. Colour order RGB, alpha last.
        maximum_pixels: larger files and PIL images are refused.

    Returns:
        Picture.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no picture, damaged or too large, or an array of another shape, kind or range.
        TypeError: none of the accepted kinds.
    """
    if isinstance(source, (str, os.PathLike)):
        return _from_array(*_read_upright(source, maximum_pixels))
    if isinstance(source, Image.Image):
        return _from_array(*_upright_pixels(source, "The PIL image", maximum_pixels))
    if hasattr(source, "__array__"):
        return _from_array(np.asarray(source), False)
    hint = "; pictures.decode reads encoded bytes" if isinstance(source, (bytes, bytearray)) else ""
    raise TypeError(
        f"A picture is a path, a PIL image or an array (H, W), (H, W, C) or (N, H, W, C), not {type(source)}{hint}."
    )


def repeated(function, passes):
    """A function that applies another one several times, each time to what it gave before.

    Raises:
        ValueError: passes that are not a whole number of at least 1.
    """
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 1:
        raise ValueError(f"passes is a whole number of at least 1, not {passes!r}.")

    def apply(images):
        for _ in range(passes):
            images = function(images)
        return images

    return apply


def restored(source, function, batch_size):
    """Put a picture or a batch through a function and give the result back in the form it came in.

    Args:
        source: as for ``load``.
        function: of float32 (n, H, W, 3) in [0, 1], n up to ``batch_size``, to an array of the same shape.
        batch_size: how many images are given at once.

    Returns:
        uint8 array of the input's shape; see ``Picture.rebuild``.

    Raises:
        FileNotFoundError, ValueError, TypeError: as ``load``, and what the function raises.
    """
    picture = load(source)
    return picture.rebuild(in_batches(function, picture.rgb, batch_size))


def in_batches(function, images, batch_size):
    """What a function gives for parts of ``images`` of up to ``batch_size``, joined along the first axis."""
    starts = range(0, len(images), batch_size)
    return np.concatenate([function(images[start : start + batch_size]) for start in starts])


def read(path, maximum_pixels=MAXIMUM_PIXELS):
    """Read a picture file: uint8 (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) with alpha; upright.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a picture, damaged, or more than ``maximum_pixels``.
    """
    return _to_uint8(_read_upright(path, maximum_pixels)[0])


def decode(data, maximum_pixels=MAXIMUM_PIXELS):
    """Read an encoded picture from bytes; as ``read``."""
    with _open(BytesIO(data), "The data", maximum_pixels) as image:
        return _to_uint8(_upright_pixels(image, "The data", maximum_pixels)[0])


def encode(pixels, format="png"):
    """Encode uint8 pixels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as a picture file.

    Args:
        pixels: uint8, RGB order, alpha last.
        format: "png", "jpeg" (quality 95, full chroma), "webp" (lossless), "bmp" or "tiff".

    Raises:
        ValueError: another format, shape or kind of array, or alpha in a format that cannot hold it.
    """
    name = WRITE_FORMATS.get(f".{format.lower().lstrip('.')}")
    if name is None:
        raise ValueError(f"Pictures are written as {', '.join(WRITE_FORMATS)}, not as {format!r}.")
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8 or pixels.size == 0 or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    ):  # fmt: skip
        raise ValueError(
            f"A picture is written from uint8 pixels (H, W), (H, W, 3) or (H, W, 4), not {pixels.dtype} {pixels.shape}."
        )
    if name == "JPEG" and pixels.ndim == 3 and pixels.shape[2] == 4:
        raise ValueError("JPEG holds no alpha channel: write PNG or WebP, or leave the fourth channel out.")
    buffer = BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, name, **_WRITE_OPTIONS.get(name, {}))
    except (OSError, ValueError) as error:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ValueError(f"A picture of {size} pixels cannot be written as {name} ({error}).") from error
    return buffer.getvalue()


def write(path, pixels):
    """Write uint8 pixels to a picture file, in the format that the path's ending names; complete or not at all.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: as ``encode``.
    """
    path = Path(path)
    check_ending(path)
    data = encode(pixels, path.suffix)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def check_ending(path):
    """Raise ValueError unless ``write`` knows the path's ending."""
    if Path(path).suffix.lower() not in WRITE_FORMATS:
        raise ValueError(f"The picture {Path(path).name!r} must end in one of {', '.join(WRITE_FORMATS)}.")


def existing_folder(folder):
    """The folder as a Path.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder.")
    return folder


def list_pictures(folder):
    """Paths of all picture files (by ending) in a folder and its sub-folders, sorted; hidden ones are left out.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    folder = existing_folder(folder)
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in WRITE_FORMATS
        ]
    return sorted(found)


def _read_upright(path, maximum_pixels):
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a picture.")
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    with file, _open(file, str(path), maximum_pixels) as image:
        return _upright_pixels(image, str(path), maximum_pixels)


def _open(file, name, maximum_pixels):
    try:
        return Image.open(file, formats=READ_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"{name} has more than {maximum_pixels:,} pixels, the most that are read.") from None
    except _DECODER_ERRORS:
        raise ValueError(f"{name} is not a picture that can be read ({', '.join(READ_FORMATS)}).") from None


def _upright_pixels(image, name, maximum_pixels):
    """A PIL image's pixels, upright, and whether colour channels are known to be equal."""
    width, height = image.size
    if not width or not height:
        raise ValueError(f"{name} is empty: {width}x{height} pixels.")
    if width * height > maximum_pixels:
        raise ValueError(f"{name} has {width}x{height} pixels, more than the {maximum_pixels:,} that are read.")
    try:
        image.load()
        pixels, grey = _pixels(image)
    except _DECODER_ERRORS as error:
        raise ValueError(f"{name} is damaged or of a kind that cannot be read ({error}).") from error
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # Malformed EXIF can raise anything, and the picture itself is sound.
        orientation = None
    if orientation in _UPRIGHT:
        pixels = _UPRIGHT[orientation](pixels)
    return np.ascontiguousarray(pixels), grey


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


def _to_uint8(pixels):
    if pixels.dtype == np.uint16:
        return np.rint(pixels / 257).astype(np.uint8)
    if pixels.dtype != np.uint8:
        return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return pixels


def _from_array(pixels, grey):
    shape = pixels.shape
    if pixels.size == 0:
        raise ValueError(f"The array is empty: shape {shape}.")
    if pixels.ndim == 2:
        pixels = pixels[None, :, :, None]
    elif pixels.ndim == 3:
        pixels = pixels[None]
    if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3, 4):
        raise ValueError(f"Pictures are {_ACCEPTED_ARRAYS}; this array has shape {shape}.")
    if pixels.dtype in (np.uint8, np.uint16):
        values = pixels.astype(np.float32) / np.iinfo(pixels.dtype).max
    elif pixels.dtype.kind == "f" or pixels.dtype.name == "bfloat16":
        values = pixels.astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("The array holds NaN or infinity.")
        low, high = values.min(), values.max()
        if low < -1e-3 or high > 1 + 1e-3:
            raise ValueError(
                f"Float pictures are in [0, 1], this one in [{low:.4g}, {high:.4g}]; divide by 255, or give uint8."
            )
        values = np.clip(values, 0, 1)
    else:
        raise ValueError(f"Pictures are uint8, uint16 or float arrays, not {pixels.dtype}.")
    channels = values.shape[-1]
    rgb = np.repeat(values, 3, axis=-1) if channels == 1 else np.ascontiguousarray(values[..., :3])
    alpha = _to_uint8(values[..., 3]) if channels == 4 else None
    return Picture(rgb, shape, grey or channels == 1, alpha)
