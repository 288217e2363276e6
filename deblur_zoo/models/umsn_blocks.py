"""Building blocks of ``umsn`` and its parser (Yasarla et al. 2020, figures 4 and 5, as the authors published them).

Choices that the paper leaves open are listed in ``umsn`` under "Deviations".
"""

import keras
import numpy as np
from keras import layers, ops

from deblur_zoo.layers.channel_attention import channel_attention as attend
from deblur_zoo.layers.resampling import convolve_doubled, double

# Slope of the leaky ReLU in the heads.
SLOPE = 0.2
NORMALIZATIONS = ("instance", "batch", None)


def instance_normalize(features, epsilon=1e-5):
    """Normalise each channel of each image to zero mean and unit variance (Ulyanov et al. 2016), without parameters.

    Args:
        features: float (N, H, W, C).

    Returns:
        the same shape and type; computed in float32.
    """
    values = ops.cast(features, "float32")
    differences = values - _mean(values)
    scale = ops.rsqrt(_mean(ops.square(differences)) + epsilon)
    return ops.cast(differences * scale, features.dtype)


def _mean(values):
    """Mean over height and then width: under TensorFlow on a CPU more than twice as fast as over both at once."""
    return ops.mean(ops.mean(values, axis=2, keepdims=True), axis=1, keepdims=True)


class Network(layers.Layer):
    """A layer whose parts are built when it first runs, since Keras would trace each level of nesting separately."""

    def build(self, input_shape=None):
        pass


