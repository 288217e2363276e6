"""A photo's EXIF data and resolution, which results keep."""

import math
from dataclasses import dataclass, field

from PIL import ExifTags, Image

ORIENTATION = 0x0112
# EXIF orientations whose rows are the upright picture's columns.
SIDEWAYS = (5, 6, 7, 8)
# What the main directory says about the photo. In a TIFF it also describes how the pixels are stored, which the
# result does in its own way. The thumbnail, a directory of its own, shows the picture before and is left out.
_KEPT = frozenset(
    (0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298)
    + (0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
)
_COLOUR_SPACE, _WIDTH, _HEIGHT, _MAKER_NOTE, _INTEROP = 0xA001, 0xA002, 0xA003, 0x927C, 0xA005
# A JPEG's EXIF segment holds no more.
_JPEG_LIMIT = 65533


@dataclass(frozen=True)
class Metadata:
    """EXIF data and resolution of a picture that is upright.

    Attributes:
        main, details, place: values by tag of the EXIF data's main directory, its Exif and its GPS directory.
        little: whether the numbers in opaque values, such as a maker note, are little-endian.
        dpi: (x, y) in pixels per inch, or None.
    """

    main: dict = field(default_factory=dict)
    details: dict = field(default_factory=dict)
    place: dict = field(default_factory=dict)
    little: bool = True
    dpi: tuple[float, float] | None = None

    def exif(self, in_profile, limit=None):
        """The EXIF data as ``PIL.Image.Exif``; None if there is none.

        Args:
            in_profile: the result carries the picture's colour profile. If not, it is in sRGB and says so.
            limit: most bytes; if there are more, the maker note is left out, and if that is not enough, all of it.
        """
        if not (self.main or self.details or self.place):
            return None
        details = dict(self.details)
        if not in_profile and details.get(_COLOUR_SPACE, 1) != 1:
            details[_COLOUR_SPACE] = 1
            details.pop(_INTEROP, None)
        exif = self._written(details)
        if limit is not None and len(exif.tobytes()) > limit:
            details.pop(_MAKER_NOTE, None)
            exif = self._written(details)
            if len(exif.tobytes()) > limit:
                return None
        return exif

    def _written(self, details):
        exif = Image.Exif()
        exif.endian = "<" if self.little else ">"
        exif.update(self.main)
        for directory, values in ((ExifTags.IFD.Exif, details), (ExifTags.IFD.GPSInfo, self.place)):
            if values:
                exif.get_ifd(directory).update(values)
                # Pillow's TIFF writer looks here.
                exif[directory] = values
        return exif

    def save_options(self, format, in_profile):
        """Arguments for ``PIL.Image.Image.save`` in one of Pillow's formats; empty for formats without metadata."""
        options = {}
        if format in ("PNG", "JPEG", "WEBP", "TIFF"):
            exif = self.exif(in_profile, _JPEG_LIMIT if format == "JPEG" else None)
            if exif is not None:
                options["exif"] = exif
        if self.dpi is not None and format in ("PNG", "JPEG", "TIFF", "BMP"):
            options["dpi"] = self.dpi
        return options


def read(image):
    """``Metadata`` of an opened PIL image, for its upright pixels. Malformed EXIF data counts as none."""
    dpi = _dpi(image)
    try:
        found = image.getexif()
        sideways = found.get(ORIENTATION) in SIDEWAYS
        main = {tag: value for tag, value in found.items() if tag in _KEPT}
        details = dict(found.get_ifd(ExifTags.IFD.Exif))
        interop = dict(found.get_ifd(ExifTags.IFD.Interop)) if _INTEROP in details else {}
        details.pop(_INTEROP, None)
        if interop:
            details[_INTEROP] = interop
        width, height = image.size[::-1] if sideways else image.size
        details.update({tag: side for tag, side in ((_WIDTH, width), (_HEIGHT, height)) if tag in details})
        place = dict(found.get_ifd(ExifTags.IFD.GPSInfo))
        if sideways and dpi is not None:
            dpi = dpi[::-1]
        metadata = Metadata(main, details, place, found.endian != ">", dpi)
        exif = metadata.exif(True)
        if exif is not None:
            exif.tobytes()
        return metadata
    except Exception:  # Malformed EXIF can raise anything, and the picture itself is sound.
        return Metadata(dpi=dpi)


def _dpi(image):
    """A PIL image's resolution, if it is plausible."""
    try:
        # PNG counts by the metre: 300 becomes 299.9994.
        x, y = (round(float(value), 1) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    # Pillow gives 1 where a TIFF says nothing.
    return (x, y) if all(math.isfinite(value) and 1 < value <= 65535 for value in (x, y)) else None
