"""Building blocks of ``enhancement_gan`` (Qi et al. 2020, section 3.3, figure 3).

Choices that the paper leaves open are listed in ``enhancement_gan`` under "Deviations".
"""

import keras
from keras import layers, ops

from deblur_zoo.layers.channel_attention import channel_attention as attend

NORMALIZATIONS = ("instance", None)


def variance_scaling(factor):
    """Normal initial weights; a factor of 2 preserves the scale of features from ReLU to ReLU (He et al. 2015)."""
    return keras.initializers.VarianceScaling(factor, "fan_in", "truncated_normal")


def attention_gains(width, enabled):
    """The dense layer for ``channel_attention``, or None."""
    return layers.Dense(width, kernel_initializer="zeros", name="gains") if enabled else None


class ConvolutionGroup(layers.Layer):
    """Convolution, instance normalisation, ReLU.

    Args:
        filters: output channels.
        kernel_size: side in pixels.
        strides: 1, or 2 to halve height and width; with ``transposed`` to double them.
        transposed: use a transposed convolution.
        normalization: "instance", or None for a bias in the convolution instead.
        leaky_slope: slope of the ReLU for negative values.
        variance: factor of the initial weights' variance.
    """

    def __init__(self, filters, kernel_size=3, strides=1, transposed=False, normalization="instance", leaky_slope=0.0,
                 variance=2.0, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.leaky_slope = leaky_slope
        convolution = layers.Conv2DTranspose if transposed else layers.Conv2D
        # A normalisation removes the mean, and a bias with it.
        self.convolution = convolution(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=normalization is None,
            kernel_initializer=variance_scaling(variance),
            name="convolution",
        )
        self.normalization = None
        if normalization == "instance":
            # Keras computes the statistics in float32 under every policy.
            self.normalization = layers.GroupNormalization(groups=-1, epsilon=1e-5, name="normalization")

    def build(self, input_shape):
        self.convolution.build(input_shape)
        if self.normalization is not None:
            self.normalization.build((None, None, None, self.convolution.filters))

    def call(self, features):
        features = self.convolution(features)
        if self.normalization is not None:
            features = self.normalization(features)
        return ops.leaky_relu(features, self.leaky_slope) if self.leaky_slope else ops.relu(features)


class RecurrentConvolution(layers.Layer):
    """A group f, applied repeatedly: h = f(x), then ``recurrences`` times h = f(x + h) (Alom et al. 2018)."""

    def __init__(self, filters, recurrences, group, **kwargs):
        super().__init__(**kwargs)
        self.recurrences = recurrences
        self.group = ConvolutionGroup(filters, **group, name="group")

    def build(self, input_shape):
        self.group.build(input_shape)

    def call(self, features):
        hidden = self.group(features)
        for _ in range(self.recurrences):
            hidden = self.group(features + hidden)
        return hidden


class RecurrentResidualBlock(layers.Layer):
    """x plus two recurrent convolutions of x, one after the other."""

    def __init__(self, width, recurrences, group, channel_attention, **kwargs):
        super().__init__(**kwargs)
        # Small, so that a stack without normalisation starts near the identity; irrelevant with normalisation.
        self.first = RecurrentConvolution(width, recurrences, {**group, "variance": 0.5}, name="first")
        self.second = RecurrentConvolution(width, recurrences, {**group, "variance": 0.1}, name="second")
        self.gains = attention_gains(width, channel_attention)

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(input_shape)
        if self.gains is not None:
            self.gains.build((None, input_shape[-1]))

    def call(self, features):
        hidden = self.second(self.first(features))
        if self.gains is not None:
            hidden = attend(hidden, self.gains)
        return features + hidden


class RRRB(layers.Layer):
    """Residual-in-recurrent residual block (figure 3b): x plus two recurrent residual blocks of x, one after the other.

    Args:
        width: channels in and out.
        recurrences: how many more times a recurrent convolution is applied (paper: 2).
        group: dict of ``ConvolutionGroup``'s normalization and leaky_slope. Without normalisation the sum is a mean,
            since features would double from block to block.
        channel_attention: gains per channel on each recurrent residual block's residual.
    """

    def __init__(self, width, recurrences, group, channel_attention=False, **kwargs):
        super().__init__(**kwargs)
        self.factor = 1.0 if group["normalization"] else 0.5
        self.blocks = [RecurrentResidualBlock(width, recurrences, group, channel_attention) for _ in range(2)]

    def build(self, input_shape):
        for block in self.blocks:
            block.build(input_shape)

    def call(self, features):
        total = features + self.blocks[1](self.blocks[0](features))
        return total if self.factor == 1 else self.factor * total


class ResBlock(layers.Layer):
    """x plus three groups of convolution, instance normalisation and ReLU (figure 3c); arguments as for ``RRRB``."""

    def __init__(self, width, group, channel_attention=False, **kwargs):
        super().__init__(**kwargs)
        self.groups = [ConvolutionGroup(width, **group, variance=variance) for variance in (2.0, 2.0, 0.1)]
        self.gains = attention_gains(width, channel_attention)

    def build(self, input_shape):
        for group in self.groups:
            group.build(input_shape)
        if self.gains is not None:
            self.gains.build((None, input_shape[-1]))

    def call(self, features):
        hidden = features
        for group in self.groups:
            hidden = group(hidden)
        if self.gains is not None:
            hidden = attend(hidden, self.gains)
        return features + hidden


class TwoConvolutions(layers.Layer):
    """Replacement of an RRRB or a ResBlock that table 2 omits: two groups, no residual."""

    def __init__(self, width, group, **kwargs):
        super().__init__(**kwargs)
        self.groups = [ConvolutionGroup(width, **group) for _ in range(2)]

    def build(self, input_shape):
        for group in self.groups:
            group.build(input_shape)

    def call(self, features):
        return self.groups[1](self.groups[0](features))


class DenseBlock(layers.Layer):
    """x + scale * (a dense stack of x), as in ESRGAN (Wang et al. 2018): no normalisation, leaky ReLU of slope 0.2.

    Args:
        width: channels in and out.
        growth: channels that each dense convolution adds (paper: 8).
        depth: number of convolutions; the last outputs ``width`` channels.
        scale: factor of the residual (paper: 0.2).
        channel_attention: gains per channel on the residual.
    """

    def __init__(self, width, growth, depth, scale, channel_attention=False, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.dense = [
            ConvolutionGroup(growth, normalization=None, leaky_slope=0.2, name=f"dense_{i + 1}")
            for i in range(depth - 1)
        ]
        self.last = layers.Conv2D(width, 3, padding="same", kernel_initializer=variance_scaling(1.0), name="last")
        self.gains = attention_gains(width, channel_attention)

    def build(self, input_shape):
        width = input_shape[-1]
        for group in self.dense:
            group.build((*input_shape[:-1], width))
            width += group.convolution.filters
        self.last.build((*input_shape[:-1], width))
        if self.gains is not None:
            self.gains.build((None, input_shape[-1]))

    def input_parts(self):
        """Concatenated inputs, for ``trainers.runs.widening``."""
        parts = [self.last.filters, *(group.convolution.filters for group in self.dense)]
        dense = {f"dense/{i}/convolution": parts[: i + 1] for i in range(len(self.dense))}
        return {**dense, "last": parts}

    def call(self, features):
        stack = features
        for group in self.dense:
            stack = ops.concatenate([stack, group(stack)], axis=-1)
        residual = self.last(stack)
        if self.gains is not None:
            residual = attend(residual, self.gains)
        return features + self.scale * residual


class ResidualInResidualDenseBlock(layers.Layer):
    """x + scale * (dense blocks of x, one after the other) (RRDB of ESRGAN)."""

    def __init__(self, width, dense_blocks, settings, **kwargs):
        super().__init__(**kwargs)
        self.scale = settings["scale"]
        self.blocks = [DenseBlock(width, **settings) for _ in range(dense_blocks)]

    def build(self, input_shape):
        for block in self.blocks:
            block.build(input_shape)

    def call(self, features):
        hidden = features
        for block in self.blocks:
            hidden = block(hidden)
        return features + self.scale * hidden


class DRDBU(layers.Layer):
    """Dense-in-residual dense blocks unit (figure 3a): densely connected RRDBs.

    From the second RRDB, each takes all outputs so far, including the unit's input, concatenated and merged by a 1x1
    convolution; so does the unit's residual, which is multiplied by ``scale``.

    Args:
        width: channels in and out.
        units: number of RRDBs (paper: 3).
        dense_blocks: dense blocks of an RRDB (ESRGAN: 3).
        settings: dict of ``DenseBlock``'s other arguments.
    """

    def __init__(self, width, units, dense_blocks, settings, **kwargs):
        super().__init__(**kwargs)
        self.scale = settings["scale"]
        self.units = [ResidualInResidualDenseBlock(width, dense_blocks, settings) for _ in range(units)]
        self.merges = [layers.Conv2D(width, 1, kernel_initializer=variance_scaling(1.0)) for _ in range(units)]

    def build(self, input_shape):
        *positions, width = input_shape
        for i, (unit, merge) in enumerate(zip(self.units, self.merges, strict=True)):
            unit.build(input_shape)
            merge.build((*positions, (i + 2) * width))

    def input_parts(self):
        """Concatenated inputs, for ``trainers.runs.widening``."""
        return {f"merges/{i}": [merge.filters] * (i + 2) for i, merge in enumerate(self.merges)}

    def call(self, features):
        outputs, hidden = [features], features
        for unit, merge in zip(self.units, self.merges, strict=True):
            outputs.append(unit(hidden))
            hidden = merge(ops.concatenate(outputs, axis=-1))
        return features + self.scale * hidden
