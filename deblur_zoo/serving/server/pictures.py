"""Pictures that are refused before they are decoded, by what the head of the file says.

A PNG of a few hundred bytes may claim 65535x65535 pixels; TensorFlow would allocate 12 GB for it.
"""

import io

from deblur_zoo.exported.saved_model_folder import BYTES_SIGNATURE
from deblur_zoo.serving.server.errors import invalid

# What TensorFlow's decoders of JPEG and PNG open, whatever they are asked for.
FORMATS = ("JPEG", "PNG", "GIF", "BMP")


def claimed_pixels(encoded):
    """Height times width that the head of a picture file claims; None where it is no picture.

    Args:
        encoded: ``bytes`` of a file. Its head is read, and nothing is decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as picture:
            return picture.width * picture.height
    except Image.DecompressionBombError:
        return float("inf")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, OverflowError):
        # What Pillow's readers raise for damaged heads.
        return None


def check_files(strings, signature, input_name, most):
    """Add up the pixels that encoded pictures claim.

    Strings of other signatures than ``serving_bytes`` may be anything; those that are pictures are counted.

    Args:
        strings: iterable of ``bytes``.
        signature, input_name: where they go.
        most: pixels that are accepted in all.

    Returns:
        the pixels.

    Raises:
        ServingError: INVALID_ARGUMENT for a file that is no picture, and for too many pixels.
    """
    total = 0
    for place, encoded in enumerate(strings):
        pixels = claimed_pixels(encoded)
        if pixels is None:
            # Its strings are pictures and nothing else.
            if signature == BYTES_SIGNATURE:
                raise invalid(f"Item {place} of the input {input_name} is no JPEG or PNG file")
            continue
        total += pixels
        check_pixels(total, most)
    return total


def check_pixels(pixels, most):
    """Raises ServingError, INVALID_ARGUMENT, for more pixels than are accepted."""
    if pixels > most:
        count = "more than 178 million" if pixels == float("inf") else pixels
        raise invalid(f"The request's pictures have {count} pixels; up to {most} are accepted (--max_pixels)")
