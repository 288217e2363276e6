"""Blur and JPEG on the host's processor with OpenCV, an image a thread (OpenCV lets go of Python's lock).

The same convolution as ``deblur_zoo.blur.convolution``: true convolution, border REFLECT_101 (SciPy's ``mirror``).
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def _threads():
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _blur_one(cv2, image, kernel, out):
    size = kernel.shape[0]
    # filter2D correlates: turn the kernel by 180 degrees, and its centre pixel size // 2 with it.
    anchor = size - 1 - size // 2
    # Written in place: threads that each ask the system for a new picture's memory wait for one another.
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
        kernels: (N, K, K) float, or a sequence of N square kernels of different sizes. A kernel of size K turns
            around its pixel K // 2 in both axes, as in ``scipy.ndimage.convolve``.
        threads: number of threads, >= 1; None for one a processor.

    Returns:
        (N, H, W, C) of the images' type; uint8 is rounded to nearest.

    Raises:
        TypeError: images of another type.
        ValueError: shapes or numbers that do not fit together.
    """
    import cv2

    images = np.asarray(images)
    if images.dtype not in (np.uint8, np.float32):
        raise TypeError(f"Images to blur are uint8 or float32, not {images.dtype}.")
    if images.ndim != 4:
        raise ValueError(f"Images to blur have the shape (N, H, W, C), not {images.shape}.")
    if len(kernels) != len(images):
        raise ValueError(f"{len(images)} images need as many kernels, not {len(kernels)}.")
    kernels = [np.asarray(kernel, np.float32) for kernel in kernels]
    for kernel in kernels:
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.size == 0:
            raise ValueError(f"A blur kernel is a square array (K, K), not one of shape {kernel.shape}.")
    threads = _threads() if threads is None else threads
    if threads < 1:
        raise ValueError(f"The number of threads is at least 1, not {threads}.")
    out = np.empty_like(images)
    if threads == 1 or len(images) < 2:
        _blur_some(cv2, images, kernels, out, 0, 1)
    else:
        # A pool a call: starting it takes a fraction of one image's time, and nothing is left behind across a fork.
        with ThreadPoolExecutor(min(threads, len(images))) as pool:
            # One task a thread: handing over every image alone costs as much as blurring a small one.
            list(pool.map(lambda first: _blur_some(cv2, images, kernels, out, first, threads), range(threads)))
    return out


def jpeg(image, quality):
    """An image as it comes back from a JPEG file.

    Args:
        image: (H, W, 3) or (H, W) RGB or grey, uint8, or float32 in [0, 1] (clipped and rounded to 8 bits first).
        quality: 1 (worst) to 100, libjpeg's scale; colour is subsampled 4:2:0.

    Returns:
        The decoded image, same shape and type.

    Raises:
        TypeError: another type.
        ValueError: another shape, or a quality outside 1 to 100.
    """
    import cv2

    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.float32):
        raise TypeError(f"An image to compress is uint8 or float32, not {image.dtype}.")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0:
        raise ValueError(f"An image to compress has the shape (H, W, 3) or (H, W), not {image.shape}.")
    if not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality goes from 1 to 100, not {quality}.")
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