class Normalization(layers.Layer):
    """The normalisation before each ReLU: instance, batch or none.

    Args:
        kind: one of ``NORMALIZATIONS``.
        synchronized: batch statistics over all replicas.
    """

    def __init__(self, kind, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind
        self.batch = layers.BatchNormalization(synchronized=synchronized, name="batch") if kind == "batch" else None

    def build(self, input_shape):
        if self.batch is not None:
            self.batch.build(input_shape)

    def call(self, features, training=False):
        if self.batch is not None:
            return self.batch(features, training=training)
        return instance_normalize(features) if self.kind == "instance" else features


class SharedSmoothing(layers.Layer):
    """One 3x3 convolution shared by all channels, initialised as the identity (figure 4, second row)."""

    def build(self, input_shape):
        # Nine numbers row by row. Not a matrix: its 9 multiply-adds per value, about 0.5 % of a block, are not counted.
        self.taps = self.add_weight(
            shape=(9,), initializer=lambda shape, dtype=None: ops.cast(ops.arange(9) == 4, dtype), name="taps"
        )

    def call(self, features):
        channels = features.shape[-1]
        kernel = ops.broadcast_to(ops.reshape(ops.cast(self.taps, features.dtype), (3, 3, 1, 1)), (3, 3, channels, 1))
        return ops.depthwise_conv(features, kernel, padding="same")


class DenseBlock(layers.Layer):
    """The paper's ResBlock: several normalisations, ReLUs and convolutions, plus a 1x1 shortcut, beside its input.

    Args:
        growth: channels that it adds.
        hidden_width: channels of the intermediate convolutions.
        dilations: dilation of each 3x3 convolution after the first, 1x1 one.
        smoothed: use a ``SharedSmoothing`` before the last convolution.
        normalization: one of ``NORMALIZATIONS``. None: biases instead.
        dense: concatenate the result with the input; otherwise return only the result.
        channel_attention: gains per channel before the last convolution.
        doubled: the result has twice the height and width of the input, as if the input's pixels had been repeated;
            computed at the input's size where possible. Needs a first dilation of 1.
        synchronized: see ``Normalization``.
    """

    def __init__(self, growth, hidden_width, dilations=(1, 1, 1), smoothed=False, normalization="instance", dense=True,
                 channel_attention=False, doubled=False, synchronized=False, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.dense, self.doubled = dense, doubled
        # Without normalisation the last one starts small, so that a deep stack starts near the identity.
        last = "he_normal" if normalization else keras.initializers.VarianceScaling(0.1)
        widths = [hidden_width] * len(dilations) + [growth]
        self.convolutions = [
            layers.Conv2D(
                width,
                1 if i == 0 else 3,
                padding="same",
                dilation_rate=(1, *dilations)[i],
                use_bias=normalization is None,
                kernel_initializer=last if i == len(dilations) else "he_normal",
                name=f"convolution_{i + 1}",
            )
            for i, width in enumerate(widths)
        ]
        self.normalizations = [Normalization(normalization, synchronized) for _ in widths]
        self.smoothing = SharedSmoothing(name="smoothing") if smoothed else None
        self.gains = None
        if channel_attention:
            self.gains = layers.Dense(hidden_width, kernel_initializer="zeros", name="gains")
        self.shortcut = layers.Conv2D(growth, 1, use_bias=False, name="shortcut")

    def build(self, input_shape):
        shape = tuple(input_shape)
        self.shortcut.build(shape)
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            normalization.build(shape)
            convolution.build(shape)
            shape = (*shape[:-1], convolution.filters)
        hidden = (*shape[:-1], self.convolutions[0].filters)
        for layer in (self.smoothing, self.gains):
            if layer is not None:
                layer.build(hidden)

    def call(self, features, training=False):
        hidden = features
        for i, convolution in enumerate(self.convolutions):
            hidden = ops.relu(self.normalizations[i](hidden, training=training))
            if i == len(self.convolutions) - 1:
                if self.gains is not None:
                    hidden = attend(hidden, self.gains)
                if self.smoothing is not None:
                    hidden = self.smoothing(hidden)
            hidden = convolve_doubled(convolution, hidden) if self.doubled and i == 1 else convolution(hidden)
        shortcut = self.shortcut(features)
        if self.doubled:
            features, shortcut = double(features), double(shortcut)
        result = shortcut + hidden
        return ops.concatenate([features, result], axis=-1) if self.dense else result


def block_parts(block, parts):
    """{layer: channels of each part of its input} of those that read a ``DenseBlock``'s input, for ``input_parts``.

    Args:
        block: the block's attribute, such as "blocks/0".
        parts: channels of each part of the block's input.
    """
    return {f"{block}/{layer}": parts for layer in ("convolutions/0", "shortcut")}


def dense_parts(block, transition, parts, growth):
    """As ``block_parts``, with the transition that reads the block's input beside its result.

    Args:
        block, parts: as for ``block_parts``.
        transition: the transition's attribute.
        growth: channels that the block adds.
    """
    return block_parts(block, parts) | {f"{transition}/convolution": [*parts, growth]}


def carry_through(shape, dtype=None):
    """Initial kernel (1, 1, C, F) that passes on the first F channels, with a little of the others."""
    channels, filters = shape[2:]
    kernel = np.eye(channels, filters)
    rest = np.random.default_rng(channels).normal(scale=np.sqrt(0.1 / channels), size=(channels, filters))
    kernel[filters:] = rest[filters:]
    return ops.convert_to_tensor(kernel[None, None], dtype or "float32")


class Transition(layers.Layer):
    """Instance normalisation, ReLU and a 1x1 convolution after a dense block.

    Args:
        filters: output channels.
        normalization: "instance"; None: only a 1x1 convolution with a bias, which starts by passing on its first
            ``filters`` channels, so that the block before it starts as a residual one.
    """

    def __init__(self, filters, normalization="instance", **kwargs):
        super().__init__(**kwargs)
        self.normalization = normalization
        self.convolution = layers.Conv2D(
            filters,
            1,
            use_bias=normalization is None,
            kernel_initializer="he_normal" if normalization else carry_through,
            name="convolution",
        )

    def build(self, input_shape):
        self.convolution.build(input_shape)

    def call(self, features):
        if self.normalization is not None:
            features = ops.relu(instance_normalize(features))
        return self.convolution(features)


class OneChannelMaps(Network):
    """Reduce each of several features to one channel by a 3x3 convolution and leaky ReLU, all at the first one's size.

    Args:
        count: number of features.
    """

    def __init__(self, count, **kwargs):
        super().__init__(**kwargs)
        self.convolutions = [layers.Conv2D(1, 3, padding="same", name=f"map_{i + 1}") for i in range(count)]

    def call(self, group, doublings=()):
        """From a list of features, and how many times to double each, to maps (N, H, W, 1) of one size."""
        maps = []
        for convolution, features, times in zip(self.convolutions, group, doublings, strict=True):
            one = ops.leaky_relu(convolution(features), SLOPE)
            for _ in range(times):
                one = double(one)
            maps.append(one)
        return maps


def stem(filters, scale, use_bias=False, **kwargs):
    """The first layer of a network that works at 1/scale of an image's height and width; needs a bias unless a
    normalisation follows, which would cancel it.
    """
    return layers.Conv2D(
        filters,
        2 * scale,
        strides=scale,
        padding="same",
        use_bias=use_bias,
        kernel_initializer="he_normal",
        **kwargs,
    )
