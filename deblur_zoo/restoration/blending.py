"""Add what the network changed in a face to the photo, at the photo's own resolution."""

import numpy as np

from deblur_zoo.faces.warp import warp_back
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
    size = residual.shape[0]
    mask = face_mask(size)[..., None]
    residual = residual - (residual * mask).sum(axis=(0, 1)) / mask.sum()
    place, patch, positions = warp_back(residual, np.asarray(matrix, np.float64), pixels.shape)
    in_crop = (positions + 0.5) / size
    weight = weight_at(in_crop[..., 0], in_crop[..., 1])[..., None]
    peak = np.iinfo(pixels.dtype).max
    corrected = np.clip(pixels[place] + (peak * strength) * patch, 0, peak)
    region = result[place]
    region[...] = np.rint(region * (1 - weight) + corrected * weight).astype(pixels.dtype)
