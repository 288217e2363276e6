"""Motion deblurring of faces in two steps (Chrysos, Favaro and Zafeiriou 2019, IJCV; arXiv:1803.03330).

An hourglass restores the low frequencies of the blurred image (section 3.1), then the generator of a conditional GAN
restores the high ones from the blurred image and the hourglass's result (sections 3.2 and 3.3, table 3). In training
the generator has a second pathway, an auto-encoder of sharp images that shares the decoder. Inference uses the
hourglass and the first pathway (figure 4). The full size has 39.8 M parameters, 76 MiB in float16.

Deviations from the paper, and choices that it leaves open:
- The hourglass: see ``hourglass``. Both networks work on images in [0, 1] and end in a linear layer; the paper states
  neither range nor last activation. For 128x128 faces the seven layers of stride 2 lead to 1x1 (256x256: to 2x2). Other
  sizes are mirrored up to multiples of 128.
- A layer of the generator is convolution, ReLU, batch normalisation, in this order (section 5.1), then dropout. Table
  3's "dropout" is the probability of keeping a unit: 0.5 in the first three layers of the decoder.
- "F-Conv" of stride 2 is a transposed convolution. With 1x1 and stride 2, three of four output values are only the
  bias.
- Residual connections start after layers 1, 3 and 5 of the encoder, 1 and 3 of the decoder, and are added two layers
  later. They change resolution and channels: in the encoder by a 1x1 convolution of stride 4, in the decoder by a 1x1
  convolution and repetition. The paper does not say which two layers the U-Net connections join: encoder 1 to decoder 7
  and 2 to 6, which have the same size; they are added, since they "learn the residual between the features".
- The second pathway's encoder is ``SharpPathway``, a separate network added only for training, so that exported files
  do not contain it. The decoder's running statistics are those of the first pathway, the only one used in inference.
- ``scale``, ours: work at 1/scale of the resolution, for small CPUs. ``blocks``, ours: residual blocks as in the
  hourglass after the generator's layers. ``normalization=False``, ours: no batch normalisation.
  ``channel_attention``, ours: gains per channel in the blocks.
- ``image_skip``, ours: the hourglass's output is added to the blurred image, the generator's to the hourglass's result,
  and both start at zero, so a sharp face passes through unchanged from the first step.
- ``filter_width``, ours: filters at full resolution add detail to, or remove it from, the hourglass's result; see
  ``layers.adaptive_filters``.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.layers.mirror_padding import pad_to_multiple
from deblur_zoo.models.deblurrer import Deblurrer, check_whole_numbers, crop
from deblur_zoo.models.hourglass import HourglassNetwork
from deblur_zoo.models.two_step_gan_generator import DECODER_WIDTHS, ENCODER_WIDTHS, Generator


@keras.saving.register_keras_serializable("deblur_zoo")
class TwoStepGan(Deblurrer):
    """Hourglass and generator. The defaults are the paper's.

    ``model.hourglass`` and ``model.generator`` are the parts that a training stage can freeze; None if the model lacks
    the part. Frozen parts normalise by their running statistics, in training too.

    Args:
        hourglass_network: False: the generator sees only the blurred image (table 4, "cGAN-noHG").
        generator_network: False: only the hourglass (table 4, "HG-disc").
        hourglass_widths: channels of the hourglass's first convolution and of the residual blocks after it; the last
            is the width of the hourglass.
        hourglass_levels: number of poolings (Newell et al.: 4).
        hourglass_blocks: residual blocks at each point of the hourglass (Newell et al.: 1).
        first_kernel: side of the hourglass's first convolution in pixels (Newell et al.: 7); None: 3*scale.
        encoder_widths: channels of the generator's encoder (table 3), three layers or more.
        decoder_widths: channels of its decoder without the last layer, one fewer than the encoder's. The last two are
            the encoder's first two, reversed.
        generator_blocks: residual blocks after each layer of the generator (paper: 0).
        keep_probability: of a unit in the decoder's first three layers, in training (table 3: 0.5). 1: no dropout.
        scale: all layers work at 1/scale of height and width (paper: 1).
        normalization: batch normalisation (paper: yes).
        channel_attention: gains per channel in the residual blocks (paper: no).
        image_skip: add a network's output to the image that it refines (paper: no).
        filter_width: channels that choose the strength of the generator's adaptive filters; 0: no filters (paper).
        synchronized: compute batch statistics over all replicas.

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(
        self,
        hourglass_network: bool = True,
        generator_network: bool = True,
        hourglass_widths: Sequence[int] = (64, 128, 128, 256),
        hourglass_levels: int = 4,
        hourglass_blocks: int = 1,
        first_kernel: int | None = 7,
        encoder_widths: Sequence[int] = ENCODER_WIDTHS,
        decoder_widths: Sequence[int] = DECODER_WIDTHS,
        generator_blocks: int = 0,
        keep_probability: float = 0.5,
        scale: int = 1,
        normalization: bool = True,
        channel_attention: bool = False,
        image_skip: bool = False,
        filter_width: int = 0,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts: dict[str, Any] = {
            "hourglass_widths": list(hourglass_widths),
            "hourglass_blocks": hourglass_blocks,
            "encoder_widths": list(encoder_widths),
            "decoder_widths": list(decoder_widths),
            "scale": scale,
        }
        check_whole_numbers("TwoStepGan", **counts)
        if first_kernel is not None:
            check_whole_numbers("TwoStepGan", first_kernel=first_kernel)
        check_whole_numbers(
            "TwoStepGan", minimum=0, hourglass_levels=hourglass_levels, generator_blocks=generator_blocks,
            filter_width=filter_width,
        )  # fmt: skip
        _check_widths(counts["encoder_widths"], counts["decoder_widths"])
        if not 0 < keep_probability <= 1:
            raise ValueError(f"TwoStepGan: keep_probability must be above 0 and at most 1, got {keep_probability!r}")
        if not (hourglass_network or generator_network):
            raise ValueError("TwoStepGan: at least one of hourglass_network and generator_network must be true")
        shared = {"normalization": bool(normalization), "channel_attention": bool(channel_attention),
                  "synchronized": bool(synchronized)}  # fmt: skip
        self.settings: dict[str, Any] = {
            "hourglass_network": bool(hourglass_network),
            "generator_network": bool(generator_network),
            **counts,
            "hourglass_levels": hourglass_levels,
            "first_kernel": first_kernel,
            "generator_blocks": generator_blocks,
            "keep_probability": float(keep_probability),
            "image_skip": bool(image_skip),
            "filter_width": filter_width,
            **shared,
        }
        self.hourglass = self.generator = None
        self.size_divisor = 1
        if hourglass_network:
            self.hourglass = HourglassNetwork(
                hourglass_widths, hourglass_levels, hourglass_blocks, first_kernel, scale, image_skip=image_skip,
                **shared, name="hourglass",
            )  # fmt: skip
            self.size_divisor = self.hourglass.size_divisor
        if generator_network:
            self.generator = Generator(
                6 if hourglass_network else 3, encoder_widths, decoder_widths, keep_probability, image_skip,
                {"scale": scale, "blocks": generator_blocks, **shared}, filter_width, name="generator",
            )  # fmt: skip
            # Every encoder layer except the first halves the size.
            self.size_divisor = math.lcm(self.size_divisor, scale * 2 ** (len(encoder_widths) - 1))

    def restore(self, images: Tensor, training: bool = False) -> Tensor:
        return self._outputs(images, training)["restored"]

    def training_outputs(self, images: Tensor, training: bool = True) -> dict[str, Tensor]:
        """Inputs of the losses of both stages.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1].
            training: normalise by the batch's statistics, in parts that are not frozen, and apply dropout.

        Returns:
            dict of float32 tensors (N, H, W, 3), not clipped: "restored" and, with an hourglass, "hourglass".
        """
        images = ops.cast(images, "float32")
        outputs = self._outputs(pad_to_multiple(images, self.size_divisor), training)
        return {name: crop(value, images) for name, value in outputs.items()}

    def _outputs(self, images: Tensor, training: bool) -> dict[str, Tensor]:
        """``training_outputs`` for a divisible size."""
        outputs = {}
        if self.hourglass is not None:
            outputs["hourglass"] = self.hourglass(images, training=training)
        if self.generator is None:
            return {**outputs, "restored": outputs["hourglass"]}
        inputs = ops.concatenate([images, *outputs.values()], axis=-1)
        restored = self.generator(inputs, training=training)
        if self.settings["image_skip"]:
            restored = restored + outputs.get("hourglass", images)
        return {**outputs, "restored": restored}

    def reconstruct(self, pathway: Any, images: Tensor, training: bool = True) -> Tensor:
        """G_s of the paper: encode sharp images with ``pathway`` and decode them with the shared decoder.

        Args:
            pathway: ``SharpPathway`` of the same widths.
            images: float (N, H, W, 3), RGB in [0, 1].
            training: as in ``training_outputs``. The decoder's running statistics are not updated.

        Returns:
            float32 (N, H, W, 3), not clipped.

        Raises:
            ValueError: the model has no generator, or its decoder does not output images.
        """
        if self.generator is None or self.settings["image_skip"]:
            raise ValueError(
                "TwoStepGan reconstructs sharp images only with a generator whose decoder outputs images: "
                "generator_network must be true and image_skip false"
            )
        images = ops.cast(images, "float32")
        decoder = self.generator.decoder
        codes = pathway(pad_to_multiple(images, self.size_divisor), training=training)
        statistics = decoder.non_trainable_weights if decoder.trainable else []
        # Copies, since the variables themselves will change.
        before = [ops.copy(weight) for weight in statistics]
        decoded = decoder(*codes, training=training)
        for weight, value in zip(statistics, before, strict=True):
            weight.assign(value)
        return crop(decoded, images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


def _check_widths(encoder, decoder):
    if len(encoder) < 3 or len(decoder) != len(encoder) - 1 or decoder[-2:] != encoder[1::-1]:
        raise ValueError(
            "TwoStepGan: encoder_widths must be three or more, decoder_widths one fewer, ending in the encoder's first "
            f"two, reversed; got {encoder} and {decoder}"
        )
