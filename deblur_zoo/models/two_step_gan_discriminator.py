"""The discriminator of Chrysos et al. 2019 (sections 3.2 and 5.1): is an image the sharp version of a blurred one?

Deviations from the paper, which says only that it has five layers:
- It outputs logits. The losses apply the sigmoid, in a form that does not round to 0 or 1.
- 4x4 convolutions, three of stride 2 and two of stride 1, widths 64, 128, 256, 512 and 1, batch normalisation in the
  second to the fourth and leaky ReLUs of slope 0.2: the five layers of Isola et al. 2017, on which the paper builds.
  Each logit covers a patch of 70x70 pixels; the losses average them.
- The projection of eq. 5 is the fourth layer's output, after its ReLU.
"""

import keras
from keras import layers, ops

from deblur_zoo.models.deblurrer import check_whole_numbers


@keras.saving.register_keras_serializable("deblur_zoo")
class ConditionalDiscriminator(keras.Model):
    """Pairs of a blurred image and a candidate to logits of the candidate being real, and to the features before them.

    Args:
        width: channels of the first layer, doubled by each further one except the last.
        depth: number of convolutions (paper: 5), two or more. All but the last two have stride 2.
        maximum_width: upper limit of the doubling.
        normalization: batch normalisation in all layers but the first and the last.
        leaky_slope: slope of the ReLU for negative values.
        synchronized: batch statistics over all replicas.

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(self, width=64, depth=5, maximum_width=512, normalization=True, leaky_slope=0.2, synchronized=False,
                 **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        counts = {"width": width, "maximum_width": maximum_width}
        check_whole_numbers("ConditionalDiscriminator", **counts)
        check_whole_numbers("ConditionalDiscriminator", minimum=2, depth=depth)
        self.settings = {
            **counts,
            "depth": depth,
            "normalization": bool(normalization),
            "leaky_slope": float(leaky_slope),
            "synchronized": bool(synchronized),
        }
        self.convolutions, self.normalizations = [], []
        for i in range(depth - 1):
            normalized = normalization and i > 0
            self.convolutions.append(
                layers.Conv2D(
                    min(width * 2**i, maximum_width),
                    4,
                    strides=2 if i < depth - 2 else 1,
                    padding="same",
                    use_bias=not normalized,
                    kernel_initializer="he_normal",
                )
            )
            if normalized:
                self.normalizations.append(layers.BatchNormalization(synchronized=synchronized))
        # float32, since the loss compares logits with each other.
        self.last = layers.Conv2D(1, 4, padding="same", dtype="float32", name="last")
        # Build now: a caller that builds with three channels to find the shapes would omit the condition.
        self.build()

    def build(self, input_shape=None):
        """Create all weights, for six channels."""
        if self.built:
            return
        channels = 6
        for i, convolution in enumerate(self.convolutions):
            convolution.build((None, None, None, channels))
            channels = convolution.filters
            if self.normalizations and i > 0:
                self.normalizations[i - 1].build((None, None, None, channels))
        self.last.build((None, None, None, channels))
        self.built = True

    def call(self, pairs, training=False):
        """Judge images given their blurred versions.

        Args:
            pairs: float (N, H, W, 6): RGB in [0, 1] of the blurred image, then of the candidate.
            training: normalise by the batch's statistics.

        Returns:
            (float32 logits (N, h, w, 1), one per patch; features (N, h, w, C) of the layer before).
        """
        features = pairs
        for i, convolution in enumerate(self.convolutions):
            features = convolution(features)
            if self.normalizations and i > 0:
                features = self.normalizations[i - 1](features, training=training)
            features = ops.leaky_relu(features, self.settings["leaky_slope"])
        return self.last(features), features

    def get_config(self):
        return {**super().get_config(), **self.settings}
