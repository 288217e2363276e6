"""The mean of an image that moves during an exposure, rendered with OpenCV in float32.

Bilinear, mirrored border (REFLECT_101). Matrices are as in ``blur.motion``: output pixel to input position.
"""

import cv2
import numpy as np


def mean_of_warps(picture, matrices, size):
    """The mean of an image under several warps.

    Args:
        picture: float32 (H, W, C), C at most 4.
        matrices: (T, 2, 3), output pixel to input position.
        size: side of the result in pixels.

    Returns:
        float32 (size, size, C).
    """
    total = np.zeros((size, size, picture.shape[2]), np.float32)
    for matrix in matrices:
        cv2.accumulate(
            cv2.warpAffine(
                picture, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            total,
        )  # fmt: skip
    total /= len(matrices)
    return total


def mean_of_layers(picture, mask, front, back, size):
    """The mean of a front layer that moves over a back layer.

    Exact if one of the layers is still; if both move, the back layer is treated as independent of the front's position.

    Args:
        picture: float32 (H, W, 3).
        mask: float32 (H, W) in [0, 1], 1 in the front layer.
        front, back: (T, 2, 3) matrices of each layer, output pixel to input position.
        size: side of the result in pixels.

    Returns:
        float32 (size, size, 3).
    """
    share = mask[:, :, None]
    moving = mean_of_warps(np.concatenate([picture * share, share], axis=2), front, size)
    behind = mean_of_warps(filled_behind(picture, mask), back, size)
    return moving[:, :, :3] + (1 - moving[:, :, 3:]) * behind


def filled_behind(picture, mask):
    """An image whose masked part is filled from its surroundings, so that none of it shows after it has moved away.

    The fill is smooth and continues its surroundings without an edge (pull-push, Gortler et al. 1996, The Lumigraph).

    Args:
        picture: float32 (H, W, 3).
        mask: float32 (H, W) in [0, 1].

    Returns:
        float32 (H, W, 3).
    """
    known = (cv2.dilate(mask, np.ones((3, 3), np.uint8)) < 0.02).astype(np.float32)[:, :, None]
    if not known.any():
        return picture
    # The known share of each pixel is its fourth channel, and multiplies the colours. A pixel counts as known once a
    # tenth of it is, so that the fill takes its colour from the nearest surroundings.
    levels = [np.concatenate([picture * known, known], axis=2)]
    while max(levels[-1].shape[:2]) > 1:
        smaller = cv2.pyrDown(levels[-1])
        levels.append(smaller / np.maximum(smaller[:, :, 3:], 0.1))
    filled = levels[-1][:, :, :3] / levels[-1][:, :, 3:]
    for level in levels[-2::-1]:
        enlarged = cv2.pyrUp(filled, dstsize=level.shape[1::-1])
        filled = level[:, :, :3] + (1 - level[:, :, 3:]) * enlarged
    return filled


def mean_of_displacements(picture, matrix, fields, amounts, size):
    """The mean of an image whose parts move, such as a speaking mouth or a nodding head.

    Args:
        picture: float32 (H, W, C).
        matrix: (2, 3), output pixel to input position of the image at rest.
        fields: float32 (F, size, size, 2), displacements (x, y) in output pixels.
        amounts: (T, F), the factor of each field at each time.
        size: side of the result in pixels.

    Returns:
        float32 (size, size, C).
    """
    matrix = np.asarray(matrix, np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    still = np.stack([x, y], axis=-1) @ matrix[:, :2].T + matrix[:, 2]
    fields = fields @ matrix[:, :2].T
    total = np.zeros((size, size, picture.shape[2]), np.float32)
    for amount in np.asarray(amounts, np.float32):
        place = still.copy()
        for share, field in zip(amount, fields, strict=True):
            place += share * field
        cv2.accumulate(cv2.remap(picture, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), total)
    total /= len(amounts)
    return total
