"""Noise of a camera's sensor as pure functions of random numbers that the caller draws, in ``keras.ops``.

The same draws give the same picture on the host and on a device.
"""

from keras import ops


def _per_image(value, images):
    """A number, or one a image, shaped to multiply (N, H, W, C)."""
    value = ops.cast(ops.convert_to_tensor(value), images.dtype)
    if len(value.shape) > 1:
        raise ValueError(f"A noise level is one number or one an image (N,), not of shape {tuple(value.shape)}.")
    return ops.reshape(value, (-1, 1, 1, 1))


def _noisy(images, deviation, standard_normal, clip):
    noisy = images + deviation * ops.cast(ops.convert_to_tensor(standard_normal), images.dtype)
    return ops.clip(noisy, 0.0, 1.0) if clip else noisy


def add_gaussian_noise(images, sigma, standard_normal, clip=True):
    """Noise of the same strength everywhere (read noise).

    Args:
        images: (N, H, W, C) floating point in [0, 1].
        sigma: standard deviation on the scale of the images, a number or (N,).
        standard_normal: (N, H, W, C) independent draws of mean 0 and deviation 1.
        clip: keep the result within [0, 1], as a picture file does.

    Returns:
        (N, H, W, C), of the images' type.

    Raises:
        ValueError: a noise level of more than one axis.
    """
    images = ops.convert_to_tensor(images)
    return _noisy(images, _per_image(sigma, images), standard_normal, clip)


def add_shot_noise(images, photons, standard_normal, clip=True):
    """Noise of counted photons: variance proportional to brightness (Poisson, by its normal approximation).

    Args:
        images: (N, H, W, C) floating point in [0, 1]; negative values count as black.
        photons: number of photons that make white (1.0), a number or (N,), > 0. The deviation at brightness b is
            sqrt(b / photons); below about 10 photons the approximation is poor.
        standard_normal: (N, H, W, C) independent draws of mean 0 and deviation 1.
        clip: keep the result within [0, 1], as a picture file does.

    Returns:
        (N, H, W, C), of the images' type.

    Raises:
        ValueError: a number of photons of more than one axis.
    """
    images = ops.convert_to_tensor(images)
    deviation = ops.sqrt(ops.maximum(images, 0.0) / _per_image(photons, images))
    return _noisy(images, deviation, standard_normal, clip)
