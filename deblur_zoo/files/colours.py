"""Colour profiles (ICC): a picture's pixels to sRGB, and results back into the picture's own colours.

Both ways are relative colorimetric with black point compensation: colours that both spaces can represent do not
change, greys stay grey and black stays black. (Perceptual conversion changes every colour, differently for each
profile.)
"""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# What a profile calls its kind of colours, and Pillow's mode for their pixels.
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


class ColourProfile:
    """A picture's colour profile.

    Args:
        data: the profile's bytes.
        mode: Pillow's mode of the picture's pixels: "L", "RGB" or "CMYK".

    Attributes:
        data: as given.
        mode: Pillow's mode of the profile's colours: "L", "RGB" or "CMYK".
        can_return: whether results can be converted back; some profiles describe one way only.

    Raises:
        ValueError: the profile is damaged or describes another kind of pixels; the message has no full stop.
    """

    def __init__(self, data, mode):
        self.data = data
        try:
            profile = ImageCms.ImageCmsProfile(BytesIO(data))
            space = profile.profile.xcolor_space.strip()
            self.mode = _MODES.get(space)
            # Grey pixels may have the profile of a colour picture, whose greys they then are.
            if self.mode is None or (self.mode != mode and (self.mode, mode) != ("RGB", "L")):
                raise ValueError(f"its colour profile is for {space} colours, its pixels are {mode}")
            self._to_srgb = _transform(profile, ImageCms.createProfile("sRGB"), self.mode, "RGB")
        except (OSError, TypeError, ImageCms.PyCMSError) as error:
            raise ValueError(f"its colour profile is damaged ({error})") from error
        try:
            self._from_srgb = _transform(ImageCms.createProfile("sRGB"), profile, "RGB", self.mode)
        except ImageCms.PyCMSError:
            self._from_srgb = None
        # Results are grey or RGB.
        self.can_return = self._from_srgb is not None and self.mode == mode != "CMYK"

    def to_srgb(self, pixels):
        """Pixels in the profile's colours to sRGB.

        Args:
            pixels: uint8 (H, W), (H, W, 3), (H, W, 4) for CMYK; uint16 (H, W) or (H, W, 3); or grey float in [0, 1].

        Returns:
            (H, W) or (H, W, 3), of the kind of ``pixels``; float32 for grey pixels that are not uint8.
        """
        if pixels.ndim == 3:
            return _applied(self._to_srgb, pixels, self.mode)
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert(self.mode)
        levels = np.asarray(ImageCms.applyTransform(ramp, self._to_srgb))[0, :, 1]
        if pixels.dtype == np.uint8:
            return levels[pixels]
        top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
        return np.interp(pixels / top, np.linspace(0, 1, 256), levels / 255).astype(np.float32)

    def from_srgb(self, pixels):
        """sRGB pixels, uint8 or uint16 (H, W) or (H, W, 3), to the profile's colours: the same kind and shape."""
        if pixels.ndim == 3:
            return _applied(self._from_srgb, pixels, "RGB")
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
        levels = _applied(self._from_srgb, ramp, "RGB")[0]
        if pixels.dtype == np.uint8:
            return levels[pixels]
        return np.rint(np.interp(pixels, 257.0 * np.arange(256), 257.0 * levels)).astype(np.uint16)


def _transform(source, target, source_mode, target_mode):
    return ImageCms.buildTransform(
        source,
        target,
        source_mode,
        target_mode,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _applied(transform, pixels, mode):
    if pixels.dtype == np.uint16:
        # Pillow takes 8 bits. What they leave of a level is nearly the same in every profile.
        nearest = np.rint(pixels / np.float32(257)).astype(np.uint8)
        rest = pixels - 257 * nearest.astype(np.int32)
        converted = 257 * _applied(transform, nearest, mode).astype(np.int32)
        return np.clip(converted + rest, 0, 65535).astype(np.uint16)
    height, width = pixels.shape[:2]
    image = Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
    return np.asarray(ImageCms.applyTransform(image, transform))
