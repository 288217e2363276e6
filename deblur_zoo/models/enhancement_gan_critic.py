"""The critic that trains ``enhancement_gan`` (Qi et al. 2020, section 3.3, figure 2b): a PatchGAN (Isola et al. 2017).

"A flat convolutional layer, after which three stride convolutional layers", then a convolution that judges patches.
Each judgement sees 49x49 pixels.

Deviations from the paper:
- It is linear. The paper draws a sigmoid at the end and trains by WGAN-GP, whose critic must be unbounded.
- Kernels and widths are not stated: 4x4 as in PatchGAN, doubling from 64 up to 512.
- The last convolution has no bias: a Wasserstein loss is a difference, in which it cancels.
- "Instance normalization and Leaky ReLU after each convolutional layer" excludes the last, whose mean score
  normalisation would fix. ``normalization="layer"`` is what WGAN-GP recommends (Gulrajani et al. 2017).
"""

import keras
from keras import layers, ops

from deblur_zoo.models.deblurrer import check_whole_numbers

# Name to the groups of channels that share statistics: each channel alone, or all.
GROUPS = {"instance": -1, "layer": 1, None: None}


@keras.saving.register_keras_serializable("deblur_zoo")
class PatchCritic(keras.Model):
    """Images to unbounded scores of patches, larger for real ones.

    Args:
        width: channels of the first layer, doubled by each strided one.
        depth: number of strided convolutions (paper: 3).
        maximum_width: upper limit of the doubling.
        kernel_size: side of all kernels in pixels.
        normalization: "instance" (paper), "layer" or None. Batch normalisation is not offered, because a gradient
            penalty needs images that are independent of each other.
        leaky_slope: slope of the ReLU for negative values (paper: 0.2).

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(
        self, width=64, depth=3, maximum_width=512, kernel_size=4, normalization="instance", leaky_slope=0.2, **kwargs
    ):
        super().__init__(**kwargs)
        counts = {"width": width, "depth": depth, "maximum_width": maximum_width, "kernel_size": kernel_size}
        check_whole_numbers("PatchCritic", **counts)
        if normalization not in GROUPS:
            raise ValueError(f"PatchCritic: normalization must be 'instance', 'layer' or None, got {normalization!r}")
        self.settings = {**counts, "normalization": normalization, "leaky_slope": float(leaky_slope)}
        self.convolutions, self.normalizations = [], []
        for i in range(depth + 1):
            self.convolutions.append(
                layers.Conv2D(
                    min(width * 2**i, maximum_width),
                    kernel_size,
                    strides=1 if i == 0 else 2,
                    padding="same",
                    use_bias=normalization is None,
                    kernel_initializer="he_normal",
                )
            )
            if normalization is not None:
                self.normalizations.append(layers.GroupNormalization(groups=GROUPS[normalization], epsilon=1e-5))
        # float32, since scores are subtracted from each other.
        self.last = layers.Conv2D(1, kernel_size, padding="same", use_bias=False, dtype="float32", name="last")

    def build(self, input_shape=None):
        """Create all weights by running on a small image."""
        if not self.built:
            self.call(ops.zeros((1, 1, 1, 3)), training=False)
            self.built = True

    def call(self, images, training=False):
        """Float (N, H, W, 3), RGB in [0, 1], any size, to float32 scores (N, h, w, 1), h = H / 8 rounded up."""
        features = images
        for i, convolution in enumerate(self.convolutions):
            features = convolution(features)
            if self.normalizations:
                features = self.normalizations[i](features)
            features = ops.leaky_relu(features, self.settings["leaky_slope"])
        return self.last(features)

    def compute_output_shape(self, input_shape):
        step = 2 ** self.settings["depth"]
        sides = [None if side is None else -(-side // step) for side in input_shape[1:3]]
        return (input_shape[0], *sides, 1)

    def get_config(self):
        return {**super().get_config(), **self.settings}
