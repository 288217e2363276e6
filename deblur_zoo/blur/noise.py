"""Sensor noise as pure functions of random numbers that the caller draws, in ``keras.ops``.

The same random numbers give the same image on host and device.
"""

from keras import ops


def _per_image(value, images):
    """A number, or one per image, shaped to multiply (N, H, W, C)."""
    value = ops.cast(ops.convert_to_tensor(value), images.dtype)
    if len(value.shape) > 1:
        raise ValueError(f"A noise level must be one number or one per image (N,), got shape {tuple(value.shape)}.")
    return ops.reshape(value, (-1, 1, 1, 1))


def _noisy(images, deviation, standard_normal, clip):
    noisy = images + deviation * ops.cast(ops.convert_to_tensor(standard_normal), images.dtype)
    return ops.clip(noisy, 0.0, 1.0) if clip else noisy


def add_gaussian_noise(images, sigma, standard_normal, clip=True):
    """Add noise of constant strength (read noise).

    Args:
        images: (N, H, W, C) floating point in [0, 1].
        sigma: standard deviation on the scale of the images, a number or (N,).
        standard_normal: (N, H, W, C) independent draws of mean 0 and standard deviation 1.
        clip: clip the result to [0, 1], as an image file does.

    Returns:
        (N, H, W, C), of the images' type.

    Raises:
        ValueError: a noise level with more than one axis.
    """
    images = ops.convert_to_tensor(images)
    return _noisy(images, _per_image(sigma, images), standard_normal, clip)


def add_shot_noise(images, photons, standard_normal, clip=True):
    """Add photon noise, with variance proportional to brightness (normal approximation of Poisson noise).

    Args:
        images: (N, H, W, C) floating point in [0, 1]; negative values count as black.
        photons: number of photons at white (1.0), a number or (N,), > 0. The standard deviation at brightness b is
            sqrt(b / photons); below about 10 photons the approximation is poor.
        standard_normal: (N, H, W, C) independent draws of mean 0 and standard deviation 1.
        clip: clip the result to [0, 1], as an image file does.

    Returns:
        (N, H, W, C), of the images' type.

    Raises:
        ValueError: a number of photons with more than one axis.
    """
    images = ops.convert_to_tensor(images)
    deviation = ops.sqrt(ops.maximum(images, 0.0) / _per_image(photons, images))
    return _noisy(images, deviation, standard_normal, clip)
