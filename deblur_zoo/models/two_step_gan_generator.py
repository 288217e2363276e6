"""The generator of Chrysos et al. 2019 (section 3.3, table 3): encoders and their shared decoder.

The pathway G_bl restores: it encodes the blurred image together with the hourglass's result. The pathway G_s encodes
sharp images in training, and the same decoder must reconstruct them. Choices that the paper leaves open are listed in
``two_step_gan``.
"""

import keras
from keras import layers, ops

from deblur_zoo.layers.adaptive_filters import AdaptiveFilters
from deblur_zoo.layers.resampling import double, interleave
from deblur_zoo.models.deblurrer import check_whole_numbers
from deblur_zoo.models.hourglass import Blocks

ENCODER_WIDTHS = (64, 128, 256, 512, 512, 512, 512, 256)
DECODER_WIDTHS = (1024, 512, 512, 512, 256, 128, 64)
# Layers, counted from 0, after which a residual connection starts that skips two.
_ENCODER_RESIDUALS, _DECODER_RESIDUALS = (0, 2, 4), (0, 2)
_DROPOUT_LAYERS = 3


class PointConvolution(layers.Layer):
    """A 1x1 convolution with a stride: ``keras.layers.Conv2D`` on the sampled pixels.

    TensorFlow's gradient of a kernel smaller than its stride crashes on CPUs for some numbers of channels (2.21: 4 in
    and 8 out), hence this class and ``PointTransposed``.
    """

    def __init__(self, filters, stride, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride = filters, stride
        self.inner = layers.Conv2D(filters, 1, kernel_initializer="he_normal", name="inner")

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, features):
        return self.inner(features[:, :: self.stride, :: self.stride, :])


