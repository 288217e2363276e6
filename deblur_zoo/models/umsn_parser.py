"""The segmentation network S-Net of ``umsn`` (Yasarla et al. 2020, section III-A), the part ``parser`` of ``Umsn``.

It follows the authors' published network: its inputs are the image and a half-size copy, its outputs maps of four
classes at both sizes. A dense block at full size; at half, quarter and again half size six blocks with batch
normalisation and smoothed dilated convolutions; a block at full size, read together with a one-channel map of each
earlier block.

Deviations from the paper:
- Figure 3 gives only a sequence, the published network the rest: 6.2 M parameters.
- Softmax over the classes and cross-entropy; the published network ends in four sigmoids.
- ``scale``, ours: the first layers are convolutions of 2*scale pixels and stride ``scale``, the last ones transposed
  convolutions, so that everything between runs at 1/scale of the resolution. For small CPUs.
- ``dilated=False``, ours: plain convolutions, for networks that work on a small scale.
"""

from keras import layers, ops

from deblur_zoo.layers.resampling import double, halve
from deblur_zoo.models.umsn_blocks import SLOPE, DenseBlock, Network, OneChannelMaps, Transition, stem

# The classes in the order of the channels; "components" are brows, eyes, nose, lips and teeth.
CLASS_NAMES = ("background", "skin", "components", "hair")


class SemanticNetwork(Network):
    """S-Net: images to logits of the classes, at full and half size.

    Args:
        width: channels of the blocks (published: 64).
        scale: everything except the first and last layers works at 1/scale of height and width.
        dilated: dilated convolutions in the blocks (published: yes).
        synchronized: batch statistics over all replicas.
    """

    def __init__(self, width=64, scale=1, dilated=True, synchronized=False, **kwargs):
        # Images stay float32 under mixed precision; the blocks cast themselves.
        super().__init__(autocast=False, **kwargs)
        self.scale = scale
        # Down to a quarter of the size.
        self.size_divisor = 4 * scale
        outer = {"dilations": (1, 2, 1) if dilated else (1, 1, 1)}
        inner = {"hidden_width": 4 * width, "dilations": (2, 2) if dilated else (1, 1), "smoothed": dilated,
                 "normalization": "batch", "synchronized": synchronized}  # fmt: skip
        self.stem = self.stem_half = None
        channels = 3
        if scale > 1:
            channels = width // 2
            self.stem = stem(channels, scale, name="stem")
            self.stem_half = stem(channels, scale, name="stem_half")
        growth = max(1, width - channels)
        self.first = DenseBlock(growth, 3 * growth, **outer, name="first")
        self.inner = [DenseBlock(width, **inner) for _ in range(6)]
        self.last_block = DenseBlock(width, 3 * width, **outer, doubled=True, name="last_block")
        self.transitions = [Transition(width) for _ in range(7)]
        last_width = max(1, width // 4)
        self.last_transition = Transition(last_width, name="last_transition")
        self.maps = OneChannelMaps(7, name="maps")
        self.head, self.head_half = (
            layers.Conv2D(last_width, 3, padding="same", name=name) for name in ("head", "head_half")
        )
        # float32, so that probabilities are not rounded to bfloat16 under mixed precision.
        self.logits, self.logits_half = (
            layers.Conv2D(len(CLASS_NAMES), 3, padding="same", dtype="float32", name=name)
            if scale == 1
            else layers.Conv2DTranspose(len(CLASS_NAMES), scale, strides=scale, dtype="float32", name=name)
            for name in ("logits", "logits_half")
        )

    def call(self, images, training=False):
        """Float32 (N, H, W, 3), RGB in [0, 1], H and W multiples of ``size_divisor``, to float32 logits (N, H, W, 4)
        and (N, H / 2, W / 2, 4).
        """
        half = halve(images)
        if self.stem is not None:
            entry, entry_half = self.stem(images), self.stem_half(half)
        else:
            entry, entry_half = images, half
        entry, entry_half = (ops.cast(value, self.compute_dtype) for value in (entry, entry_half))
        run = [lambda x, i=i: self.transitions[i + 1](self.inner[i](x, training=training)) for i in range(5)]
        x1 = halve(self.transitions[0](self.first(entry, training=training)))
        x2 = halve(run[0](ops.concatenate([x1, entry_half], axis=-1)))
        x3 = run[1](x2)
        x4 = run[2](x3)
        x5 = run[3](x4)
        x6 = double(run[4](ops.concatenate([x5, x2], axis=-1)))
        dense = self.inner[5](ops.concatenate([x6, x1], axis=-1), training=training)
        logits_half = self.logits_half(ops.leaky_relu(self.head_half(dense), SLOPE))
        guess = ops.cast(ops.softmax(logits_half, axis=-1), self.compute_dtype)
        if self.scale > 1:
            guess = ops.average_pool(guess, self.scale, strides=self.scale)
        before = self.transitions[6](ops.concatenate([dense, guess], axis=-1))
        x7 = double(before)
        last = self.last_transition(self.last_block(before, training=training))
        maps = self.maps([x7, x6, x5, x4, x3, x2, x1], doublings=(0, 1, 2, 2, 2, 2, 1))
        features = ops.leaky_relu(self.head(ops.concatenate([last, *maps], axis=-1)), SLOPE)
        return self.logits(features), logits_half
