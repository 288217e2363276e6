"""Convert image files, PIL images and arrays to one form, and results back to the original form.

That form is float32 sRGB in [0, 1], layout (N, H, W, 3). Files come upright (EXIF orientation applied) and
without their colour profile. docs/pictures.md lists what is accepted.
"""

import dataclasses
import functools
import os
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from deblur_zoo.files import decoding
from deblur_zoo.files.batches import in_batches
from deblur_zoo.files.colours import ColourProfile
from deblur_zoo.files.decoding import MAXIMUM_PIXELS, TooManyPixels, check_pixels, to_uint8, to_uint16
from deblur_zoo.files.encoding import DEEP_FORMATS, WRITE_FORMATS, check_ending, encode, format_of, write
from deblur_zoo.files.folders import list_files
from deblur_zoo.files.metadata import Metadata

__all__ = (
    "LUMA",
    "MAXIMUM_PIXELS",
    "MAXIMUM_RESTORED_PIXELS",
    "READ_ENDINGS",
    "WRITE_FORMATS",
    "Picture",
    "check_ending",
    "decode",
    "encode",
    "in_passes",
    "list_pictures",
    "load",
    "load_to_restore",
    "read",
    "read_bytes",
    "restored",
    "to_uint8",
    "unless_failed",
    "write",
)

# Files that are taken from a folder.
READ_ENDINGS = (*WRITE_FORMATS, ".heic", ".heif", ".avif")
# What can hold a colour profile, by the profile's kind of pixels; WebP has no grey.
_HOLD_PROFILE = {"RGB": ("PNG", "JPEG", "WEBP", "TIFF"), "L": ("PNG", "JPEG", "TIFF")}
# What a network is given as one picture: its memory grows with the pixels (docs/pictures.md has how much).
MAXIMUM_RESTORED_PIXELS = 2048 * 2048
# Rec. 601, the weights of Pillow's and OpenCV's conversions to grey.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# By one pass, as a root mean square.
_LARGEST_CHANGE = 0.25
_ACCEPTED_ARRAYS = "arrays of shape (H, W), (H, W, C) or (N, H, W, C) with C = 1, 3 or 4"


