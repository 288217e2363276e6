"""Filters at full resolution whose strength a network chooses for each pixel (after Xia et al. 2020, CVPR, "Basis
prediction networks for effective burst denoising with large kernels")."""

import math

import numpy as np
from keras import layers, ops

from deblur_zoo.layers.channel_attention import channel_attention
from deblur_zoo.layers.resampling import double

SIDE = 7
# Of the Gaussians, in pixels.
_BLURS = (0.5, 1.0, 2.0)
_ORIENTATIONS = 4


def filter_bank():
    """The initial filters: float32 (7, 7, 11), without mean, each of unit norm.

    Three differences of Gaussians, from the finest noise to edges of a few pixels, then the second derivatives of two
    Gaussians in four directions, which sharpen across a direction of motion.
    """
    axis = np.arange(SIDE) - SIDE // 2
    rows, columns = np.meshgrid(axis, axis, indexing="ij")

    def gaussian(sigma):
        values = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
        return values / values.sum()

    levels = [(rows == 0) & (columns == 0), *map(gaussian, _BLURS)]
    bank = [fine - coarse for fine, coarse in zip(np.float64(levels[:-1]), levels[1:], strict=True)]
    for sigma in _BLURS[1:]:
        for orientation in range(_ORIENTATIONS):
            angle = math.pi * orientation / _ORIENTATIONS
            along = columns * math.cos(angle) - rows * math.sin(angle)
            bank.append(gaussian(sigma) * (1 - (along / sigma) ** 2))
    bank = [values - values.mean() for values in bank]
    return np.stack([values / np.linalg.norm(values) for values in bank], axis=-1).astype("float32")


def _responses_kernel(shape, dtype=None):
    bank = filter_bank()
    kernel = np.zeros(shape, "float32")
    for colour in range(3):
        kernel[:, :, colour, colour * bank.shape[-1] : (colour + 1) * bank.shape[-1]] = bank
    return ops.convert_to_tensor(kernel, dtype or "float32")


def _sums_kernel(shape, dtype=None):
    count = shape[2] // 3
    kernel = np.repeat(np.eye(3, dtype="float32"), count, axis=0)[None, None]
    return ops.convert_to_tensor(kernel, dtype or "float32")


class AdaptiveFilters(layers.Layer):
    """From an image and a network's last features to detail to add to the network's output.

    A network at 1/scale of the resolution learns to output smooth corrections: its first and last layer ignore what
    varies within a block of ``scale`` pixels, and the gradient that would change that is a thousandth of the rest, so
    noise and slight blur remain. Here a bank of filters finds detail at full resolution, and the network's features,
    together with the mean strength of each filter's response nearby, decide how much of it to add or to take away.
    These gates start at zero, so that a network computes the same with the branch as without.

    Args:
        width: channels of the hidden layer that computes the gates.
        scale: of the features; a power of two.

    Raises:
        ValueError: another scale.
    """

    def __init__(self, width, scale, **kwargs):
        if scale & (scale - 1):
            raise ValueError(f"adaptive filters need a scale that is a power of two, got {scale}")
        # The image stays float32 under mixed precision; the layers cast themselves.
        super().__init__(autocast=False, **kwargs)
        self.width, self.scale = width, scale
        self.count = 3 * filter_bank().shape[-1]
        self.responses = layers.Conv2D(
            self.count, SIDE, padding="same", use_bias=False, kernel_initializer=_responses_kernel, name="responses"
        )
        self.mix = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name="mix")
        self.gains = layers.Dense(width, kernel_initializer="zeros", name="gains")
        self.gates = layers.Conv2D(self.count, 1, kernel_initializer="zeros", name="gates")
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        self.sums = layers.Conv2D(3, 1, use_bias=False, kernel_initializer=_sums_kernel, dtype="float32", name="sums")

    def build(self, image_shape, features_shape):
        positions = features_shape[:-1]
        self.responses.build(image_shape)
        self.mix.build((*positions, features_shape[-1] + self.count))
        self.gains.build((None, self.width))
        self.gates.build((*positions, self.width))
        self.sums.build((*image_shape[:-1], self.count))

    def input_parts(self):
        """Concatenated inputs, for ``trainers.runs.widening``."""
        return {"mix": [self.mix.kernel.shape[-2] - self.count, self.count]}

    def call(self, image, features):
        """Float (N, H, W, 3) and (N, H / scale, W / scale, C) to float32 (N, H, W, 3)."""
        responses = self.responses(image)
        # Of the order of the features.
        strength = 10 * ops.average_pool(ops.abs(responses), self.scale, strides=self.scale)
        hidden = ops.relu(self.mix(ops.concatenate([ops.cast(features, responses.dtype), strength], axis=-1)))
        gates = self.gates(channel_attention(hidden, self.gains))
        for _ in range(int(math.log2(self.scale))):
            gates = double(gates)
        if self.scale > 1:
            # Without steps between the features' pixels.
            gates = ops.average_pool(gates, self.scale, strides=1, padding="same")
        return self.sums(responses * gates)