class PointTransposed(layers.Layer):
    """A transposed 1x1 convolution of stride 2: the first of each 2x2 pixels has a value, all have the bias."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.inner = layers.Conv2D(filters, 1, use_bias=False, kernel_initializer="he_normal", name="inner")

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, features):
        features = self.inner(features)
        wide = interleave(features, ops.zeros_like(features), axis=2)
        return interleave(wide, ops.zeros_like(wide), axis=1) + self.bias


class GeneratorLayer(layers.Layer):
    """A convolution or transposed convolution, a ReLU, then batch normalisation and dropout as in table 3.

    Args:
        convolution: the Keras layer.
        channels: of the input.
        normalization: batch normalisation.
        keep_probability: of a unit in training; 1: no dropout.
        synchronized: batch statistics over all replicas.
    """

    def __init__(self, convolution, channels, normalization, keep_probability=1.0, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.convolution, self.channels = convolution, channels
        self.normalize = (
            layers.BatchNormalization(synchronized=synchronized, name="normalize") if normalization else None
        )
        self.dropout = layers.Dropout(1.0 - keep_probability, name="dropout") if keep_probability < 1 else None

    def build(self, input_shape):
        self.convolution.build((None, None, None, self.channels))
        if self.normalize is not None:
            self.normalize.build((None, None, None, self.convolution.filters))

    def call(self, features, training=False):
        features = ops.relu(self.convolution(features))
        if self.normalize is not None:
            features = self.normalize(features, training=training)
        return features if self.dropout is None else self.dropout(features, training=training)


class Encoder(layers.Layer):
    """Images to a code and the features of the first two layers, which the decoder also takes.

    The first layer keeps the resolution, the last has 1x1 kernels and stride 2, the others 4x4 and stride 2.

    Args:
        channels: of the input: 6 or 3.
        widths: channels of the layers, three or more.
        scale: the first layer has stride ``scale`` and kernels of 3*scale pixels.
        blocks: residual blocks after each layer but the last.
        normalization: batch normalisation in all layers but the first.
        channel_attention: in the residual blocks.
        synchronized: batch statistics over all replicas.
    """

    def __init__(self, channels, widths=ENCODER_WIDTHS, scale=1, blocks=0, normalization=True,
                 channel_attention=False, synchronized=False, **kwargs):  # fmt: skip
        super().__init__(autocast=False, **kwargs)
        settings = {"normalization": normalization, "channel_attention": channel_attention,
                    "synchronized": synchronized}  # fmt: skip
        self.sequence, self.blocks = [], []
        for i, width in enumerate(widths):
            first, last = i == 0, i == len(widths) - 1
            size, stride = (3 * scale if scale > 1 else 4, scale) if first else (4, 2)
            convolution = (
                PointConvolution(width, 2, name="convolution")
                if last
                else layers.Conv2D(
                    width, size, strides=stride, padding="same", kernel_initializer="he_normal", name="convolution"
                )
            )
            inputs = channels if first else widths[i - 1]
            self.sequence.append(
                GeneratorLayer(convolution, inputs, normalization and not first, synchronized=synchronized)
            )
            self.blocks.append(Blocks(0 if last else blocks, width, settings))
        self.widths = tuple(widths)
        # A residual connection spans two layers of stride 2.
        self.residuals = [i for i in _ENCODER_RESIDUALS if i + 2 < len(widths) - 1]
        self.projections = [PointConvolution(widths[i + 2], 4, name="projection") for i in self.residuals]

    def build(self, input_shape):
        for layer in (*self.sequence, *self.blocks):
            layer.build(None)
        for i, projection in zip(self.residuals, self.projections, strict=True):
            projection.build((None, None, None, self.widths[i]))

    def call(self, images, training=False):
        """Float (N, H, W, channels) to (code, features of layer 1, features of layer 2)."""
        features, outputs = images, []
        for i, (layer, blocks) in enumerate(zip(self.sequence, self.blocks, strict=True)):
            features = layer(features, training=training)
            if i - 2 in self.residuals:
                features = features + self.projections[self.residuals.index(i - 2)](outputs[i - 2])
            features = blocks(features, training=training)
            outputs.append(features)
        return outputs[-1], outputs[0], outputs[1]


class Decoder(layers.Layer):
    """A code and the features of an encoder's first two layers to images. G_bl and G_s share one.

    Args:
        code_width: channels of the code.
        widths: channels of all layers except the last; one fewer than the encoder's, ending in the encoder's first two,
            reversed.
        scale: the last layer enlarges by ``scale``.
        blocks: residual blocks after each layer of ``widths``.
        keep_probability: of a unit of the first three layers, in training.
        starts_at_zero: zero-initialise the last layer.
        normalization, channel_attention, synchronized: as in ``Encoder``.
    """

    def __init__(self, code_width, widths=DECODER_WIDTHS, scale=1, blocks=0, keep_probability=0.5,
                 starts_at_zero=False, normalization=True, channel_attention=False, synchronized=False,
                 **kwargs):  # fmt: skip
        super().__init__(autocast=False, **kwargs)
        settings = {"normalization": normalization, "channel_attention": channel_attention,
                    "synchronized": synchronized}  # fmt: skip
        self.sequence, self.blocks = [], []
        for i, width in enumerate(widths):
            convolution = (
                layers.Conv2DTranspose(
                    width, 4, strides=2, padding="same", kernel_initializer="he_normal", name="convolution"
                )
                if i
                else PointTransposed(width, name="convolution")
            )
            kept = keep_probability if i < _DROPOUT_LAYERS else 1.0
            inputs = widths[i - 1] if i else code_width
            self.sequence.append(GeneratorLayer(convolution, inputs, normalization, kept, synchronized))
            self.blocks.append(Blocks(blocks, width, settings))
        self.widths = tuple(widths)
        self.residuals = [i for i in _DECODER_RESIDUALS if i + 2 < len(widths)]
        self.projections = [layers.Conv2D(widths[i + 2], 1, name="projection") for i in self.residuals]
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        initializer = "zeros" if starts_at_zero else "glorot_uniform"
        self.last = layers.Conv2DTranspose(
            3, 4 if scale == 1 else scale, strides=scale, padding="same", kernel_initializer=initializer,
            dtype="float32", name="last",
        )  # fmt: skip

    def build(self, *shapes):
        for layer in (*self.sequence, *self.blocks):
            layer.build(None)
        for i, projection in zip(self.residuals, self.projections, strict=True):
            projection.build((None, None, None, self.widths[i]))
        self.last.build((None, None, None, self.widths[-1]))

    def call(self, code, first, second, training=False):
        """From an encoder's outputs to float32 images (N, H, W, 3)."""
        return self.last(self.features(code, first, second, training))

    def features(self, code, first, second, training=False):
        """The last layer's input."""
        features, outputs = code, []
        skips = {len(self.sequence) - 1: first, len(self.sequence) - 2: second}
        for i, (layer, blocks) in enumerate(zip(self.sequence, self.blocks, strict=True)):
            features = layer(features, training=training)
            if i - 2 in self.residuals:
                # Project at low resolution, then repeat over four times as many pixels.
                projected = self.projections[self.residuals.index(i - 2)](outputs[i - 2])
                features = features + double(double(projected))
            if i in skips:
                features = features + skips[i]
            features = blocks(features, training=training)
            outputs.append(features)
        return features