@dataclass(frozen=True)
class Picture:
    """Images ready for a model, and everything needed to convert a result back to their original form.

    Attributes:
        colours: (N, H, W, 3), uint8, uint16 or float32 in [0, 1], sRGB.
        shape: shape of the array (or of the upright picture) that they came as.
        grey: the picture has one colour channel, or three equal ones (grey with alpha).
        alpha: (N, H, W), uint8 or uint16, or None.
        deep: the picture came with 16 bits per channel.
        profile: ColourProfile of the file or PIL image, if results can be given back in it; or None.
        own: pixels in the colours of ``profile``, uint8 or uint16, or None.
        metadata: of the file or PIL image.
    """

    colours: np.ndarray
    shape: tuple
    grey: bool
    alpha: np.ndarray | None
    deep: bool = False
    profile: ColourProfile | None = None
    own: np.ndarray | None = None
    metadata: Metadata = field(default_factory=Metadata)

    @functools.cached_property
    def rgb(self):
        """float32 (N, H, W, 3) in [0, 1]: ``colours`` as a network takes them."""
        if self.colours.dtype == np.float32:
            return np.ascontiguousarray(self.colours)
        return self.colours.astype(np.float32) / np.iinfo(self.colours.dtype).max

    def levels(self):
        """``colours`` as they are returned unchanged: uint16 for a deep picture, else uint8."""
        return to_uint16(self.colours) if self.deep else to_uint8(self.colours)

    def rebuild(self, rgb, deep=False):
        """Give ``rgb`` the original shape of this image.

        Args:
            rgb: float (N, H, W, 3) in [0, 1] (clipped), of the same size as ``self.rgb``.
            deep: give 16 bits.

        Returns:
            uint8 or uint16 array of the input's shape, sRGB, rounded to nearest. Grey pictures give Rec. 601 luma; an
            alpha channel is the input's.

        Raises:
            ValueError: another shape, or NaN.
        """
        rgb = np.asarray(rgb, np.float32)
        if rgb.shape != self.colours.shape:
            raise ValueError(f"The result has shape {rgb.shape}, the picture has {self.colours.shape}.")
        if not np.isfinite(rgb).all():
            raise ValueError("The result has NaN or infinite values and is not an image.")
        if self.grey:
            rgb = (rgb @ LUMA)[..., None]
        return self._in_form(to_uint16(rgb) if deep else to_uint8(rgb))

    def rebuild_levels(self, levels):
        """``rebuild`` for a result that has its levels already: uint8 or uint16 (N, H, W, 3)."""
        if self.grey:
            levels = np.rint(levels @ LUMA)[..., None].astype(levels.dtype)
        return self._in_form(levels)

    def _in_form(self, levels):
        if self.alpha is not None:
            alpha = to_uint16(self.alpha) if levels.dtype == np.uint16 else to_uint8(self.alpha)
            levels = np.concatenate([np.broadcast_to(levels, self.colours.shape), alpha[..., None]], axis=-1)
        return levels.reshape(self.shape)

    def save(self, path, rgb):
        """Write a result as a picture file; as ``save_pixels`` with what ``rebuild`` makes of ``rgb``."""
        self.save_pixels(path, self.rebuild(rgb, self.deep))

    def save_pixels(self, path, pixels, quality=None):
        """Write a result as a picture file, with the colour profile, EXIF data and resolution of this picture's file.

        Colours outside sRGB, which ``pixels`` cannot represent, are taken from the image where the result is close to
        it, and not at all where a channel has changed by 32 levels or more. A format without profiles gets sRGB, one
        without 16 bits the nearest of 8 bits.

        Args:
            path: its ending names the format.
            pixels: as ``rebuild`` gives them.
            quality: as for ``write``.

        Raises:
            As ``write``.
        """
        format, profile = format_of(path), None
        if self.profile is not None and format in _HOLD_PROFILE[self.profile.mode]:
            profile = self.profile.data
            pixels = self._in_own_colours(pixels)
        if format not in DEEP_FORMATS:
            pixels = to_uint8(pixels)
        write(path, pixels, profile, self.metadata, quality)

    def _in_own_colours(self, pixels):
        colours = pixels[..., :3] if pixels.ndim == 3 else pixels
        before = self.colours[0] if pixels.ndim == 3 else self.colours[0, ..., 0]
        before = (to_uint16 if colours.dtype == np.uint16 else to_uint8)(before)
        top = np.iinfo(colours.dtype).max
        change = np.abs(colours.astype(np.int32) - before)
        share = 1 - (change.max(axis=-1, keepdims=True) if pixels.ndim == 3 else change) * np.float32(255 / 32 / top)
        lost = self.own.astype(np.int32) - self.profile.from_srgb(before)
        own = self.profile.from_srgb(colours) + np.maximum(share, 0) * lost
        own = np.rint(np.clip(own, 0, top)).astype(colours.dtype)
        return own if pixels.ndim == 2 else np.concatenate([own, pixels[..., 3:]], axis=2)


