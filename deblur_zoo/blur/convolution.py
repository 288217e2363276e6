"""Blur a batch of images, each with its own kernel, in ``keras.ops``: on every backend and device.

Two implementations give the same result:

- ``grouped``: one depthwise convolution with the images as its channels and the colours as its batch. Faster for
  TensorFlow on a CPU, but XLA compiles such convolutions into naive loops, a hundred times slower.
- ``fft``: a product of spectra, with two colours as one complex image. Faster under XLA, JAX and on a GPU.

Measured by ``python -m benchmarks.blur``.
"""

from functools import lru_cache

import keras
from keras import ops

from deblur_zoo.layers.mirror_padding import mirror

METHODS = ("auto", "grouped", "fft")


def blur(images, kernels, method="auto"):
    """Convolve each image with its own kernel: true convolution, border REFLECT_101 (SciPy's ``mirror``).

    Kernels of size K are centred on their pixel K // 2 in both axes, as in ``scipy.ndimage.convolve``; for odd K that
    is the middle. They may be larger than the image. Computed in float32 for any input types and dtype policy.

    Args:
        images: (N, H, W, C) floating point, any range; static or dynamic shape.
        kernels: (N, K, K) floating point, K static.
        method: "grouped", "fft", or "auto": fft under XLA and on GPUs, else grouped.

    Returns:
        (N, H, W, C) of the images' type.

    Raises:
        TypeError: images that are not floating point (integers would need a range).
        ValueError: incompatible shapes, an unknown method, or "grouped" under XLA (JAX always uses XLA).
    """
    images = ops.convert_to_tensor(images)
    kernels = ops.convert_to_tensor(kernels)
    _check(images, kernels, method)
    dtype = images.dtype
    images, kernels = ops.cast(images, "float32"), ops.cast(kernels, "float32")
    if method == "auto":
        method = "fft" if _compiled_by_xla() or _has_accelerator() else "grouped"
    elif method == "grouped" and _compiled_by_xla():
        raise ValueError("The blur method 'grouped' is a hundred times slower under XLA; use 'auto' or 'fft'.")
    blurred = (_blur_grouped if method == "grouped" else _blur_by_spectrum)(images, kernels)
    return ops.cast(blurred, dtype)


def _check(images, kernels, method):
    if method not in METHODS:
        raise ValueError(f"The blur method must be one of {', '.join(METHODS)}, got {method!r}.")
    if not keras.backend.is_float_dtype(images.dtype):
        raise TypeError(f"Images to blur must be floating point, got {keras.backend.standardize_dtype(images.dtype)}.")
    if len(images.shape) != 4:
        raise ValueError(f"Images to blur must have the shape (N, H, W, C), got {tuple(images.shape)}.")
    if len(kernels.shape) != 3 or kernels.shape[1] is None or kernels.shape[1] != kernels.shape[2]:
        raise ValueError(f"Blur kernels must have the shape (N, K, K) with a static K, got {tuple(kernels.shape)}.")
    if None not in (images.shape[0], kernels.shape[0]) and images.shape[0] != kernels.shape[0]:
        raise ValueError(f"Expected one kernel for each of the {images.shape[0]} images, got {kernels.shape[0]}.")


@lru_cache
def _has_accelerator():
    return any(keras.distribution.list_devices(kind) for kind in ("gpu", "tpu"))


def _compiled_by_xla():
    """Whether XLA compiles the current call: always with JAX, in TensorFlow under ``jit_compile=True``.

    While TensorFlow traces a function for XLA, it marks the graph, or one around it, with an XLA control flow context;
    it looks up the mark the same way when it builds a while loop. If a later version hides the mark, the answer is
    yes: fft is reasonably fast everywhere.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "jax"
    graph = getattr(ops.zeros(()), "graph", None)  # eager tensors have none
    try:
        while graph is not None:
            context = graph._get_control_flow_context()
            while context is not None:
                if context.IsXLAContext():
                    return True
                context = context.outer_context
            graph = getattr(graph, "outer_graph", None)
    except AttributeError:
        return True
    return False


def _size(tensor, axis):
    """Static size if known."""
    return tensor.shape[axis] if tensor.shape[axis] is not None else ops.shape(tensor)[axis]


def _blur_grouped(images, kernels):
    kernel_size = kernels.shape[1]
    # Output i takes pixels i - j + K // 2 for j from 0 to K - 1.
    before = kernel_size - 1 - kernel_size // 2
    stacked = ops.transpose(images, (3, 1, 2, 0))
    for axis in (1, 2):
        stacked = mirror(stacked, axis, before, _size(stacked, axis) + kernel_size - 1)
    # The layer correlates: rotate the kernels by 180 degrees.
    filters = ops.transpose(ops.flip(kernels, axis=(1, 2)), (1, 2, 0))[..., None]
    blurred = ops.depthwise_conv(stacked, filters, strides=1, padding="valid", data_format="channels_last")
    return ops.transpose(blurred, (3, 1, 2, 0))


def _blur_by_spectrum(images, kernels):
    kernel_size = kernels.shape[1]
    before = kernel_size - 1 - kernel_size // 2
    channels = images.shape[3]
    height, width = _size(images, 1), _size(images, 2)
    # The circular convolution of the mirrored image is right from row and column K - 1 on: no more padding is needed.
    rows, columns = (_fast_size(side + kernel_size - 1) for side in (height, width))
    planes = ops.transpose(images, (0, 3, 1, 2))
    if channels % 2:
        planes = ops.concatenate([planes, ops.zeros_like(planes[:, :1])], axis=1)
    planes = mirror(mirror(planes, 2, before, rows), 3, before, columns)
    # Kernels are real, so a complex image's real and imaginary parts are blurred independently.
    real, imaginary = ops.fft2((planes[:, 0::2], planes[:, 1::2]))
    spread = _extend(_extend(kernels, 1, rows), 2, columns)[:, None]
    kernel_real, kernel_imaginary = ops.fft2((spread, ops.zeros_like(spread)))
    even, odd = ops.ifft2(
        (
            real * kernel_real - imaginary * kernel_imaginary,
            real * kernel_imaginary + imaginary * kernel_real,
        )
    )
    start = kernel_size - 1
    even, odd = (part[:, :, start : start + height, start : start + width] for part in (even, odd))
    interleaved = [plane for pair in range((channels + 1) // 2) for plane in (even[:, pair], odd[:, pair])]
    return ops.stack(interleaved[:channels], axis=-1)


def _fast_size(size):
    """The next size that Fourier transforms are fast at, with no prime factor above 5, if known statically."""
    if not isinstance(size, int):
        return -(-size // 32) * 32
    while True:
        rest = size
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1


def _extend(kernels, axis, size):
    """Append zeros to the kernels along an axis, up to ``size``, which may be dynamic."""
    position = ops.arange(size, dtype="int32")
    last = kernels.shape[axis] - 1
    inside = ops.cast(position <= last, kernels.dtype)
    shape = [1, 1, 1]
    shape[axis] = -1
    return ops.take(kernels, ops.minimum(position, last), axis=axis) * ops.reshape(inside, shape)
