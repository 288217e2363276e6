"""Face parsing network P of "Deep Semantic Face Deblurring" (Shen et al. 2020), alone as a preset of kind "parser".

Section 3.2 and figure 3: an encoder-decoder with skip connections. Six 3x3 convolutions (the third 5x5) with batch
normalisation and ReLU, 2x2 max-pooling after the first five; five decoder steps of a 4x4 transposed convolution with
stride 2, a 3x3 convolution, batch normalisation and ReLU, plus the encoder's features of that scale; a last 3x3
convolution produces the class logits.

Deviations from the paper:
- 11 classes, as in its channel counts and table 3; the text's "14" contradicts both.
- Widths are not stated. The default ones give the published 2.94 M parameters within 1 % (table 8 minus Gf).
- Convolutions before a normalisation have no bias, which it would cancel; nor has the transposed convolution, whose
  bias
  would pass through the next convolution into the same normalisation.
- ``scale``, ours: the first convolution has 3*scale pixels and stride ``scale``, the last is a transposed convolution
  of ``scale`` pixels, so that everything between runs at 1/scale of the resolution. For small CPUs.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.face_classes import CLASS_NAMES
from deblur_zoo.layers.mirror_padding import pad_to_multiple
from deblur_zoo.models.deblurrer import check_whole_numbers, crop
from deblur_zoo.models.parser import Parser

# 2,950,091 parameters.
WIDTHS: tuple[int, ...] = (32, 64, 96, 160, 160, 256)


class ParsingNetwork(layers.Layer):
    """Images to class logits.

    Args:
        widths: channels of the encoder's convolutions, one per scale; the decoder has the same.
        scale: everything except the first and last layer works at 1/scale of height and width.
        synchronized: batch statistics over all replicas (TensorFlow), for small batches per replica.
    """

    def __init__(self, widths=WIDTHS, scale=1, synchronized=False, **kwargs):
        super().__init__(**kwargs)
        self.widths, self.scale = tuple(widths), scale
        self.size_divisor = scale * 2 ** (len(self.widths) - 1)

        def convolution(width, size, stride=1):
            return layers.Conv2D(
                width, size, strides=stride, padding="same", use_bias=False, kernel_initializer="he_normal"
            )

        def normalisation():
            return layers.BatchNormalization(synchronized=synchronized)

        self.encoder = [
            convolution(width, 3 * scale if i == 0 else 5 if i == 2 else 3, scale if i == 0 else 1)
            for i, width in enumerate(self.widths)
        ]
        self.encoder_normalisations = [normalisation() for _ in self.widths]
        decoder_widths = self.widths[-2::-1]
        self.upsamplings = [
            layers.Conv2DTranspose(width, 4, strides=2, padding="same", use_bias=False) for width in decoder_widths
        ]
        self.decoder = [convolution(width, 3) for width in decoder_widths]
        self.decoder_normalisations = [normalisation() for _ in decoder_widths]
        # float32, so that probabilities are not rounded to bfloat16 under mixed precision.
        if scale == 1:
            self.last = layers.Conv2D(len(CLASS_NAMES), 3, padding="same", dtype="float32", name="last")
        else:
            self.last = layers.Conv2DTranspose(len(CLASS_NAMES), scale, strides=scale, dtype="float32", name="last")

    def build(self, input_shape):
        channels = input_shape[-1]
        for width, convolution, normalisation in zip(
            self.widths, self.encoder, self.encoder_normalisations, strict=True
        ):
            convolution.build((None, None, None, channels))
            normalisation.build((None, None, None, width))
            channels = width
        for width, *steps in zip(
            self.widths[-2::-1], self.upsamplings, self.decoder, self.decoder_normalisations, strict=True
        ):
            upsampling, convolution, normalisation = steps
            upsampling.build((None, None, None, channels))
            convolution.build((None, None, None, width))
            normalisation.build((None, None, None, width))
            channels = width
        self.last.build((None, None, None, channels))

    def call(self, images, training=False):
        """Float (N, H, W, 3), RGB in [0, 1], H and W multiples of ``size_divisor``, to float32 logits (N, H, W, 11)."""
        features, skips = images, []
        for convolution, normalisation in zip(self.encoder, self.encoder_normalisations, strict=True):
            if skips:
                features = ops.max_pool(features, 2, strides=2)
            features = ops.relu(normalisation(convolution(features), training=training))
            skips.append(features)
        for upsampling, convolution, normalisation, skip in zip(
            self.upsamplings, self.decoder, self.decoder_normalisations, skips[-2::-1], strict=True
        ):
            features = ops.relu(normalisation(convolution(upsampling(features)), training=training)) + skip
        return self.last(features)


@keras.saving.register_keras_serializable("deblur_zoo")
class FaceParser(Parser):
    """Labels every pixel of a face with one of ``CLASS_NAMES``. ``SemanticFace.parser`` is the same network, so that
    ``semantic_face.parser.set_weights(face_parser.parser.get_weights())`` transfers the weights.

    Args:
        widths: channels by scale; see ``ParsingNetwork``.
        scale: the network works at 1/scale of height and width (paper: 1).
        synchronized: batch statistics over all replicas.

    Raises:
        ValueError: invalid arguments.
    """

    class_names = CLASS_NAMES

    def __init__(
        self, widths: Sequence[int] = WIDTHS, scale: int = 1, synchronized: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_whole_numbers("FaceParser", widths=widths, scale=scale)
        self.settings = {"widths": list(widths), "scale": scale, "synchronized": bool(synchronized)}
        self.parser = ParsingNetwork(widths, scale, synchronized, name="parser")
        self.size_divisor = self.parser.size_divisor

    def build(self, input_shape: Any = None) -> None:
        """Create all weights."""
        if not self.built:
            self.parser.build((None, None, None, 3))
            self.built = True

    def training_outputs(self, images: Tensor, training: bool = True) -> dict[str, Tensor]:
        """Inputs of the parsing loss: ``{"parsing_logits": float32 (N, H, W, 11)}``. Arguments as for calling it."""
        images = ops.cast(images, "float32")
        logits = self.parser(pad_to_multiple(images, self.size_divisor), training=training)
        return {"parsing_logits": crop(logits, images)}
