"""The discriminator that trains ``semantic_face`` (Shen et al. 2020, section 3.3), after DCGAN (Radford et al. 2016).

"6 strided convolutional layers followed by the ReLU activation function", then a single number.

Deviations from the paper:
- It outputs logits. The losses apply the sigmoid, in a form that does not round to 0 or 1.
- Kernel size and widths are not stated: 4x4, doubling from 64 up to 512.
- Batch normalisation in all but the first layer, as in DCGAN; a normalised convolution has no bias.
- The last layer is a linear function of the mean over the 2x2 positions that remain of 128x128 pixels, so any size
  works.
"""

import keras
from keras import layers, ops

from deblur_zoo.models.deblurrer import check_whole_numbers


@keras.saving.register_keras_serializable("deblur_zoo")
class FaceDiscriminator(keras.Model):
    """Images to logits of being real.

    Args:
        width: channels of the first layer, doubled by each further one.
        depth: number of strided convolutions (paper: 6).
        maximum_width: upper limit of the doubling.
        normalization: batch normalisation in all layers but the first. Without it images are independent of each other,
            as a gradient penalty requires.
        leaky_slope: slope of the ReLU for negative values (paper: 0; DCGAN: 0.2).
        synchronized: batch statistics over all replicas.

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(
        self,
        width=64,
        depth=6,
        maximum_width=512,
        normalization=True,
        leaky_slope=0.0,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        counts = {"width": width, "depth": depth, "maximum_width": maximum_width}
        check_whole_numbers("FaceDiscriminator", **counts)
        self.settings = {
            **counts,
            "normalization": bool(normalization),
            "leaky_slope": float(leaky_slope),
            "synchronized": bool(synchronized),
        }
        self.convolutions, self.normalizations = [], []
        for i in range(depth):
            normalized = normalization and i > 0
            self.convolutions.append(
                layers.Conv2D(
                    min(width * 2**i, maximum_width),
                    4,
                    strides=2,
                    padding="same",
                    use_bias=not normalized,
                    kernel_initializer="he_normal",
                )
            )
            if normalized:
                self.normalizations.append(layers.BatchNormalization(synchronized=synchronized))
        # float32, since the loss compares logits with each other.
        self.last = layers.Dense(1, dtype="float32", name="last")

    def build(self, input_shape=None):
        """Create all weights by running on a small image."""
        if not self.built:
            self.call(ops.zeros((1, 1, 1, 3)), training=False)
            self.built = True

    def call(self, images, training=False):
        """Float (N, H, W, 3), RGB in [0, 1], any size, to float32 logits (N, 1)."""
        features = images
        for i, convolution in enumerate(self.convolutions):
            features = convolution(features)
            if self.normalizations and i > 0:
                features = self.normalizations[i - 1](features, training=training)
            features = ops.leaky_relu(features, self.settings["leaky_slope"])
        return self.last(ops.mean(ops.cast(features, "float32"), axis=(1, 2)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {**super().get_config(), **self.settings}
