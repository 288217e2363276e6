"""Add what the network changed in a face to the photo, at the photo's own resolution."""

import math

import numpy as np

from deblur_zoo.faces.warp import crop_bounds, scale_of
from deblur_zoo.restoration.face_mask import face_mask, weight_at


def add_correction(result, pixels, residual, matrix, strength=1.0):
    """Blend a photo with a face's correction into the result, in place.

    The correction is added to the photo's own pixels, so detail finer than the working size stays, and a face that
    the network leaves alone stays bit for bit. Its mean colour over the face is taken out: deblurring moves light, it
    does not add any.

    Args:
        result: uint8 or uint16 (H, W, 3), the photo as restored so far; changed.
        pixels: the photo as it was, of the same shape and type.
        residual: float32 (S, S, 3), restored minus blurred, values of [0, 1] pictures.
        matrix: (2, 3), photo to the S x S crop, as ``deblur_zoo.faces.align`` gives it.
        strength: factor of the correction, in [0, 1].
    """
    import cv2

    size = residual.shape[0]
    mask = face_mask(size)[..., None]
    residual = residual - (residual * mask).sum(axis=(0, 1)) / mask.sum()
    left, top, right, bottom = crop_bounds(matrix, size, pixels.shape)
    if left >= right or top >= bottom:
        return
    local = np.array(matrix, np.float64)
    local[:, 2] += local[:, :2] @ (left, top)
    finer = scale_of(local)
    if finer > 1.01:
        # The crop is finer than the photo: smoothing it to the photo's resolution keeps it from aliasing there.
        residual = cv2.GaussianBlur(residual, (0, 0), 0.5 * math.sqrt(finer**2 - 1))
    patch = cv2.warpAffine(
        residual,
        local,
        (right - left, bottom - top),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    x, y = np.meshgrid(np.arange(right - left), np.arange(bottom - top))
    in_crop = (np.stack([x, y], axis=-1) @ local[:, :2].T + local[:, 2] + 0.5) / size
    weight = weight_at(in_crop[..., 0], in_crop[..., 1])[..., None]
    peak = np.iinfo(pixels.dtype).max
    corrected = np.clip(pixels[top:bottom, left:right] + (peak * strength) * patch, 0, peak)
    region = result[top:bottom, left:right]
    region[...] = np.rint(region * (1 - weight) + corrected * weight).astype(pixels.dtype)
