"""Deep Semantic Face Deblurring (Shen, Lai, Xu, Kautz and Yang 2020, arXiv:2001.06822).

Three networks (section 3.2): a coarse one deblurs, P parses the result into 11 classes, and a fine one deblurs again
from the blurred image, the coarse result and the class probabilities. Coarse and fine network have two scales. Each
scale has 18 convolutions: 11x11 and two of 5x5, six ResBlocks, three of 5x5. A trainable 4x4 transposed convolution
doubles the half-scale result, which is a further input of the full scale.

Deviations from the paper:
- P has 11 classes; see ``face_parser``. So the fine network's scales take 17 and 20 channels, as the paper says.
- The full scale takes the probabilities at full resolution; the text mistakenly repeats the half-scale ones. They are
  reduced to the half scale by 2x2 max-pooling, as in the authors' code of 2018; images by the mean of 2x2.
- The doubling is trainable and starts bilinear (section 3.5); section 3.2 calls it bicubic. Its input's border is
  repeated by a pixel, so that it does not fade to black there.
- ResBlocks are ReLU, convolution, ReLU, convolution, added to the running sum (Nah et al. 2017 without the last ReLU);
  the second convolution starts small. Initial weights are not stated: He normal.
- The text's 64 channels everywhere give a fine network of 3.58 M parameters. ``residual_width=128`` gives the published
  counts (fine 11.86 M, all 26.6 M, tables 7, 8 and 12) within 1 %: 64-128-128, ResBlocks of 128, 128-64-32-3.
- ``coarse_network=False`` is the predecessor (Shen et al. 2018): P and the fine network see only the blurred image.
  ``fine_stages=0`` is the baseline of table 2, without semantics: only the coarse network.
- ``scale``, ours: the layers of each scale, and of P, work at 1/scale of that scale's resolution. The first convolution
  has stride ``scale``, the last is a transposed convolution of ``scale`` pixels. For small CPUs.
- ``channel_attention``, ours: gains per channel between the two convolutions of a ResBlock.
- ``image_skip``, ours: a network's output is added to the image that it refines (coarse: the blurred image; fine: the
  previous result), and starts at zero, so a sharp face passes through unchanged from the first step.
- ``filter_width``, ours: filters at full resolution add or remove detail in the fine network; see
  ``layers.adaptive_filters``.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.face_classes import FaceClass
from deblur_zoo.layers.adaptive_filters import AdaptiveFilters
from deblur_zoo.layers.channel_attention import channel_attention as attend
from deblur_zoo.layers.mirror_padding import pad_to_multiple
from deblur_zoo.layers.resampling import halve
from deblur_zoo.models import face_parser
from deblur_zoo.models.deblurrer import Deblurrer, check_whole_numbers, crop


class ResidualBlock(layers.Layer):
    """features + convolution(ReLU(convolution(ReLU(features)))); ``channel_attention`` before the second one."""

    def __init__(self, width, kernel_size, channel_attention=False, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Conv2D(width, kernel_size, padding="same", kernel_initializer="he_normal", name="first")
        # Small, so that a deep stack starts near the identity.
        small = keras.initializers.VarianceScaling(0.1)
        self.second = layers.Conv2D(width, kernel_size, padding="same", kernel_initializer=small, name="second")
        self.gains = layers.Dense(width, kernel_initializer="zeros", name="gains") if channel_attention else None

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(input_shape)
        if self.gains is not None:
            self.gains.build((None, input_shape[-1]))

    def call(self, features):
        hidden = ops.relu(self.first(ops.relu(features)))
        if self.gains is not None:
            hidden = attend(hidden, self.gains)
        return features + self.second(hidden)


class DeblurringScale(layers.Layer):
    """One scale: 6 + 2 * ``residual_blocks`` convolutions, from any number of channels to an image.

    Args:
        width: channels of the first convolution.
        residual_width: channels of the ResBlocks; None: ``width`` everywhere.
        residual_blocks: number of ResBlocks.
        first_kernel, kernel_size: sides of the first and of the other convolutions, in pixels.
        scale: work at 1/scale of height and width.
        channel_attention: in the ResBlocks.
        starts_at_zero: zero-initialise the last layer.
        filter_width: of adaptive filters on the first three channels; 0: no filters.
    """

    def __init__(self, width, residual_width, residual_blocks, first_kernel, kernel_size, scale, channel_attention,
                 starts_at_zero, filter_width=0, **kwargs):  # fmt: skip
        super().__init__(**kwargs)

        def convolutions(widths):
            return [layers.Conv2D(w, kernel_size, padding="same", kernel_initializer="he_normal") for w in widths]

        inner = residual_width or width
        self.widths = [width, inner, inner, *([width, width // 2] if residual_width else [width, width])]
        self.first = layers.Conv2D(
            width, first_kernel, strides=scale, padding="same", kernel_initializer="he_normal", name="first"
        )
        self.head = convolutions(self.widths[1:3])
        self.blocks = [ResidualBlock(inner, kernel_size, channel_attention) for _ in range(residual_blocks)]
        self.tail = convolutions(self.widths[3:])
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        last = {"kernel_initializer": "zeros" if starts_at_zero else "glorot_uniform", "dtype": "float32"}
        if scale == 1:
            self.last = layers.Conv2D(3, kernel_size, padding="same", name="last", **last)
        else:
            self.last = layers.Conv2DTranspose(3, scale, strides=scale, name="last", **last)
        self.filters = AdaptiveFilters(filter_width, scale, name="filters") if filter_width else None

    def build(self, input_shape):
        self.first.build(input_shape)
        width, inner, _, *tail_widths = self.widths
        for layer, channels in zip(
            [*self.head, *self.blocks, *self.tail, self.last],
            [width, inner, *[inner] * len(self.blocks), inner, *tail_widths],
            strict=True,
        ):
            layer.build((None, None, None, channels))
        if self.filters is not None:
            self.filters.build((None, None, None, 3), (None, None, None, tail_widths[-1]))

    def call(self, inputs):
        features = ops.relu(self.first(inputs))
        for convolution in self.head:
            features = ops.relu(convolution(features))
        for block in self.blocks:
            features = block(features)
        for convolution in self.tail:
            features = ops.relu(convolution(features))
        restored = self.last(features)
        return restored if self.filters is None else restored + self.filters(inputs[..., :3], features)


def bilinear(shape, dtype=None):
    """Initial kernel (4, 4, C, C) of a transposed convolution that doubles each channel by linear interpolation."""
    profile = np.array([0.25, 0.75, 0.75, 0.25])
    kernel = profile[:, None, None, None] * profile[:, None, None] * np.eye(shape[2])
    return ops.convert_to_tensor(kernel, dtype or "float32")


class TwoScaleNetwork(layers.Layer):
    """A half and a full scale; the doubled result of the half scale is an input of the full scale.

    Args:
        image_skip: add the first three channels of each scale's input to its output.
        settings: arguments of ``DeblurringScale``.
        filter_width: of the full scale's adaptive filters; 0: no filters.
    """

    def __init__(self, image_skip=False, settings=None, filter_width=0, **kwargs):
        # Images stay float32 under mixed precision; the scales cast themselves.
        super().__init__(autocast=False, **kwargs)
        self.image_skip = image_skip
        # Under PyTorch a layer is a torch.nn.Module, which has methods ``half`` and ``double``.
        self.half_scale = DeblurringScale(**settings, starts_at_zero=image_skip, name="half")
        self.full = DeblurringScale(**settings, starts_at_zero=image_skip, filter_width=filter_width, name="full")
        self.doubling = layers.Conv2DTranspose(
            3, 4, strides=2, padding="same", kernel_initializer=bilinear, dtype="float32", name="double"
        )

    def build(self, full_shape, half_shape):
        self.half_scale.build(half_shape)
        self.doubling.build((None, None, None, 3))
        self.full.build((*full_shape[:-1], full_shape[-1] + 3))

    def call(self, full, half):
        """From inputs at both scales, (N, H, W, C) and (N, H / 2, W / 2, C), to images of these sizes, float32."""
        restored_half = self.half_scale(half)
        if self.image_skip:
            restored_half = restored_half + half[..., :3]
        # Repeat the border by a pixel, and crop it again after the doubling.
        padded = ops.concatenate([restored_half[:, :1], restored_half, restored_half[:, -1:]], axis=1)
        padded = ops.concatenate([padded[:, :, :1], padded, padded[:, :, -1:]], axis=2)
        doubled = self.doubling(padded)[:, 2:-2, 2:-2, :]
        restored = self.full(ops.concatenate([full, doubled], axis=-1))
        return restored + full[..., :3] if self.image_skip else restored, restored_half


class FineStages(layers.Layer):
    """The fine networks of all stages; a single one if they share their weights (table 8)."""

    def __init__(self, count, **kwargs):
        settings = kwargs.pop("settings")
        super().__init__(autocast=False, **kwargs)
        self.networks = [TwoScaleNetwork(**settings) for _ in range(count)]

    def build(self, full_shape, half_shape):
        for network in self.networks:
            network.build(full_shape, half_shape)

    def call(self, full, half, stage=0):
        return self.networks[stage % len(self.networks)](full, half)


@keras.saving.register_keras_serializable("deblur_zoo")
class SemanticFace(Deblurrer):
    """Coarse, parsing and fine network. The defaults follow the paper's text.

    ``model.coarse``, ``model.parser`` and ``model.fine`` are the parts that a training stage can freeze; None if the
    model lacks the part. A frozen parser normalises by its running statistics, in training too.

    Args:
        width: channels of the first and last convolutions (paper: 64).
        residual_width: channels of the ResBlocks; the last convolutions then narrow to ``width`` and half of it. None
            (the text): ``width`` everywhere. 128 gives the published parameter counts.
        residual_blocks: ResBlocks per scale (paper: 6).
        first_kernel: side of each scale's first convolution in pixels (paper: 11; table 7: 5, 9, 11, 13).
        kernel_size: side of the other convolutions (paper: 5).
        fine_stages: number of consecutive fine networks (paper: 1; table 8: up to 3). 0: only the coarse network.
        shared_fine_stages: the fine stages share their weights (table 8).
        coarse_network: False is the predecessor of 2018.
        parser_widths: channels of the parsing network, by scale.
        scale: all layers work at 1/scale of their resolution (paper: 1).
        image_skip: add a network's output to the image that it refines (paper: no).
        channel_attention: gains per channel in the ResBlocks (paper: no).
        filter_width: channels that choose the strength of adaptive filters; 0: no filters (paper).
        coarse_width, coarse_residual_blocks: for the coarse network; None: as in the fine network.
        synchronized: compute the parser's batch statistics over all replicas.

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(
        self,
        width: int = 64,
        residual_width: int | None = None,
        residual_blocks: int = 6,
        first_kernel: int = 11,
        kernel_size: int = 5,
        fine_stages: int = 1,
        shared_fine_stages: bool = False,
        coarse_network: bool = True,
        parser_widths: Sequence[int] = face_parser.WIDTHS,
        scale: int = 1,
        image_skip: bool = False,
        channel_attention: bool = False,
        filter_width: int = 0,
        coarse_width: int | None = None,
        coarse_residual_blocks: int | None = None,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts: dict[str, Any] = {
            "width": width,
            "residual_blocks": residual_blocks,
            "first_kernel": first_kernel,
            "kernel_size": kernel_size,
            "scale": scale,
            "parser_widths": list(parser_widths),
        }
        optional = {"residual_width": residual_width, "coarse_width": coarse_width,
                    "coarse_residual_blocks": coarse_residual_blocks}  # fmt: skip
        check_whole_numbers("SemanticFace", **counts)
        check_whole_numbers("SemanticFace", **{key: value for key, value in optional.items() if value is not None})
        check_whole_numbers("SemanticFace", minimum=0, fine_stages=fine_stages, filter_width=filter_width)
        if not coarse_network and fine_stages != 1:
            raise ValueError(f"SemanticFace: without a coarse network fine_stages must be 1, got {fine_stages}")
        self.settings: dict[str, Any] = {
            **counts,
            **optional,
            "fine_stages": fine_stages,
            "shared_fine_stages": bool(shared_fine_stages),
            "coarse_network": bool(coarse_network),
            "image_skip": bool(image_skip),
            "channel_attention": bool(channel_attention),
            "filter_width": filter_width,
            "synchronized": bool(synchronized),
        }
        fine = {"width": width, "residual_width": residual_width, "residual_blocks": residual_blocks,
                "first_kernel": first_kernel, "kernel_size": kernel_size, "scale": scale,
                "channel_attention": bool(channel_attention)}  # fmt: skip
        coarse = {**fine, "width": coarse_width or width, "residual_blocks": coarse_residual_blocks or residual_blocks}
        self.coarse: Any = None
        self.parser: Any = None
        self.fine: Any = None
        self.size_divisor = 2 * scale
        if coarse_network:
            self.coarse = TwoScaleNetwork(image_skip, coarse, name="coarse")
        if fine_stages:
            self.parser = face_parser.ParsingNetwork(parser_widths, scale, synchronized, name="parser")
            self.fine = FineStages(
                1 if shared_fine_stages else fine_stages,
                settings={"image_skip": image_skip, "settings": fine, "filter_width": filter_width},
                name="fine",
            )
            self.size_divisor = math.lcm(self.size_divisor, self.parser.size_divisor)

    def restore(self, images: Tensor, training: bool = False) -> Tensor:
        return self._outputs(images, None, training)["restored"]

    def training_outputs(  # type: ignore[override]  # `labels` comes second.
        self, images: Tensor, labels: Tensor | None = None, training: bool = True
    ) -> dict[str, Tensor]:
        """Inputs of the losses of all stages.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1], H and W even.
            labels: integer (N, H, W), the true parsing, 255 unknown: the fine network takes it, one-hot, instead of
                the parser's probabilities (table 2), and the parser does not run.
            training: the parser normalises by the batch's statistics, unless it is frozen.

        Returns:
            dict of float32 tensors, images not clipped: "restored" (N, H, W, 3), "restored_half" (N, H / 2, W / 2, 3);
            with a coarse network "coarse", "coarse_half"; without ``labels`` "parsing_logits" (N, H, W, 11); with
            several fine stages also "restored_1", "restored_1_half", ... of all but the last. Compare the halves with
            the truth's ``layers.resampling.halve``.

        Raises:
            ValueError: an odd height or width, or labels of another shape.
        """
        images = ops.cast(images, "float32")
        if any(size is not None and size % 2 for size in images.shape[1:3]):
            raise ValueError(f"SemanticFace trains on images of even height and width, got {tuple(images.shape)}")
        if labels is not None:
            if tuple(labels.shape) != tuple(images.shape[:3]):
                raise ValueError(f"labels must have the shape {tuple(images.shape[:3])}, got {tuple(labels.shape)}")
            labels = pad_to_multiple(ops.expand_dims(ops.cast(labels, "int32"), -1), self.size_divisor)[..., 0]
        outputs = self._outputs(pad_to_multiple(images, self.size_divisor), labels, training)
        return {name: crop(value, images, 2 if name.endswith("half") else 1) for name, value in outputs.items()}

    def _outputs(self, images: Tensor, labels: Tensor | None, training: bool) -> dict[str, Tensor]:
        """``training_outputs`` for a divisible size; computes only what the restored image needs."""
        blurred, previous = [images], images
        blurred_half = [halve(images)]
        outputs: dict[str, Tensor] = {}
        if self.coarse is not None:
            previous, half = self.coarse(images, blurred_half[0])
            outputs |= {"coarse": previous, "coarse_half": half}
        if self.fine is None:
            return {**outputs, "restored": previous, "restored_half": half}
        if labels is None:
            outputs["parsing_logits"] = self.parser(previous, training=training)
            probabilities = ops.softmax(outputs["parsing_logits"], axis=-1)
        else:
            # Unknown pixels belong to no class.
            classes = ops.arange(len(FaceClass), dtype="int32")
            probabilities = ops.cast(ops.equal(ops.expand_dims(labels, -1), classes), "float32")
        probabilities_half = ops.max_pool(probabilities, 2, strides=2)
        for stage in range(self.settings["fine_stages"]):
            # The image to refine comes first; for the predecessor it is the blurred one itself.
            refined = [] if self.coarse is None else [previous]
            refined_half = [halve(image) for image in refined]
            previous, half = self.fine(
                ops.concatenate([*refined, *blurred, probabilities], axis=-1),
                ops.concatenate([*refined_half, *blurred_half, probabilities_half], axis=-1),
                stage=stage,
            )
            last = stage == self.settings["fine_stages"] - 1
            name = "restored" if last else f"restored_{stage + 1}"
            outputs |= {name: previous, f"{name}_half": half}
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
