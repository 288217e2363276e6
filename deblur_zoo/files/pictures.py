"""Picture files, PIL images and arrays to one form, and back to the form they came in.

The one form is float32 RGB in [0, 1], layout (N, H, W, 3), sRGB. Files come upright (EXIF orientation applied) and
without their colour profile, as 8 bit: 16-bit RGB files are read by their high bytes, 16-bit grey ones in full.
docs/pictures.md has what is accepted.
"""

import dataclasses
import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_zoo.files import decoding
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.colours import ColourProfile
from deblur_zoo.files.decoding import MAXIMUM_PIXELS, TooManyPixels, check_pixels, to_uint8
from deblur_zoo.files.folders import find_files, list_files

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
_WRITE_OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}
# What can hold a colour profile, by the profile's kind of pixels; WebP has no grey.
_HOLD_PROFILE = {"RGB": ("PNG", "JPEG", "WEBP", "TIFF"), "L": ("PNG", "JPEG", "TIFF")}
# What a network is given as one picture: its memory grows with the pixels (docs/pictures.md has how much).
MAXIMUM_RESTORED_PIXELS = 2048 * 2048
# Rec. 601, the weights of Pillow's and OpenCV's conversions to grey.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ACCEPTED_ARRAYS = "arrays of shape (H, W), (H, W, C) or (N, H, W, C) with C = 1, 3 or 4"


@dataclass(frozen=True)
class Picture:
    """Pictures ready for a model, and what is needed to give a result back in the form they came in.

    Attributes:
        rgb: float32 (N, H, W, 3) in [0, 1].
        shape: shape of the array (or of the upright picture) that they came as.
        grey: the picture has one colour channel, or three equal ones (grey with alpha).
        alpha: uint8 (N, H, W), or None.
        profile: ColourProfile of the file or PIL image, if results can be given back in it; or None.
        own: uint8 pixels in the colours of ``profile``, or None.
    """

    rgb: np.ndarray
    shape: tuple
    grey: bool
    alpha: np.ndarray | None
    profile: ColourProfile | None = None
    own: np.ndarray | None = None

    def rebuild(self, rgb):
        """Give ``rgb`` the shape that this picture came in.

        Args:
            rgb: float (N, H, W, 3) in [0, 1] (clipped), of the same size as ``self.rgb``.

        Returns:
            uint8 array of the input's shape, sRGB, rounded to nearest. Grey pictures give Rec. 601 luma; an alpha
            channel is the input's.

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

    def save(self, path, rgb):
        """Write a result as a picture file, in the colour profile that this picture's file has.

        Colours outside sRGB, which ``rgb`` cannot hold, are the picture's own where the result is near to it; where a
        channel has changed by 32 levels or more, nothing of them is left. A format without profiles gets sRGB.

        Args:
            path: its ending names the format.
            rgb: as for ``rebuild``.

        Raises:
            As ``rebuild`` and ``write``.
        """
        pixels, profile = self.rebuild(rgb), None
        check_ending(path)
        if self.profile is not None and WRITE_FORMATS[Path(path).suffix.lower()] in _HOLD_PROFILE[self.profile.mode]:
            profile = self.profile.data
            pixels = self._in_own_colours(pixels)
        write(path, pixels, profile)

    def _in_own_colours(self, pixels):
        colours = pixels[..., :3] if pixels.ndim == 3 else pixels
        before = to_uint8(self.rgb[0] if pixels.ndim == 3 else self.rgb[0, ..., 0])
        change = np.abs(colours.astype(np.int16) - before)
        share = np.clip(1 - (change.max(axis=-1, keepdims=True) if pixels.ndim == 3 else change) / 32, 0, 1)
        lost = self.own.astype(np.int16) - self.profile.from_srgb(before)
        own = np.rint(np.clip(self.profile.from_srgb(colours) + share * lost, 0, 255)).astype(np.uint8)
        return own if pixels.ndim == 2 else np.concatenate([own, pixels[..., 3:]], axis=2)


def load(source, maximum_pixels=MAXIMUM_PIXELS):
    """Read a picture, or take an array, for a model.

    Args:
        source: a path, a PIL image, or an array of shape (H, W), (H, W, C) or (N, H, W, C), C = 1, 3 or 4: uint8,
            uint16 (0 to 65535) or float in [0, 1]. Colour order RGB, alpha last.
        maximum_pixels: larger ones are refused.

    Returns:
        Picture.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no picture, damaged or too large, or an array of another shape, kind or range.
        TypeError: none of the accepted kinds.
    """
    if isinstance(source, (str, os.PathLike)):
        return _from_decoded(decoding.decode_file(source, maximum_pixels))
    if isinstance(source, Image.Image):
        return _from_decoded(decoding.decode_image(source, "The PIL image", maximum_pixels))
    if hasattr(source, "__array__"):
        picture = _from_array(np.asarray(source), False)
        check_pixels("The array", *picture.rgb.shape[1:3], maximum_pixels)
        return picture
    hint = "; pictures.decode reads encoded bytes" if isinstance(source, (bytes, bytearray)) else ""
    raise TypeError(
        f"A picture is a path, a PIL image or an array (H, W), (H, W, C) or (N, H, W, C), not {type(source)}{hint}."
    )


def load_to_restore(source, maximum_pixels=MAXIMUM_RESTORED_PIXELS):
    """``load`` for a network, whose memory grows with the pixels; raises the same, and says how to raise the limit."""
    try:
        return load(source, maximum_pixels)
    except TooManyPixels as error:
        raise ValueError(
            f"{error} Cut out the face (python -m deblur_zoo.faces), or raise the limit (--max_pixels; "
            "Restorer(maximum_pixels=...))."
        ) from None


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
    picture = load_to_restore(source)
    return picture.rebuild(in_batches(function, picture.rgb, batch_size))


def in_batches(function, images, batch_size):
    """What a function gives for parts of ``images`` of up to ``batch_size``, joined along the first axis.

    Raises:
        ValueError: ``batch_size`` is no whole number of at least 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size is a whole number of at least 1, not {batch_size!r}.")
    starts = range(0, len(images), batch_size)
    return np.concatenate([function(images[start : start + batch_size]) for start in starts])


