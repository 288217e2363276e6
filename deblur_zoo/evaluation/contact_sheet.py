"""Many faces in one image for visual inspection: blurred above restored above sharp."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deblur_zoo.files import pictures

CAPTION_HEIGHT = 18
LABEL_WIDTH = 70
GAP = 4
_BACKGROUND, _INK = 255, (0, 0, 0)


def contact_sheet(blurred, restored, sharp, path, scale=2, captions=None, columns=8):
    """Write a contact sheet.

    Faces are side by side, ``columns`` per block; a block has the rows blurred, restored and sharp, labelled on the
    left, and a line of captions below.

    Args:
        blurred, restored, sharp: uint8 (N, H, W, 3), RGB; ``sharp`` may be None if there is no ground truth.
        path: file to write; the suffix determines the format (PNG is lossless).
        scale: enlargement (bicubic), an integer >= 1.
        captions: N texts, or None.
        columns: faces side by side.

    Returns:
        the sheet, uint8 (H', W', 3).

    Raises:
        TypeError: images that are not uint8.
        ValueError: incompatible shapes or counts, or no images.
    """
    rows = {"blurred": blurred, "restored": restored, "sharp": sharp}
    rows = {name: np.asarray(row) for name, row in rows.items() if row is not None}
    shape = rows["blurred"].shape
    if len(shape) != 4 or shape[-1] != 3 or not shape[0]:
        raise ValueError(f"a contact sheet needs RGB images (N, H, W, 3) with N at least 1, got shape {shape}")
    for name, row in rows.items():
        if row.dtype != np.uint8:
            raise TypeError(f"the {name} images must be uint8, got {row.dtype}")
        if row.shape != shape:
            raise ValueError(f"all images must have the same shape, got {shape} blurred and {row.shape} {name}")
    if captions is not None and len(captions) != shape[0]:
        raise ValueError(f"{shape[0]} images need as many captions, got {len(captions)}")
    if not isinstance(scale, int) or scale < 1 or columns < 1:
        raise ValueError(f"scale and columns must be whole numbers of at least 1, got {scale} and {columns}")
    columns = min(columns, shape[0])
    captions = list(captions or [""] * shape[0])
    blocks = [
        _block({name: row[start : start + columns] for name, row in rows.items()}, captions[start:], columns, scale)
        for start in range(0, shape[0], columns)
    ]
    sheet = np.concatenate(blocks)
    pictures.write(path, sheet)
    return sheet


def tile_origin(row, column, height, width, scale=2):
    """Top and left of a face in the first block of a sheet, in pixels; row 0 is the blurred one."""
    return GAP + row * (height * scale + GAP), LABEL_WIDTH + column * (width * scale + GAP)


def _block(rows, captions, columns, scale):
    _, height, width, _ = rows["blurred"].shape
    bottom, right = tile_origin(len(rows), columns, height, width, scale)
    canvas = Image.new("RGB", (right, bottom + CAPTION_HEIGHT), (_BACKGROUND,) * 3)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default()
    for row, (name, faces) in enumerate(rows.items()):
        draw.text((GAP, tile_origin(row, 0, height, width, scale)[0]), name, _INK, font)
        for column, face in enumerate(faces):
            top, left = tile_origin(row, column, height, width, scale)
            tile = Image.fromarray(face).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
            canvas.paste(tile, (left, top))
    for column in range(len(rows["blurred"])):
        left = tile_origin(0, column, height, width, scale)[1]
        draw.text((left, bottom), captions[column], _INK, font)
    return np.asarray(canvas)
