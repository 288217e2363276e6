"""Output heads of ``umsn``'s networks: from features to an image (Yasarla et al. 2020, section III-C, as published)."""

from keras import layers, ops

from deblur_zoo.layers.resampling import interleave
from deblur_zoo.models.umsn_blocks import SLOPE, Network, Transition, stem


class Doubling(Network):
    """A transition at half size, doubled bilinearly, and a 3x3 convolution.

    Args:
        filters: output channels.
        doubles: double the size after the transition; False for a network without the half size.
        normalization: see ``Transition``.
    """

    def __init__(self, filters, doubles=True, normalization="instance", **kwargs):
        super().__init__(**kwargs)
        self.transition = Transition(filters, normalization, name="transition")
        self.convolution = None
        if doubles:
            self.convolution = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="convolution")

    def call(self, features):
        features = self.transition(features)
        return features if self.convolution is None else self.convolution(bilinear_double(features))


def bilinear_double(features):
    """Double height and width by linear interpolation between pixel centres, repeating the border."""
    for axis in (1, 2):
        near, far = 0.75 * features, 0.25 * features
        if axis == 1:
            far = ops.concatenate([far[:, :1], far, far[:, -1:]], axis=1)
            before, after = far[:, :-2], far[:, 2:]
        else:
            far = ops.concatenate([far[:, :, :1], far, far[:, :, -1:]], axis=2)
            before, after = far[:, :, :-2], far[:, :, 2:]
        features = interleave(near + before, near + after, axis=axis)
    return features


class NestedDifference(Network):
    """A feature of the inputs minus one of a network's result (nested residual learning).

    Args:
        width: channels.
        scale: the network works at 1/scale of the inputs' size.
        nested: False: only a feature of the network's result.
    """

    def __init__(self, width, scale=1, nested=True, **kwargs):
        super().__init__(**kwargs)
        self.own = None
        if nested:
            self.own = (
                layers.Conv2D(width, 3, padding="same", name="own")
                if scale == 1
                else stem(width, scale, True, name="own")
            )
        self.found = layers.Conv2D(width, 3, padding="same", name="found")

    def call(self, inputs, features):
        found = ops.leaky_relu(self.found(features), SLOPE)
        return found if self.own is None else ops.leaky_relu(self.own(inputs), SLOPE) - found


class ImageOutput(layers.Layer):
    """From a feature to the residual, and from the residual to the image.

    Args:
        scale: the feature has 1/scale of the image's size.
        image_skip: the residual has no tanh, starts at zero and is not refined.
    """

    def __init__(self, scale=1, image_skip=False, **kwargs):
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.image_skip = image_skip
        settings = {"kernel_initializer": "zeros" if image_skip else "glorot_uniform", "name": "residual",
                    "dtype": "float32"}  # fmt: skip
        if scale == 1:
            self.residual = layers.Conv2D(3, 3, padding="same", **settings)
        else:
            self.residual = layers.Conv2DTranspose(3, scale, strides=scale, **settings)
        self.refinements = []
        if not image_skip:
            self.refinements = [
                layers.Conv2D(filters, size, padding="same", dtype="float32", name=f"refinement_{i + 1}")
                for i, (filters, size) in enumerate([(8, 7), (3, 3)])
            ]

    def build(self, features_shape):
        self.residual.build(features_shape)
        channels = 3
        for convolution in self.refinements:
            convolution.build((None, None, None, channels))
            channels = convolution.filters

    def call(self, features):
        """The residual, float32, on the scale of [-1, 1]."""
        residual = self.residual(features)
        return residual if self.image_skip else ops.tanh(residual)

    def image(self, images, residual):
        """The image in [0, 1] minus a residual, refined by two convolutions and tanh unless ``image_skip``."""
        if self.image_skip:
            return images - residual / 2
        clean = 2 * images - 1 - residual
        for i, convolution in enumerate(self.refinements):
            clean = convolution(clean)
            clean = ops.tanh(clean) if i else ops.leaky_relu(clean, SLOPE)
        return (clean + 1) / 2