def read(path, maximum_pixels=MAXIMUM_PIXELS, as_stored=False):
    """Read a picture file: uint8 (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) with alpha; upright, sRGB.

    Args:
        path: of the file.
        maximum_pixels: larger ones are refused.
        as_stored: leave a colour profile alone, for pixels that are no colours, such as label maps.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a picture, damaged, or more than ``maximum_pixels``.
    """
    return to_uint8(decoding.decode_file(path, maximum_pixels, as_stored).pixels)


def decode(data, maximum_pixels=MAXIMUM_PIXELS):
    """Read an encoded picture from bytes; as ``read``."""
    return to_uint8(decoding.decode_bytes(data, maximum_pixels).pixels)


def read_bytes(path):
    """A file's bytes; raises as ``read`` where there is no such file, or a pipe, a device or a socket."""
    with decoding.open_file(path) as file:
        return file.read()


def encode(pixels, format="png", profile=None):
    """Encode uint8 pixels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) as a picture file.

    Args:
        pixels: uint8, RGB order, alpha last.
        format: "png", "jpeg" (quality 95, full chroma), "webp" (lossless), "bmp" or "tiff".
        profile: bytes of a colour profile to put into the file; None: the pixels are sRGB.

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
        image = Image.fromarray(np.ascontiguousarray(pixels))
        image.save(buffer, name, icc_profile=profile, **_WRITE_OPTIONS.get(name, {}))
    except (OSError, ValueError) as error:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ValueError(f"A picture of {size} pixels cannot be written as {name} ({error}).") from error
    return buffer.getvalue()


def write(path, pixels, profile=None):
    """Write uint8 pixels to a picture file, in the format that the path's ending names; complete or not at all.

    Args:
        path: of the file.
        pixels, profile: as for ``encode``.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: as ``encode``.
    """
    path = Path(path)
    check_ending(path)
    data = encode(pixels, path.suffix, profile)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def check_ending(path):
    """Raise ValueError unless ``write`` knows the path's ending."""
    if Path(path).suffix.lower() not in WRITE_FORMATS:
        raise ValueError(f"The picture {Path(path).name!r} must end in one of {', '.join(WRITE_FORMATS)}.")


def list_pictures(folder):
    """Paths of all picture files (by ending) in a folder and its sub-folders, sorted; see ``folders.list_files``.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    return list_files(folder, WRITE_FORMATS)


def holds_pictures(folder):
    """Whether there are picture files in a folder or its sub-folders; raises as ``list_pictures``."""
    return bool(find_files(folder, WRITE_FORMATS)[0])


def _from_decoded(decoded):
    return dataclasses.replace(_from_array(decoded.pixels, decoded.grey), profile=decoded.profile, own=decoded.own)


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
    alpha = to_uint8(values[..., 3]) if channels == 4 else None
    return Picture(rgb, shape, grey or channels == 1, alpha)
