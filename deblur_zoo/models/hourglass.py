"""The hourglass network (Newell, Yang and Deng 2016), as Chrysos et al. 2019 use it to restore images (section 3.1).

A resnet layer is a convolution, batch normalisation and a ReLU; a resnet block has three of them, 1x1, 3x3 and 1x1,
and adds its input. The hourglass pools the features level by level and enlarges them again; at each level a lateral
branch, a separate block, carries the features from before the pooling to after the enlargement.

Deviations from the papers:
- One hourglass at full resolution. Newell et al. work at a quarter of it, after a stem of stride 4, because they do not
  need pixels; the widths of their stem (64, 128, 128, 256) are kept.
- The last ReLU of a block follows the addition, as in He et al. 2016. Enlargement repeats pixels, pooling takes the
  maximum of 2x2: both as in Newell et al.
- ``normalization=False``, ours: convolutions with biases and no batch normalisation. A block's last convolution then
  starts small, without a ReLU after the addition, so that a deep stack starts near the identity.
- ``channel_attention``, ours: gains per channel before a block's last convolution.
- ``blocks``, ours: several blocks instead of one. ``scale``, ours: everything works at 1/scale of the resolution;
  the first convolution has 3*scale pixels and stride ``scale``, the last is a transposed one of ``scale`` pixels.
- ``image_skip``, ours: the network's output is added to the image, and starts at zero.
"""

import keras
from keras import layers, ops

from deblur_zoo.layers.channel_attention import channel_attention as attend
from deblur_zoo.layers.resampling import double


class ConvolutionUnit(layers.Layer):
    """A convolution, batch normalisation and a ReLU.

    Args:
        filters, kernel_size, strides: of the convolution.
        normalization: use batch normalisation; the convolution then has no bias.
        activation: end in a ReLU.
        initializer: of the convolution's kernel.
        synchronized: batch statistics over all replicas.
    """

    def __init__(self, filters, kernel_size, strides=1, normalization=True, activation=True, initializer="he_normal",
                 synchronized=False, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.convolution = layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=not normalization,
            kernel_initializer=initializer,
            name="convolution",
        )
        self.normalize = (
            layers.BatchNormalization(synchronized=synchronized, name="normalize") if normalization else None
        )
        self.activation = activation

    def build(self, input_shape):
        self.convolution.build(input_shape)
        if self.normalize is not None:
            self.normalize.build((None, None, None, self.convolution.filters))

    def call(self, features, training=False):
        features = self.convolution(features)
        if self.normalize is not None:
            features = self.normalize(features, training=training)
        return ops.relu(features) if self.activation else features


