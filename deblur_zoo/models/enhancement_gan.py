"""Blind face images deblurring with enhancement (Qi, Guo, Li and Xiao 2020, Multimedia Tools and Applications).

The generator (section 3.3, figure 2a) is a U-Net in two steps. The first encoder and decoder have residual-in-recurrent
residual blocks (RRRB). Their full-resolution features enter the enhancement module: a dense-in-residual dense blocks
unit (DRDBU), then a second encoder and decoder with ResBlocks. A convolution and tanh produce the image. Internally,
images are in [-1, 1]. The defaults have 34,996,355 parameters and 46.8 GMAC at 128x128.

Deviations from the paper:
- Channel counts are given only in figure 2, which we could not read: 32 at full resolution, doubled on each of three
  levels. A first convolution of stride 1 produces the 32; the text names only those that halve, which cannot double 3.
- Kernels are 3x3, those of transposed convolutions 4x4. Instance normalisation and ReLU follow every convolution except
  the first, the DRDBU's and the last. The first has none, and skips carry its features to the last: otherwise the
  image's colour and contrast would be lost. The DRDBU has none, as in ESRGAN, the source of its RRDBs.
- Skips are sums of a level's encoder input and its decoder output.
- A recurrent residual block is x plus two recurrent convolutions (Alom et al. 2018), and an RRRB adds its input to two
  of them. "Recycles twice": h = f(x), f(x + h), f(x + h), f one convolution, normalisation and ReLU.
- The text's "three RRRB blocks" in the DRDBU are read as RRDBs (section 4.1 says so), each of three dense blocks of
  five convolutions (ESRGAN). Dense between the RRDBs: all outputs so far, merged by a 1x1 convolution.
- Table 2 says what replaces an omitted ResBlock: two convolutions. The same replaces an RRRB; DRDBU and enhancement
  module are removed.
- ``normalization=None``, ours: convolutions with biases; an RRRB then averages its input and blocks instead of adding
  them. For small networks: instance normalisation removes each channel's scale, which holds most of the contrast.
- ``scale``, ours: all layers work at 1/scale of the resolution, between a first convolution of stride ``scale`` and a
  last transposed convolution of ``scale`` pixels. For small CPUs.
- ``channel_attention``, ours: gains per channel on the residuals of recurrent residual blocks, ResBlocks and dense
  blocks.
- ``image_skip``, ours: tanh's result is added to the blurred image, and the last convolution starts at zero, so a sharp
  face passes through unchanged from the first step.
- ``filter_width``, ours: filters at full resolution add or remove detail; see ``layers.adaptive_filters``.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.layers.adaptive_filters import AdaptiveFilters
from deblur_zoo.models.deblurrer import Deblurrer, check_whole_numbers
from deblur_zoo.models.enhancement_gan_blocks import (
    DRDBU,
    NORMALIZATIONS,
    RRRB,
    ConvolutionGroup,
    ResBlock,
    TwoConvolutions,
    variance_scaling,
)


class EncoderDecoder(layers.Layer):
    """A U-Net: each level halves and runs its blocks; on the way up it runs others, doubles, and adds the level's
    input.

    Args:
        widths: channels of the input and of each level.
        block: function of a width that returns a block.
        blocks: number of blocks on each side of a level.
        group: dict of ``ConvolutionGroup``'s normalization and leaky_slope.
    """

    def __init__(self, widths, block, blocks, group, **kwargs):
        super().__init__(**kwargs)
        self.widths = list(widths)
        levels = self.widths[1:]
        self.down = [ConvolutionGroup(width, strides=2, **group) for width in levels]
        self.encoders = [[block(width) for _ in range(blocks)] for width in levels]
        self.decoders = [[block(width) for _ in range(blocks)] for width in levels]
        self.up = [ConvolutionGroup(width, 4, strides=2, transposed=True, **group) for width in self.widths[:-1]]

    def build(self, input_shape):
        for i, width in enumerate(self.widths[1:]):
            self.down[i].build((None, None, None, self.widths[i]))
            for layer in [*self.encoders[i], *self.decoders[i], self.up[i]]:
                layer.build((None, None, None, width))

    def call(self, features):
        """Features (N, H, W, C), H and W multiples of 2 ** levels, to the same shape."""
        skips = []
        for down, blocks in zip(self.down, self.encoders, strict=True):
            skips.append(features)
            features = down(features)
            for block in blocks:
                features = block(features)
        for up, blocks, skip in zip(self.up[::-1], self.decoders[::-1], skips[::-1], strict=True):
            for block in blocks:
                features = block(features)
            features = up(features) + skip
        return features


@keras.saving.register_keras_serializable("deblur_zoo")
class EnhancementGan(Deblurrer):
    """The generator. The defaults are the paper's where it states them.

    ``model.first``, ``model.coarse`` (first encoder and decoder), ``model.enhancement`` (DRDBU and second encoder and
    decoder) and ``model.last`` are the parts that a training stage can name.

    Args:
        widths: channels at full resolution and at each level below it (paper: doubled from level to level).
        blocks: RRRBs on each side of a level of the first encoder-decoder (paper: 3).
        enhancement_blocks: ResBlocks on each side of a level of the second; None: as many as ``blocks``.
        recurrences: how many more times a recurrent convolution is applied (paper: 2).
        growth: channels that each dense convolution adds (paper: 8).
        dense_depth: convolutions of a dense block (ESRGAN: 5).
        dense_blocks: dense blocks of an RRDB (ESRGAN: 3).
        dense_units: RRDBs (paper: 3).
        residual_scale: factor of the DRDBU's residuals (paper: 0.2).
        enhancement_module, dense_unit, recurrent_blocks, residual_blocks: False is a row of table 2: without the
            enhancement module, the DRDBU, the RRRBs, the ResBlocks.
        normalization: "instance" (paper) or None.
        leaky_slope: slope of the ReLUs outside the DRDBU for negative values (paper: 0).
        scale: all layers work at 1/scale of height and width (paper: 1).
        image_skip: add the network's output to the blurred image (paper: no).
        channel_attention: gains per channel in the repeated blocks (paper: no).
        filter_width: channels that choose the strength of adaptive filters; 0: no filters (paper).

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256),
        blocks: int = 3,
        enhancement_blocks: int | None = None,
        recurrences: int = 2,
        growth: int = 8,
        dense_depth: int = 5,
        dense_blocks: int = 3,
        dense_units: int = 3,
        residual_scale: float = 0.2,
        enhancement_module: bool = True,
        dense_unit: bool = True,
        recurrent_blocks: bool = True,
        residual_blocks: bool = True,
        normalization: str | None = "instance",
        leaky_slope: float = 0.0,
        scale: int = 1,
        image_skip: bool = False,
        channel_attention: bool = False,
        filter_width: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts: dict[str, Any] = {
            "widths": list(widths),
            "blocks": blocks,
            "growth": growth,
            "dense_depth": dense_depth,
            "dense_blocks": dense_blocks,
            "dense_units": dense_units,
            "scale": scale,
        }
        check_whole_numbers("EnhancementGan", **counts)
        check_whole_numbers("EnhancementGan", minimum=0, recurrences=recurrences, filter_width=filter_width)
        if enhancement_blocks is not None:
            check_whole_numbers("EnhancementGan", enhancement_blocks=enhancement_blocks)
        if len(counts["widths"]) < 2:
            raise ValueError(f"EnhancementGan: widths must have full resolution and at least one level, got {widths!r}")
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"EnhancementGan: normalization must be 'instance' or None, got {normalization!r}")
        switches = {"enhancement_module": enhancement_module, "dense_unit": dense_unit,
                    "recurrent_blocks": recurrent_blocks, "residual_blocks": residual_blocks,
                    "image_skip": image_skip, "channel_attention": channel_attention}  # fmt: skip
        self.settings: dict[str, Any] = {
            **counts,
            "recurrences": recurrences,
            "enhancement_blocks": enhancement_blocks,
            "residual_scale": float(residual_scale),
            "normalization": normalization,
            "leaky_slope": float(leaky_slope),
            "filter_width": filter_width,
            **{name: bool(value) for name, value in switches.items()},
        }
        self.size_divisor = scale * 2 ** (len(counts["widths"]) - 1)
        group = {"normalization": normalization, "leaky_slope": float(leaky_slope)}

        def recurrent(width):
            return RRRB(width, recurrences, group, channel_attention) if recurrent_blocks else plain(width)

        def residual(width):
            return ResBlock(width, group, channel_attention) if residual_blocks else plain(width)

        def plain(width):
            return TwoConvolutions(width, group)

        self.first = layers.Conv2D(
            widths[0], 3 * scale, strides=scale, padding="same", kernel_initializer=variance_scaling(2.0), name="first"
        )
        self.coarse = EncoderDecoder(widths, recurrent, blocks, group, name="coarse")
        self.enhancement = []
        if enhancement_module:
            if dense_unit:
                dense = {"growth": growth, "depth": dense_depth, "scale": float(residual_scale),
                         "channel_attention": bool(channel_attention)}  # fmt: skip
                self.enhancement.append(DRDBU(widths[0], dense_units, dense_blocks, dense, name="dense_unit"))
            self.enhancement.append(
                EncoderDecoder(widths, residual, enhancement_blocks or blocks, group, name="refinement")
            )
        last = {"kernel_initializer": "zeros" if image_skip else "glorot_uniform", "name": "last"}
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        if scale == 1:
            self.last = layers.Conv2D(3, 3, padding="same", dtype="float32", **last)
        else:
            self.last = layers.Conv2DTranspose(3, scale, strides=scale, dtype="float32", **last)
        self.filters = AdaptiveFilters(filter_width, scale, name="filters") if filter_width else None

    def restore(self, images: Tensor, training: bool = False) -> Tensor:
        features = self.coarse(ops.relu(self.first(2.0 * images - 1.0)))
        for part in self.enhancement:
            features = part(features)
        # [-1, 1] to [0, 1], where an addition is half as large.
        restored = 0.5 * ops.tanh(self.last(features))
        if self.filters is not None:
            restored = restored + self.filters(images, features)
        return restored + (images if self.settings["image_skip"] else 0.5)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