def load(source, maximum_pixels=MAXIMUM_PIXELS):
    """Read a picture, or take an array, for a model.

    Args:
        source: a path, a PIL image, or an array of shape (H, W), (H, W, C) or (N, H, W, C), C = 1, 3 or 4: uint8,
            uint16 (0 to 65535) or float in [0, 1]. Colour order RGB, alpha last.
        maximum_pixels: larger ones are rejected.

    Returns:
        Picture.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an image, damaged or too large, or an array of another shape, type or range.
        TypeError: none of the accepted kinds.
    """
    if isinstance(source, (str, os.PathLike)):
        return _from_decoded(decoding.decode_file(source, maximum_pixels))
    if isinstance(source, Image.Image):
        return _from_decoded(decoding.decode_image(source, "The PIL image", maximum_pixels))
    if hasattr(source, "__array__"):
        picture = _from_array(np.asarray(source), False)
        check_pixels("The array", *picture.colours.shape[1:3], maximum_pixels)
        return picture
    hint = "; pictures.decode reads encoded bytes" if isinstance(source, (bytes, bytearray)) else ""
    raise TypeError(
        "A picture must be a path, a PIL image or an array (H, W), (H, W, C) or (N, H, W, C), "
        f"got {type(source)}{hint}."
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


def in_passes(network, passes):
    """A function that applies a network several times in succession, checking each pass with ``unless_failed``.

    Args:
        network: function of float32 (N, H, W, 3) in [0, 1] to the same.
        passes: how many times.

    Raises:
        ValueError: ``passes`` is not a whole number of at least 1.
    """
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 1:
        raise ValueError(f"passes must be a whole number of at least 1, got {passes!r}.")

    def apply(images):
        for _ in range(passes):
            images = unless_failed(images, network(images))
        return images

    return apply


def unless_failed(images, restored):
    """The restored pictures, except where the network failed: there, the original ones.

    It failed if it changed a picture by a root mean square of more than 0.25, as it may on stripes, noise or a tiny,
    very sharp face; blur of up to 41 pixels changes a face by up to 0.16.

    Args:
        images: float32 (N, H, W, 3) in [0, 1].
        restored: what the network made of them, of the same shape.
    """
    change = np.mean(np.square(restored - images), axis=(1, 2, 3), keepdims=True)
    return np.where(change > _LARGEST_CHANGE**2, images, restored)


def restored(source, function, batch_size):
    """Apply a function to an image or a batch and return the result in the original form.

    Args:
        source: as for ``load``.
        function: of float32 (n, H, W, 3) in [0, 1], n up to ``batch_size``, to an array of the same shape.
        batch_size: images per call.

    Returns:
        uint8 array of the input's shape; see ``Picture.rebuild``.

    Raises:
        FileNotFoundError, ValueError, TypeError: as ``load``, and what the function raises.
    """
    picture = load_to_restore(source)
    return picture.rebuild(in_batches(function, batch_size, picture.rgb))


def read(path, maximum_pixels=MAXIMUM_PIXELS, as_stored=False):
    """Read a picture file: uint8 (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) with alpha; upright, sRGB.

    Args:
        path: of the file.
        maximum_pixels: larger ones are refused.
        as_stored: leave a colour profile alone, for pixels that are not colours, such as label maps.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a picture, damaged, or more than ``maximum_pixels``.
    """
    return to_uint8(decoding.decode_file(path, maximum_pixels, as_stored).pixels)


def decode(data, maximum_pixels=MAXIMUM_PIXELS):
    """Read an encoded picture from bytes; as ``read``."""
    return to_uint8(decoding.decode_bytes(data, maximum_pixels).pixels)


def read_bytes(path):
    """The bytes of a file; raises as ``read`` for a missing file, a pipe, a device or a socket."""
    with decoding.open_file(path) as file:
        return file.read()


def list_pictures(folder):
    """Paths of all picture files (by ending) in a folder and its sub-folders, sorted; see ``folders.list_files``.

    These are the formats that can be written, plus HEIC and AVIF.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    return list_files(folder, READ_ENDINGS)


def _from_decoded(decoded):
    picture = _from_array(decoded.pixels, decoded.grey)
    return dataclasses.replace(
        picture,
        deep=decoded.deep,
        profile=decoded.profile,
        own=decoded.own,
        metadata=decoded.metadata,
    )


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
        values = pixels
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
    colours = np.repeat(values, 3, axis=-1) if channels == 1 else np.ascontiguousarray(values[..., :3])
    alpha = None
    if channels == 4:
        alpha = values[..., 3] if values.dtype == np.uint16 else to_uint8(values[..., 3])
    return Picture(colours, shape, grey or channels == 1, alpha, values.dtype == np.uint16)
