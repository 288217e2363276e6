"""Uncertainty guided multi-stream semantic networks (Yasarla, Perazzi and Patel 2020, arXiv:1907.13106).

S-Net outputs maps of four classes (``umsn_parser``). Four F-Nets, one per class, take the blurred image and their
class's map; B-Net takes the blurred image, all maps and the F-Nets' features. B-Net's result is subtracted from a
feature of its inputs, and that from the blurred image (nested residual learning). The blocks are in ``umsn_blocks``.

Used only in training: heads that turn the F-Nets' features into images, and the confidence network:
``umsn_confidence``.

Deviations from the paper:
- Appendix A's sequences differ from the network that the authors published. We follow the published one in blocks,
  widths and connections: B-Net has eight blocks, its first and last at full size and the others at half size, an F-Net
  four. One more block merges the F-Nets' features. F-Nets concatenate their map with the image, not multiply them.
- The image is mapped from [0, 1] to [-1, 1] internally, for the heads' tanh, and back.
- The half-size residual, an input of the last block, has a head that turns it into an image, for training.
- ``scale``, ours: the first convolution of a network has 2*scale pixels and stride ``scale``, the last is a transposed
  convolution, and everything between runs at 1/scale of the resolution. This and the following are for small CPUs.
- ``pooled=False``, ours: no half size; all blocks work at the size of the first.
- ``dilated=False``, ours: plain convolutions, for networks that work on a small scale.
- ``normalization=None``, ours: instance normalisation removes each image's contrast, which blur changes. Without it
  convolutions have biases, and transitions are linear and start by passing on the input of their block.
- ``one_channel_maps=False``, ours: the head reads only the last block's features.
- ``channel_attention``, ours: gains per channel in the blocks of B-Net, before the last convolution.
- ``image_skip``, ours: the residual has no tanh and no further head, and starts at zero, so a sharp face passes through
  unchanged from the first step.
- ``filter_width``, ours: filters at full resolution add or remove detail; see ``layers.adaptive_filters``.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.layers.adaptive_filters import AdaptiveFilters
from deblur_zoo.layers.mirror_padding import pad_to_multiple
from deblur_zoo.layers.resampling import halve
from deblur_zoo.models.deblurrer import Deblurrer, check_whole_numbers, crop
from deblur_zoo.models.umsn_blocks import (
    DenseBlock,
    Network,
    OneChannelMaps,
    Transition,
    block_parts,
    dense_parts,
    stem,
)
from deblur_zoo.models.umsn_heads import Doubling, ImageOutput, NestedDifference
from deblur_zoo.models.umsn_parser import CLASS_NAMES, SemanticNetwork

CLASSES = len(CLASS_NAMES)


class FeatureNetwork(Network):
    """F-Net: an image and a class's map, (N, H, W, 4), to ``feature_width`` features of half the scale's size.

    Args:
        settings: dict of Umsn's arguments.
    """

    def __init__(self, settings, **kwargs):
        super().__init__(**kwargs)
        self.pooled, scale = settings["pooled"], settings["scale"]
        width, count = settings["feature_width"], settings["feature_blocks"]
        common = {"normalization": settings["normalization"]}
        dilated = {"dilations": (1, 2, 2), "smoothed": True} if settings["dilated"] else {}
        channels = width if scale > 1 else 4
        growth = max(1, 2 * width - channels)
        self.stem = stem(channels, scale, settings["normalization"] is None, name="stem") if scale > 1 else None
        self.first = DenseBlock(growth, 3 * growth, **common, name="first")
        self.blocks = [DenseBlock(width, 3 * width, **dilated, **common) for _ in range(count)]
        self.transitions = [Transition(width, **common) for _ in range(count + 1)]

    def input_parts(self):
        """Concatenated inputs, for ``trainers.runs.widening``."""
        channels, width = 4 if self.stem is None else self.stem.filters, self.transitions[0].convolution.filters
        parts = dense_parts("first", "transitions/0", [channels], self.first.convolutions[-1].filters)
        for i in range(len(self.blocks)):
            inputs = [width] * (2 if 0 < i == len(self.blocks) - 1 else 1)
            parts |= dense_parts(f"blocks/{i}", f"transitions/{i + 1}", inputs, width)
        return parts

    def call(self, inputs):
        features = inputs if self.stem is None else self.stem(inputs)
        first = self.transitions[0](self.first(features))
        first = features = halve(first) if self.pooled else first
        for i, block in enumerate(self.blocks):
            if i and i == len(self.blocks) - 1:
                features = ops.concatenate([features, first], axis=-1)
            features = self.transitions[i + 1](block(features))
        return features


class FeatureNetworks(Network):
    """The F-Nets of all classes, listed in ``networks``."""

    def __init__(self, settings, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.networks = [FeatureNetwork(settings, name=f"of_{name}") for name in CLASS_NAMES]

    def call(self, inputs):
        """From a list of inputs (N, H, W, 4), image and map, one per class, to the list of their features."""
        return [network(each) for network, each in zip(self.networks, inputs, strict=True)]


class BaseNetwork(Network):
    """B-Net: from the image, the maps and the F-Nets' features to the residuals to subtract from the image.

    Args:
        settings: dict of Umsn's arguments.
    """

    def __init__(self, settings, **kwargs):
        # Images stay float32 under mixed precision; the blocks cast themselves.
        super().__init__(autocast=False, **kwargs)
        self.settings = settings
        width, growth, scale = settings["width"], settings["growth"] or settings["width"], settings["scale"]
        hidden = settings["hidden_width"] or 3 * growth
        common = {"normalization": settings["normalization"]}
        dense = {**common, "channel_attention": settings["channel_attention"]}
        one = {"dilations": (1, 2, 1)} if settings["dilated"] else {}
        both = {"dilations": (1, 2, 2), "smoothed": True} if settings["dilated"] else {}
        channels = 3 + CLASSES * settings["semantic_maps"]
        self.stem = self.stem_half = None
        if scale > 1:
            channels = max(1, width - growth)
            use_bias = settings["normalization"] is None
            self.stem = stem(channels, scale, use_bias, name="stem")
            if settings["pooled"]:
                self.stem_half = stem(channels, scale, use_bias, name="stem_half")
        first_growth = max(1, width - channels)
        # Intermediate channels in proportion to the narrower block.
        self.first = DenseBlock(first_growth, max(1, hidden * first_growth // growth), **dense, name="first")
        self.first_transition = Transition(width // 2, **common, name="first_transition")
        self.merge = None
        if settings["feature_networks"]:
            half = width // 2
            merged = max(1, min(hidden, hidden * half // growth))
            self.merge = DenseBlock(half, merged, dilations=(1, 1), dense=False, **common, name="merge")
        self.blocks = [
            DenseBlock(growth, hidden, **(one if i in (0, settings["blocks"] + 1) else both), **dense)
            for i in range(settings["blocks"] + 2)
        ]
        self.transitions = [Transition(width, **common) for _ in range(settings["blocks"] + 1)]
        self.doubling = Doubling(width, settings["pooled"], **common, name="doubling")
        self.last = DenseBlock(growth, hidden, **dense, name="last")
        last_width = settings["last_width"]
        self.last_transition = Transition(last_width, **common, name="last_transition")
        self.maps = OneChannelMaps(settings["blocks"] + 3, name="maps") if settings["one_channel_maps"] else None
        nested = settings["nested_residuals"]
        self.difference = NestedDifference(last_width, scale, nested, name="difference")
        self.difference_half = None
        if settings["pooled"]:
            self.difference_half = NestedDifference(last_width, scale, nested, name="difference_half")
        self.output_head = ImageOutput(scale, settings["image_skip"], name="output_head")
        self.filters = None
        if settings["filter_width"]:
            self.filters = AdaptiveFilters(settings["filter_width"], scale, name="filters")

    def input_parts(self):
        """Concatenated inputs, for ``trainers.runs.widening``. Only without a half size and one-channel maps."""
        settings, width = self.settings, self.settings["width"]
        if settings["pooled"] or settings["one_channel_maps"]:
            return {}
        growth = self.last.convolutions[-1].filters
        entry = self.stem.filters if self.stem is not None else 3 + CLASSES * settings["semantic_maps"]
        parts = dense_parts("first", "first_transition", [entry], self.first.convolutions[-1].filters)
        beside = [width // 2]
        if self.merge is not None:
            parts |= block_parts("merge", CLASSES * [settings["feature_width"]])
            beside = 2 * beside
        for i in range(len(self.transitions)):
            parts |= dense_parts(f"blocks/{i}", f"transitions/{i}", [width] if i else beside, growth)
        parts |= dense_parts(f"blocks/{len(self.transitions)}", "doubling/transition", [width, *beside], growth)
        return parts | dense_parts("last", "last_transition", [width, entry], growth)

    def call(self, images, maps, features):
        """Residuals for ``output_head.image``.

        Args:
            images: float32 (N, H, W, 3), RGB in [0, 1], of a divisible size.
            maps: float32 (N, H, W, 4), or None.
            features: list of the F-Nets' features, or None.

        Returns:
            float32 (N, H, W, 3), and (N, H / 2, W / 2, 3) or None.
        """
        doublings = int(self.settings["pooled"])
        images = 2 * images - 1
        inputs = images if maps is None else ops.concatenate([images, maps], axis=-1)
        entry = inputs if self.stem is None else self.stem(inputs)
        entry = ops.cast(entry, self.compute_dtype)
        first = self.first_transition(self.first(entry))
        beside, half = [halve(first) if doublings else first], []
        if doublings:
            images_half = halve(images)
            small = images_half if self.stem_half is None else self.stem_half(images_half)
            half = [ops.cast(small, self.compute_dtype)]
        if self.merge is not None:
            beside.append(self.merge(ops.concatenate(features, axis=-1)))
        found = [ops.concatenate(beside, axis=-1)]
        hidden = ops.concatenate([*beside, *half], axis=-1)
        for block, transition in zip(self.blocks[:-1], self.transitions, strict=True):
            hidden = transition(block(hidden))
            found.append(hidden)
        dense = self.blocks[-1](ops.concatenate([hidden, *beside], axis=-1))
        residual_half, guess = None, []
        if doublings:
            residual_half = self.output_head(self.difference_half(images_half, dense))
            scale = self.settings["scale"]
            guess = residual_half if scale == 1 else ops.average_pool(residual_half, scale, strides=scale)
            guess = [ops.cast(guess, self.compute_dtype)]
        hidden = self.doubling(ops.concatenate([dense, *guess], axis=-1))
        last = [self.last_transition(self.last(ops.concatenate([hidden, entry], axis=-1)))]
        if self.maps is not None:
            last += self.maps([hidden, *reversed(found)], doublings=[0] + [doublings] * len(found))
        read = ops.concatenate(last, axis=-1)
        residual = self.output_head(self.difference(inputs, read))
        if self.filters is not None:
            residual = residual - self.filters(images, read)
        return residual, residual_half


@keras.saving.register_keras_serializable("deblur_zoo")
class Umsn(Deblurrer):
    """S-Net, F-Nets and B-Net. The defaults are the published network's.

    ``model.parser``, ``model.feature_networks`` and ``model.base`` are the parts that a training stage can freeze; None
    if the model lacks the part. A frozen parser normalises by its running statistics, in training too.

    Args:
        width: channels of B-Net between its blocks (published: 64).
        growth: channels that a block of B-Net adds; None: ``width``.
        hidden_width: channels of the convolutions inside these blocks; None: three times the growth. Table VI uses it
            to compensate for omitted parts. Other blocks scale it in proportion to their growth.
        blocks: blocks of B-Net between the second and the last but one (published: 4).
        last_width: channels of the features that the head reads (published: 16).
        feature_width: channels of an F-Net (published: 16).
        feature_blocks: blocks of an F-Net after the first (published: 3).
        scale: everything except the first and last layers works at 1/scale of height and width (published: 1).
        pooled: B-Net and F-Nets work at half size after their first block (published: yes).
        dilated: smoothed dilated convolutions (published: yes).
        normalization: "instance" (published) or None; of B-Net and F-Nets.
        one_channel_maps: B-Net's head also reads a one-channel map of each block (published: yes).
        channel_attention: gains per channel in B-Net's blocks (published: no).
        image_skip: the residual starts at zero and is not refined (published: no).
        filter_width: channels that choose the strength of adaptive filters; 0: no filters (published).
        semantic_maps: use S-Net and its maps (table VI also measures without).
        feature_networks: use F-Nets, which need ``semantic_maps`` (table VI also measures without).
        nested_residuals: subtract B-Net's features from a feature of its inputs (table VI also measures without).
        parser_width: channels of S-Net (published: 64).
        synchronized: compute the parser's batch statistics over all replicas.

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(
        self,
        width: int = 64,
        growth: int | None = None,
        hidden_width: int | None = None,
        blocks: int = 4,
        last_width: int = 16,
        feature_width: int = 16,
        feature_blocks: int = 3,
        scale: int = 1,
        pooled: bool = True,
        dilated: bool = True,
        normalization: str | None = "instance",
        one_channel_maps: bool = True,
        channel_attention: bool = False,
        image_skip: bool = False,
        filter_width: int = 0,
        semantic_maps: bool = True,
        feature_networks: bool = True,
        nested_residuals: bool = True,
        parser_width: int = 64,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts: dict[str, Any] = {
            "blocks": blocks,
            "last_width": last_width,
            "feature_width": feature_width,
            "feature_blocks": feature_blocks,
            "scale": scale,
            "parser_width": parser_width,
        }
        optional = {"growth": growth, "hidden_width": hidden_width}
        check_whole_numbers("Umsn", **counts)
        check_whole_numbers("Umsn", minimum=2, width=width)
        check_whole_numbers("Umsn", minimum=0, filter_width=filter_width)
        check_whole_numbers("Umsn", **{key: value for key, value in optional.items() if value is not None})
        if normalization not in ("instance", None):
            raise ValueError(f"Umsn: normalization must be 'instance' or None, got {normalization!r}")
        if feature_networks and not semantic_maps:
            raise ValueError("Umsn: feature_networks need semantic_maps")
        flags = {"pooled": pooled, "dilated": dilated, "one_channel_maps": one_channel_maps,
                 "channel_attention": channel_attention, "image_skip": image_skip, "semantic_maps": semantic_maps,
                 "feature_networks": feature_networks, "nested_residuals": nested_residuals,
                 "synchronized": synchronized}  # fmt: skip
        self.settings: dict[str, Any] = {
            "width": width,
            **counts,
            **optional,
            "filter_width": filter_width,
            "normalization": normalization,
            **{name: bool(value) for name, value in flags.items()},
        }
        self.parser: Any = None
        self.feature_networks: Any = None
        self.size_divisor = scale * (1 + self.settings["pooled"])
        if semantic_maps:
            self.parser = SemanticNetwork(parser_width, scale, dilated, synchronized, name="parser")
            # A multiple of the above.
            self.size_divisor = self.parser.size_divisor
        if feature_networks:
            self.feature_networks = FeatureNetworks(self.settings, name="feature_networks")
        self.base = BaseNetwork(self.settings, name="base")

    def restore(self, images: Tensor, training: bool = False) -> Tensor:
        maps = None
        if self.parser is not None:
            maps = ops.softmax(self.parser(images, training=training)[0], axis=-1)
        residual, _ = self._residuals(images, maps)
        return self.base.output_head.image(images, residual)

    def _residuals(self, images: Tensor, maps: Tensor | None) -> tuple[Tensor, Tensor | None]:
        features = None
        if self.feature_networks is not None:
            features = self.feature_networks(class_inputs([images] * CLASSES, maps))
        return self.base(images, maps, features)

    def training_outputs(self, images: Tensor, training: bool = True) -> dict[str, Tensor]:
        """Inputs of the losses of the whole network.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1], H and W even.
            training: the parser normalises by the batch's statistics, unless it is frozen.

        Returns:
            dict of float32 tensors, images not clipped: "restored" (N, H, W, 3); with ``pooled`` "restored_half"
            (N, H / 2, W / 2, 3), to compare with the truth's ``layers.resampling.halve``; with a parser
            "parsing_logits" (N, H, W, 4) and "parsing_logits_half".

        Raises:
            ValueError: an odd height or width.
        """
        images = ops.cast(images, "float32")
        if any(size is not None and size % 2 for size in images.shape[1:3]):
            raise ValueError(f"Umsn trains on images of even height and width, got {tuple(images.shape)}")
        padded, maps = pad_to_multiple(images, self.size_divisor), None
        outputs: dict[str, Tensor] = {}
        if self.parser is not None:
            logits, logits_half = self.parser(padded, training=training)
            outputs |= {"parsing_logits": logits, "parsing_logits_half": logits_half}
            maps = ops.softmax(logits, axis=-1)
        residual, residual_half = self._residuals(padded, maps)
        outputs["restored"] = self.base.output_head.image(padded, residual)
        if residual_half is not None:
            outputs["restored_half"] = self.base.output_head.image(halve(padded), residual_half)
        return {name: crop(value, images, 2 if name.endswith("half") else 1) for name, value in outputs.items()}

    def parse(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """The parser's logits for float32 images (N, H, W, 3) of any size.

        Returns:
            dict of float32 logits: "parsing_logits" (N, H, W, 4), "parsing_logits_half" (N, H // 2, W // 2, 4).

        Raises:
            ValueError: the model has no parser.
        """
        if self.parser is None:
            raise ValueError("Umsn: without semantic_maps there is no parser")
        logits, logits_half = self.parser(pad_to_multiple(images, self.parser.size_divisor), training=training)
        return {"parsing_logits": crop(logits, images), "parsing_logits_half": crop(logits_half, images, 2)}

    def class_features(self, images: Sequence[Tensor], maps: Tensor) -> Tensor:
        """The F-Nets' features for one image per class, used in pre-training.

        Args:
            images: list of float32 (N, H, W, 3), RGB in [0, 1], one per class; sides divisible by ``size_divisor``.
            maps: float32 (N, H, W, 4).
        """
        return self.feature_networks(class_inputs(images, maps))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


def class_inputs(images, maps):
    """Inputs of the F-Nets: one image in [0, 1] per class, mapped to [-1, 1] and concatenated with the class's map."""
    return [ops.concatenate([2 * image - 1, maps[..., i : i + 1]], axis=-1) for i, image in enumerate(images)]
