"""Render batches of pairs from their plans on the Keras backend's device, using only ``keras.ops``.

The result matches ``host_synthesis``: warped images and labels are bit-identical; blurred ones differ before rounding
by float32 arithmetic (below 1e-5 on the [0, 1] scale), so occasionally by one grey level after it.
"""

from functools import partial

from keras import ops

from deblur_zoo.blur.convolution import blur
from deblur_zoo.data.augmentation import COORDINATE_BITS, SHIFT_BITS
from deblur_zoo.data.random_normal import standard_normal_tensors
from deblur_zoo.face_classes import UNKNOWN


def _coordinates(matrices, size):
    """Input coordinates (x, y) of every output pixel in units of 1/32 pixel, int32 (N, size, size) each."""
    position = ops.arange(size, dtype="int32")
    across, down = position[None, None, :], position[None, :, None]
    row = matrices[:, :, :, None, None]
    # Floor division by a power of two is the host's arithmetic shift.
    return [
        ops.floor_divide(
            row[:, axis, 0] * across + row[:, axis, 1] * down + row[:, axis, 2] + (1 << (SHIFT_BITS - 1)),
            1 << SHIFT_BITS,
        )
        for axis in (0, 1)
    ]


def _mirrored(position, size):
    """Indices mirrored at the first and last pixel (border "reflect_101")."""
    period = max(2 * (size - 1), 1)
    position = ops.mod(position, period)
    return ops.minimum(position, period - position)


def _pick(pictures, x, y):
    """Pixels (N, h, w, ...) of images (N, H, W, ...) at integer positions, int32 (N, h, w), mirrored outside."""
    height, width = pictures.shape[1:3]
    count = ops.shape(pictures)[0]
    first = ops.arange(count, dtype="int32")[:, None, None] * (height * width)
    flat = ops.reshape(pictures, (-1, *pictures.shape[3:]))
    return ops.take(flat, first + _mirrored(y, height) * width + _mirrored(x, width), axis=0)


def warp(faces, matrices, size):
    """Warp images bilinearly, rounded to 8 bits, mirrored outside (border "reflect_101").

    Args:
        faces: uint8 (N, H, W, 3), H and W static.
        matrices: int32 (N, 2, 3), from ``augmentation.warp_matrix``.
        size: side of the result in pixels.

    Returns:
        float32 (N, size, size, 3), whole numbers from 0 to 255.
    """
    unit = 1 << COORDINATE_BITS
    x, y = _coordinates(matrices, size)
    left, top = ops.floor_divide(x, unit), ops.floor_divide(y, unit)
    right_share = ops.cast(x - left * unit, "float32")[..., None]
    lower_share = ops.cast(y - top * unit, "float32")[..., None]

    def row(below):
        first, second = (ops.cast(_pick(faces, left + beside, top + below), "float32") for beside in (0, 1))
        return first * (unit - right_share) + second * right_share

    # Integers below 2**18: exact in float32.
    total = row(0) * (unit - lower_share) + row(1) * lower_share
    return ops.floor((total + unit * unit / 2) / (unit * unit))


