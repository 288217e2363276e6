"""Blur and JPEG compression on the CPU with OpenCV, multithreaded (OpenCV releases the interpreter lock).

The same convolution as ``deblur_zoo.blur.convolution``: true convolution, border REFLECT_101 (SciPy's ``mirror``).
"""

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np


def _threads():
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _blur_one(cv2, image, kernel, out):
    size = kernel.shape[0]
    # filter2D correlates: rotate the kernel by 180 degrees, and its centre pixel size // 2 with it.
    anchor = size - 1 - size // 2
    # Write in place: threads that allocate memory for new images wait for each other.
    flat = out[..., 0] if out.shape[-1] == 1 else out
    blurred = cv2.filter2D(
        image, -1, kernel[::-1, ::-1], dst=flat, anchor=(anchor, anchor), borderType=cv2.BORDER_REFLECT_101
    )
    if not np.may_share_memory(blurred, out):
        out[...] = blurred.reshape(out.shape)  # OpenCV drops an axis of one channel


def _blur_some(cv2, images, kernels, out, first, step):
    for index in range(first, len(images), step):
        _blur_one(cv2, images[index], kernels[index], out[index])


def blur(images, kernels, threads=None):
    """Convolve each image with its own kernel.

    Args:
        images: (N, H, W, C) uint8 or float32, any range.
        kernels: (N, K, K) float, or a sequence of N square kernels of different sizes. A kernel of size K is centred on
            its pixel K // 2 in both axes, as in ``scipy.ndimage.convolve``.
        threads: number of threads, >= 1; None for one per CPU.

    Returns:
        (N, H, W, C) of the images' type; uint8 is rounded to nearest.

    Raises:
        TypeError: images of another type.
        ValueError: incompatible shapes or counts.
    """
    images = np.asarray(images)
    if images.dtype not in (np.uint8, np.float32):
        raise TypeError(f"Images to blur must be uint8 or float32, got {images.dtype}.")
    if images.ndim != 4:
        raise ValueError(f"Images to blur must have the shape (N, H, W, C), got {images.shape}.")
    if len(kernels) != len(images):
        raise ValueError(f"Expected one kernel for each of the {len(images)} images, got {len(kernels)}.")
    kernels = [np.asarray(kernel, np.float32) for kernel in kernels]
    for kernel in kernels:
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.size == 0:
            raise ValueError(f"A blur kernel must be a square array (K, K), got shape {kernel.shape}.")
    threads = _threads() if threads is None else threads
    if threads < 1:
        raise ValueError(f"The number of threads must be at least 1, got {threads}.")
    out = np.empty_like(images)
    if threads == 1 or len(images) < 2:
        _blur_some(cv2, images, kernels, out, 0, 1)
    else:
        # One pool per call: starting it takes a fraction of one image's time, and no threads survive across a fork.
        with ThreadPoolExecutor(min(threads, len(images))) as pool:
            # One task per thread: submitting each image separately costs as much as blurring a small one.
            list(pool.map(lambda first: _blur_some(cv2, images, kernels, out, first, threads), range(threads)))
    return out


def jpeg(image, quality):
    """Compress an image as JPEG and decompress it.

    Args:
        image: (H, W, 3) or (H, W) RGB or grey, uint8, or float32 in [0, 1] (clipped and rounded to 8 bits first).
        quality: 1 (worst) to 100, libjpeg's scale; colour is subsampled 4:2:0.

    Returns:
        The decoded image, same shape and type.

    Raises:
        TypeError: another type.
        ValueError: another shape, or a quality outside 1 to 100.
    """
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.float32):
        raise TypeError(f"An image to compress must be uint8 or float32, got {image.dtype}.")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0:
        raise ValueError(f"An image to compress must have the shape (H, W, 3) or (H, W), got {image.shape}.")
    if not 1 <= quality <= 100:
        raise ValueError(f"The JPEG quality must be from 1 to 100, got {quality}.")
    pixels = image
    if image.dtype == np.float32:
        pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    colour = image.ndim == 3
    if colour:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    if not done:
        raise ValueError(f"OpenCV could not compress an image of shape {image.shape} as JPEG.")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE)
    if colour:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return decoded.astype(np.float32) / np.float32(255) if image.dtype == np.float32 else decoded