class Generator(layers.Layer):
    """The pathway G_bl: ``encoder`` and ``decoder``.

    Args:
        channels: of the input.
        encoder_widths, decoder_widths: channels of the layers.
        keep_probability, starts_at_zero: see ``Decoder``.
        settings: further arguments of both.
        filter_width: of adaptive filters on the last three channels of the input; 0: no filters.
    """

    def __init__(self, channels, encoder_widths, decoder_widths, keep_probability, starts_at_zero, settings,
                 filter_width=0, **kwargs):  # fmt: skip
        super().__init__(autocast=False, **kwargs)
        self.encoder = Encoder(channels, encoder_widths, **settings, name="encoder")
        self.decoder = Decoder(encoder_widths[-1], decoder_widths, keep_probability=keep_probability,
                               starts_at_zero=starts_at_zero, **settings, name="decoder")  # fmt: skip
        self.filters = AdaptiveFilters(filter_width, settings["scale"], name="filters") if filter_width else None

    def build(self, input_shape):
        self.encoder.build(None)
        self.decoder.build(None)
        if self.filters is not None:
            self.filters.build((None, None, None, 3), (None, None, None, self.decoder.widths[-1]))

    def call(self, inputs, training=False):
        codes = self.encoder(inputs, training=training)
        if self.filters is None:
            return self.decoder(*codes, training=training)
        features = self.decoder.features(*codes, training=training)
        return self.decoder.last(features) + self.filters(inputs[..., -3:], features)


@keras.saving.register_keras_serializable("deblur_zoo")
class SharpPathway(keras.Model):
    """The encoder of G_s, from sharp images to inputs of the shared decoder. Used only in training.

    It is not part of the deblurring model, so exported files do not contain it; a recipe names it as its auxiliary
    network. The decoder is the model's, see ``TwoStepGan.reconstruct``.

    Args:
        widths: the model's ``encoder_widths``.
        scale, blocks, normalization, channel_attention, synchronized: the model's generator arguments.

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(self, widths=ENCODER_WIDTHS, scale=1, blocks=0, normalization=True, channel_attention=False,
                 synchronized=False, **kwargs):  # fmt: skip
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        check_whole_numbers("SharpPathway", widths=list(widths), scale=scale)
        check_whole_numbers("SharpPathway", minimum=0, blocks=blocks)
        if len(widths) < 3:
            raise ValueError(f"SharpPathway: widths must be three or more, got {list(widths)}")
        self.settings = {"widths": list(widths), "scale": scale, "blocks": blocks,
                         "normalization": bool(normalization), "channel_attention": bool(channel_attention),
                         "synchronized": bool(synchronized)}  # fmt: skip
        self.encoder = Encoder(3, **self.settings, name="encoder")

    def build(self, input_shape=None):
        """Create all weights."""
        if not self.built:
            self.encoder.build(None)
            self.built = True

    def call(self, images, training=False):
        """Float (N, H, W, 3), RGB in [0, 1], to (code, features of layer 1, features of layer 2)."""
        return self.encoder(images, training=training)

    def get_config(self):
        return {**super().get_config(), **self.settings}
