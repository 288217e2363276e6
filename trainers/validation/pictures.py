"""A strip of faces for inspection during training: one row per face, such as blurred | restored | sharp."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 2
CAPTION_HEIGHT = 14


def strip(columns):
    """Images side by side under their names.

    Args:
        columns: dict from a column's name to uint8 (N, H, W, 3).

    Returns:
        uint8 (CAPTION_HEIGHT + N * (H + GAP), columns * (W + GAP) - GAP, 3): white between the images.

    Raises:
        ValueError: images of different shapes or numbers, or none.
    """
    pictures = [np.asarray(column) for column in columns.values()]
    if not pictures or any(column.shape != pictures[0].shape or not len(column) for column in pictures):
        raise ValueError(f"a strip needs columns of the same shape, got {[column.shape for column in pictures]}")
    count, height, width, _ = pictures[0].shape
    shape = (CAPTION_HEIGHT + count * (height + GAP), len(pictures) * (width + GAP) - GAP, 3)
    canvas = np.full(shape, 255, np.uint8)
    for column, faces in enumerate(pictures):
        left = column * (width + GAP)
        for row, face in enumerate(faces):
            top = CAPTION_HEIGHT + row * (height + GAP)
            canvas[top : top + height, left : left + width] = face
    image = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    for column, name in enumerate(columns):
        draw.text((column * (width + GAP) + GAP, 0), name, (0, 0, 0), font)
    return np.asarray(image)


def chosen_faces(count, wanted=4):
    """Indices of a few faces spread evenly over a set of ``count``, always the same."""
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(int))
