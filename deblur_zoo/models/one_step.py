"""One-step restoration of blurred faces (Wang, Li and Wang 2017, "DeepDeblur", arXiv:1711.09515).

Six residual Inception modules between a 3x3 convolution to 64 channels and a 1x1 convolution to RGB (section 3.3,
figure 4). A module runs convolutions of 1, 3, 5, 7 and 14 pixels in parallel, each after a 1x1 reduction to half the
channels, concatenates them, merges them with a 1x1 convolution and adds its input.

Deviations from the paper:
- "Depth-wise convolution" in section 3.3 is read as the 1x1 reduction that section 4.6 describes. Without it
  (``reduction=False``, table 5) the modules are 1.9 times as large, so the reduction saves 47 %, not "nearly 40 %".
- The kernel of 14 is even; its "same" padding is TensorFlow's on every backend: 6 before, 7 after.
- The slope of the leaky ReLU is not stated: 0.01, as in Maas et al. 2013.
- ``scale``, ours: modules work at 1/scale of the resolution. The first convolution has 3*scale pixels and stride
  ``scale``, equivalent to space-to-depth and a 3x3 convolution, and the last is a transposed convolution of ``scale``
  pixels, equivalent to a 1x1 convolution and depth-to-space. For small CPUs.
- ``channel_attention``, ours: the concatenated branches are multiplied by a gain per channel, 1 + 2 tanh(z / 2) with
  z a linear function of their means over the image (simplified channel attention, Chen et al. 2022, bounded). A photo
  has one blur kernel, which only the whole image reveals. Gains start at one. Features are clipped at 24.
- ``image_skip``, ours: the network's output is added to the blurred image, and starts at zero, so a sharp face passes
  through unchanged from the first step.
- ``filter_width``, ours: filters at full resolution add or remove detail; see ``layers.adaptive_filters``.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from deblur_zoo.annotations import Tensor
from deblur_zoo.layers.adaptive_filters import AdaptiveFilters
from deblur_zoo.layers.channel_attention import channel_attention
from deblur_zoo.models.deblurrer import Deblurrer, check_whole_numbers

# Features of faces stay below 18; without a limit, those of stripes and noise triple from module to module.
LARGEST = 24.0


@keras.saving.register_keras_serializable("deblur_zoo")
class InceptionModule(layers.Layer):
    """Parallel convolutions of several sizes, merged and added to the input (figure 3).

    Args:
        width: channels in and out.
        reduced_width: channels of each branch.
        kernel_sizes: side of each branch's convolution, in pixels.
        reduction: use a 1x1 convolution from ``width`` to ``reduced_width`` before each branch's convolution.
        leaky_slope: slope of the leaky ReLU for negative values.
        channel_attention: multiply the concatenated branches by gains computed from their means over the image.
    """

    def __init__(
        self,
        width,
        reduced_width,
        kernel_sizes,
        reduction=True,
        leaky_slope=0.01,
        channel_attention=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.width = width
        self.reduced_width = reduced_width
        self.kernel_sizes = tuple(kernel_sizes)
        self.reduction = reduction
        self.leaky_slope = leaky_slope
        self.channel_attention = channel_attention
        self.reductions = [
            layers.Conv2D(reduced_width, 1, name=f"reduce_{size}") if reduction else None for size in self.kernel_sizes
        ]
        self.branches = [
            layers.Conv2D(reduced_width, size, padding="same", kernel_initializer="he_normal", name=f"branch_{size}")
            for size in self.kernel_sizes
        ]
        branch_channels = reduced_width * len(self.kernel_sizes)
        self.gains = (
            layers.Dense(branch_channels, kernel_initializer="zeros", name="gains") if channel_attention else None
        )
        # Small at first, so that a deep stack starts near the identity.
        small = keras.initializers.VarianceScaling(0.1)
        self.merge = layers.Conv2D(width, 1, kernel_initializer=small, name="merge")

    def build(self, input_shape):
        for reduce, branch in zip(self.reductions, self.branches, strict=True):
            if reduce is not None:
                reduce.build(input_shape)
            branch.build((*input_shape[:-1], self.reduced_width if self.reduction else self.width))
        branch_channels = self.reduced_width * len(self.branches)
        if self.gains is not None:
            self.gains.build((input_shape[0], branch_channels))
        self.merge.build((*input_shape[:-1], branch_channels))

    def input_parts(self):
        """Concatenated inputs, for ``trainers.runs.widening``."""
        branches = [self.reduced_width] * len(self.branches)
        return {"merge": branches, "gains": branches}

    def output_parts(self):
        """Outputs that match concatenated features, for ``trainers.runs.widening``."""
        return {"gains": [self.reduced_width] * len(self.branches)}

    def call(self, features):
        branches = []
        for reduce, branch in zip(self.reductions, self.branches, strict=True):
            reduced = features if reduce is None else reduce(features)
            branches.append(ops.leaky_relu(branch(reduced), self.leaky_slope))
        branches = ops.concatenate(branches, axis=-1)
        if self.gains is not None:
            branches = channel_attention(branches, self.gains)
        merged = features + self.merge(branches)
        return merged if self.gains is None else ops.clip(merged, -LARGEST, LARGEST)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "reduced_width": self.reduced_width,
            "kernel_sizes": list(self.kernel_sizes),
            "reduction": self.reduction,
            "leaky_slope": self.leaky_slope,
            "channel_attention": self.channel_attention,
        }


@keras.saving.register_keras_serializable("deblur_zoo")
class OneStep(Deblurrer):
    """The one-step restoration network. The defaults are the paper's.

    Args:
        width: channels between the modules (paper: 64).
        reduced_width: channels of each branch (paper: 32).
        modules: number of Inception modules (paper: 6).
        kernel_sizes: sides of the parallel convolutions (paper: 1, 3, 5, 7, 14).
        reduction: 1x1 reduction before each branch (paper: yes; table 5 measures without).
        scale: modules work at 1/scale of height and width (paper: 1).
        image_skip: add the network's output to the blurred image (paper: no).
        leaky_slope: slope of the leaky ReLU.
        channel_attention: gains per channel from the whole image (paper: no).
        filter_width: channels that choose the strength of adaptive filters; 0: no filters (paper).

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(
        self,
        width: int = 64,
        reduced_width: int = 32,
        modules: int = 6,
        kernel_sizes: Sequence[int] = (1, 3, 5, 7, 14),
        reduction: bool = True,
        scale: int = 1,
        image_skip: bool = False,
        leaky_slope: float = 0.01,
        channel_attention: bool = False,
        filter_width: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        counts = {"width": width, "reduced_width": reduced_width, "modules": modules, "scale": scale}
        check_whole_numbers("OneStep", **counts, kernel_sizes=list(kernel_sizes))
        check_whole_numbers("OneStep", minimum=0, filter_width=filter_width)
        self.settings = {
            **counts,
            "kernel_sizes": list(kernel_sizes),
            "reduction": bool(reduction),
            "image_skip": bool(image_skip),
            "leaky_slope": float(leaky_slope),
            "channel_attention": bool(channel_attention),
            "filter_width": filter_width,
        }
        self.size_divisor = scale
        self.first = layers.Conv2D(width, 3 * scale, strides=scale, padding="same", name="first")
        self.inception = [
            InceptionModule(
                width, reduced_width, kernel_sizes, reduction, leaky_slope, channel_attention, name=f"module_{i + 1}"
            )
            for i in range(modules)
        ]
        last = {"kernel_initializer": "zeros" if image_skip else "glorot_uniform", "name": "last"}
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        if scale == 1:
            self.last = layers.Conv2D(3, 1, dtype="float32", **last)
        else:
            self.last = layers.Conv2DTranspose(3, scale, strides=scale, dtype="float32", **last)
        self.filters = AdaptiveFilters(filter_width, scale, name="filters") if filter_width else None

    def restore(self, images: Tensor, training: bool = False) -> Tensor:
        features = self.first(images)
        for module in self.inception:
            features = module(features)
        restored = self.last(features)
        if self.filters is not None:
            restored = restored + self.filters(images, features)
        return images + restored if self.settings["image_skip"] else restored

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