class ResidualBlock(layers.Layer):
    """Three layers, 1x1 to half the width, 3x3 and 1x1, added to the input. A 1x1 convolution adapts the channels.

    Args:
        channels: of the input.
        width: channels of the output.
        normalization, channel_attention, synchronized: see ``HourglassNetwork``.
    """

    def __init__(self, channels, width, normalization=True, channel_attention=False, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.inner = max(1, width // 2)
        unit = {"normalization": normalization, "synchronized": synchronized}
        self.reduce = ConvolutionUnit(self.inner, 1, **unit, name="reduce")
        self.middle = ConvolutionUnit(self.inner, 3, **unit, name="middle")
        self.gains = layers.Dense(self.inner, kernel_initializer="zeros", name="gains") if channel_attention else None
        initializer = "he_normal" if normalization else keras.initializers.VarianceScaling(0.1)
        self.expand = ConvolutionUnit(width, 1, activation=False, initializer=initializer, **unit, name="expand")
        self.shortcut = layers.Conv2D(width, 1, name="shortcut") if channels != width else None
        self.normalization = normalization

    def build(self, input_shape):
        outer, inner = (None, None, None, self.channels), (None, None, None, self.inner)
        self.reduce.build(outer)
        self.middle.build(inner)
        self.expand.build(inner)
        if self.gains is not None:
            self.gains.build((None, self.inner))
        if self.shortcut is not None:
            self.shortcut.build(outer)

    def call(self, features, training=False):
        hidden = self.middle(self.reduce(features, training=training), training=training)
        if self.gains is not None:
            hidden = attend(hidden, self.gains)
        hidden = self.expand(hidden, training=training)
        features = hidden + (features if self.shortcut is None else self.shortcut(features))
        return ops.relu(features) if self.normalization else features


class Blocks(layers.Layer):
    """A sequence of residual blocks of one width; with none, the identity."""

    def __init__(self, count, width, settings, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.members = [ResidualBlock(width, width, **settings) for _ in range(count)]

    def build(self, input_shape):
        for member in self.members:
            member.build((None, None, None, self.width))

    def call(self, features, training=False):
        for member in self.members:
            features = member(features, training=training)
        return features


class HourglassNetwork(layers.Layer):
    """Images to images.

    Args:
        widths: channels of the first convolution and of the residual blocks before the hourglass; the last is the
            hourglass's width.
        levels: number of poolings.
        blocks: residual blocks at each point of the hourglass, and after it.
        first_kernel: side of the first convolution in pixels; None: 3*scale.
        scale: work at 1/scale of height and width.
        normalization: batch normalisation.
        channel_attention: in the residual blocks.
        image_skip: add the result to the images.
        synchronized: batch statistics over all replicas.
    """

    def __init__(self, widths=(64, 128, 128, 256), levels=4, blocks=1, first_kernel=7, scale=1, normalization=True,
                 channel_attention=False, image_skip=False, synchronized=False, **kwargs):  # fmt: skip
        # Images stay float32 under mixed precision; the layers cast themselves.
        super().__init__(autocast=False, **kwargs)
        self.levels, self.scale, self.image_skip = levels, scale, image_skip
        unit = {"normalization": normalization, "synchronized": synchronized}
        settings = {**unit, "channel_attention": channel_attention}
        width = widths[-1]

        def place():
            return Blocks(blocks, width, settings)

        self.first = ConvolutionUnit(widths[0], first_kernel or 3 * scale, strides=scale, **unit, name="first")
        self.head = [ResidualBlock(a, b, **settings) for a, b in zip(widths[:-1], widths[1:], strict=True)]
        self.lateral = [place() for _ in range(levels)]
        self.down = [place() for _ in range(levels)]
        self.bottom = place()
        self.up = [place() for _ in range(levels)]
        self.tail = place()
        self.merge = ConvolutionUnit(width, 1, **unit, name="merge")
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        last = {"kernel_initializer": "zeros" if image_skip else "glorot_uniform", "dtype": "float32", "name": "last"}
        if scale == 1:
            self.last = layers.Conv2D(3, 1, **last)
        else:
            self.last = layers.Conv2DTranspose(3, scale, strides=scale, **last)
        self.width = width

    @property
    def size_divisor(self):
        """Height and width of the input must be multiples of this."""
        return self.scale * 2**self.levels

    def build(self, input_shape):
        self.first.build((None, None, None, 3))
        for block in self.head:
            block.build(None)
        for place in (*self.lateral, *self.down, self.bottom, *self.up, self.tail):
            place.build(None)
        self.merge.build((None, None, None, self.width))
        self.last.build((None, None, None, self.width))

    def call(self, images, training=False):
        """Float32 (N, H, W, 3), H and W multiples of ``size_divisor``, to the same shape, not clipped."""
        features = self.first(images, training=training)
        for block in self.head:
            features = block(features, training=training)
        branches = []
        for lateral, down in zip(self.lateral, self.down, strict=True):
            branches.append(lateral(features, training=training))
            features = down(ops.max_pool(features, 2, strides=2), training=training)
        features = self.bottom(features, training=training)
        for up, branch in zip(self.up, reversed(branches), strict=True):
            features = double(up(features, training=training)) + branch
        features = self.merge(self.tail(features, training=training), training=training)
        restored = self.last(features)
        return images + restored if self.image_skip else restored