def warp_labels(labels, matrices, size):
    """Warp label maps uint8 (N, H, W): nearest neighbour, mirrored outside; returns uint8 (N, size, size)."""
    unit = 1 << COORDINATE_BITS
    x, y = (ops.floor_divide(coordinate + unit // 2, unit) for coordinate in _coordinates(matrices, size))
    return _pick(labels, x, y)


def blur_and_noise(sharp, kernels, sigma, keys):
    """Blur images and add noise, before clipping and rounding.

    Args:
        sharp: float32 (N, H, W, 3) in grey levels (0 to 255), H and W static.
        kernels: float32 (N, K, K).
        sigma: float32 (N,), the noise's standard deviation on the [0, 1] scale.
        keys: uint32 (N, 2), see ``random_normal``.

    Returns:
        float32 (N, H, W, 3) in grey levels (0 to 255, and a little beyond).
    """
    noise = standard_normal_tensors(keys, tuple(sharp.shape[1:]))
    return blur(sharp, kernels) + (255.0 * sigma)[:, None, None, None] * noise


def render(arrays, plan, size):
    """Render a batch of pairs from their plans: a pure function that the caller may compile.

    Args:
        arrays: dict of tensors from ``device_arrays``: "faces" uint8 (F, H, W, 3), "kernels" float32 (M, K, K),
            for labels "labels" uint8 (F, H, W) and "mirrored_classes" uint8 (256,), and for given pairs "pairs_blurred"
            and "pairs_sharp" uint8 (P, H, W, 3).
        plan: dict of arrays with first axis N, from ``PairMaker.plans``.
        size: side of the pairs in pixels, static.

    Returns:
        (blurred, sharp) or (blurred, sharp, labels): uint8 (N, size, size, 3) twice, uint8 (N, size, size).
    """
    plan = {name: ops.convert_to_tensor(values) for name, values in plan.items()}
    given = plan.get("pair")
    # A sample is a face or a given pair; both are computed for every sample, so that shapes do not depend on the plan.
    face = plan["face"] if given is None else ops.where(given, 0, plan["face"])
    pictures = ops.take(arrays["faces"], face, axis=0)
    if given is not None:
        pair_index = ops.where(given, plan["face"], 0)
        is_given = given[:, None, None, None]
        pictures = ops.where(is_given, ops.take(arrays["pairs_sharp"], pair_index, axis=0), pictures)
    sharp = warp(pictures, plan["matrix"], size)
    kernels = ops.take(arrays["kernels"], plan["kernel"], axis=0)
    blurred = ops.clip(ops.round(blur_and_noise(sharp, kernels, plan["sigma"], plan["key"])), 0, 255)
    if given is not None:
        blurred_pairs = ops.take(arrays["pairs_blurred"], pair_index, axis=0)
        blurred = ops.where(is_given, warp(blurred_pairs, plan["matrix"], size), blurred)
    blurred = ops.where(plan["unblurred"][:, None, None, None], sharp, blurred)
    pair = ops.cast(blurred, "uint8"), ops.cast(sharp, "uint8")
    if "labels" not in arrays:
        return pair
    labels = warp_labels(ops.take(arrays["labels"], face, axis=0), plan["matrix"], size)
    mirrored = ops.take(arrays["mirrored_classes"], ops.cast(labels, "int32"), axis=0)
    labels = ops.where(plan["mirrored"][:, None, None], mirrored, labels)
    if given is not None:
        labels = ops.where(given[:, None, None], ops.cast(UNKNOWN, "uint8"), labels)
    return *pair, labels


def device_arrays(pair_maker):
    """Faces, kernels, labels and given pairs of a pair maker in device memory.

    They are created once and shared by all pair makers derived from it (``with_augmentation``).
    """
    held = pair_maker.device_cache
    if not held:
        arrays = {"faces": pair_maker.faces, "kernels": pair_maker.kernels}
        if pair_maker.labels is not None:
            arrays |= {"labels": pair_maker.labels, "mirrored_classes": pair_maker.mirrored_classes}
        if pair_maker.pairs is not None:
            arrays |= {"pairs_blurred": pair_maker.pairs.blurred, "pairs_sharp": pair_maker.pairs.sharp}
        held |= {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    return held


class DeviceRenderer:
    """Renders batches of a pair maker's plans.

    Args:
        pair_maker: a PairMaker.
        compile: function that compiles a pure function of (arrays, plan), such as ``jax.jit``; None for no compilation.
            Faces and kernels are passed as arguments, never as constants.

    Raises:
        ValueError: JPEG compression or camera-like blur, which only the host supports.
    """

    def __init__(self, pair_maker, compile=None):
        settings = pair_maker.synthesis
        if settings.needs_host:
            raise ValueError(
                f"Training pairs with {settings.needs_host} need place 'host'; the device does not support them."
            )
        function = partial(render, size=settings.crop_size)
        self._render = compile(function) if compile else function
        self.arrays = device_arrays(pair_maker)

    def __call__(self, plan):
        """A batch on the device: (blurred, sharp) or (blurred, sharp, labels), as ``render``."""
        return self._render(self.arrays, plan)
