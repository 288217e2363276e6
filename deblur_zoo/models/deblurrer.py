"""The base class of every deblurring model in the zoo.

Input and output of every model: float RGB in [0, 1], layout (N, H, W, 3), any height and width from 1 pixel up.
A network that works in another range or needs a size that divides by 8 converts inside.
"""

from typing import Any

import keras
from keras import ops

from deblur_zoo import execution
from deblur_zoo.annotations import Array, Pictures, Tensor
from deblur_zoo.files import forks
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.layers.data_format import check_data_format
from deblur_zoo.layers.mirror_padding import pad_to_multiple
from deblur_zoo.models.fork_checked import ForkCheckedModel
from deblur_zoo.models.from_preset import FromPreset


def check_whole_numbers(owner: str, minimum: int = 1, **values: Any) -> None:
    """Reject constructor arguments that are not whole numbers, or sequences of them, of at least ``minimum``.

    Raises:
        ValueError: a sentence that begins with ``owner`` and names the argument.
    """
    for name, value in values.items():
        for number in value if isinstance(value, (list, tuple)) and value else [value]:
            if isinstance(number, bool) or not isinstance(number, int) or number < minimum:
                raise ValueError(f"{owner}: {name} must be whole numbers of at least {minimum}, got {value!r}")


def check_images(owner: str, images: Tensor) -> None:
    """Reject anything but a batch of float RGB images; integers would silently be clipped to white.

    Raises:
        TypeError: not an array or tensor, or not floating point.
        ValueError: another shape than (N, H, W, 3), an empty one, or Keras is set to "channels_first".
    """
    check_data_format()
    accepted = "float RGB in [0, 1] of shape (N, H, W, 3)"
    if not hasattr(images, "shape") or not hasattr(images, "dtype"):
        raise TypeError(f"{owner} takes one array or tensor, {accepted}, not a {type(images).__name__}.")
    dtype = keras.backend.standardize_dtype(images.dtype)
    if "float" not in dtype:
        raise TypeError(
            f"{owner} takes {accepted}, not {dtype}: divide by 255, or give pictures of any type to .deblur() or "
            ".parse()."
        )
    if len(images.shape) != 4 or images.shape[-1] != 3 or 0 in tuple(images.shape):
        raise ValueError(f"{owner} takes {accepted}; got the shape {tuple(images.shape)}.")


def crop(features: Tensor, images: Tensor, divisor: int = 1) -> Tensor:
    """Undo mirror padding: the first H / divisor rows and W / divisor columns, for ``images`` (N, H, W, C)."""
    sizes = []
    for axis in (1, 2):
        size = images.shape[axis] if images.shape[axis] is not None else ops.shape(images)[axis]
        sizes.append(size // divisor)
    if None not in images.shape[1:3] and list(features.shape[1:3]) == sizes:
        return features
    return features[:, : sizes[0], : sizes[1], :]


class Deblurrer(FromPreset, ForkCheckedModel):
    """A model that maps blurred faces to restored ones.

    Subclasses set ``size_divisor`` and implement ``restore``. The base class mirrors the border up to the
    divisor, crops back, and clips to [0, 1] outside training; inside training the output stays unclipped, so
    that every pixel has a gradient.
    """

    kind: str = "deblurrer"
    size_divisor: int = 1
    built: bool

    def __init__(self, **kwargs: Any) -> None:
        check_data_format()
        # Images stay float32 under mixed precision: adding a residual in bfloat16 would round the image itself.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)

    def restore(self, images: Tensor, training: bool = False) -> Tensor:
        """Map float32 images (N, H, W, 3), H and W multiples of ``size_divisor``, to the same shape."""
        raise NotImplementedError

    def build(self, input_shape: Any = None) -> None:
        """Create all weights, by running the network on the smallest image that needs no padding."""
        if self.built:
            return
        self.restore(ops.zeros((1, self.size_divisor, self.size_divisor, 3), dtype="float32"), training=False)
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Restore a batch.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1].
            training: leave the output unclipped, for losses.

        Returns:
            float32 (N, H, W, 3); in [0, 1] unless ``training``.
        """
        restored = self._restored(images, training)
        return restored if training else ops.clip(restored, 0.0, 1.0)

    def training_outputs(self, images: Tensor, training: bool = True) -> dict[str, Tensor]:
        """The tensors that losses compare. Methods whose losses need more than the restored image return more.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1].
            training: run dropout and batch normalisation as in training.

        Returns:
            dict of float32 tensors; "restored" (N, H, W, 3) is not clipped.
        """
        return {"restored": self._restored(images, training)}

    def _restored(self, images: Tensor, training: bool) -> Tensor:
        """``restore`` for any size, not clipped."""
        check_images(self.name, images)
        images = ops.cast(images, "float32")
        restored = self.restore(pad_to_multiple(images, self.size_divisor), training=training)
        return ops.cast(crop(restored, images), "float32")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape)

    def deblur(self, pictures: Pictures, batch_size: int = 16, passes: int = 1) -> Array:
        """Restore an image or a batch and return it in its original form.

        Args:
            pictures: a path, a PIL image, or an array of shape (H, W), (H, W, C) or (N, H, W, C), C in 1, 3, 4;
                uint8, uint16 or float in [0, 1].
            batch_size: images per forward pass.
            passes: how many times the network is applied. ``docs/results.md`` has what a second pass gains or costs, by
                kind of blur.

        Returns:
            uint8 array of the input's shape. Grey stays grey; an alpha channel is passed through. A picture on which
            the network fails, such as stripes or noise, is returned unchanged; see ``pictures.unless_failed``.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: not an image, one that is too large (docs/pictures.md), an invalid shape, NaN, values out of
                range, or ``passes`` that are not a whole number of at least 1.
        """
        return picture_files.restored(pictures, picture_files.in_passes(self.run, passes), batch_size)

    def run(self, images: Array) -> Array:
        """Restore a batch by the compiled network; see ``deblur_zoo.execution.run``.

        Args:
            images: float32 array (N, H, W, 3), RGB in [0, 1].

        Returns:
            float32 NumPy array of the same shape, in [0, 1].
        """
        forks.check()
        return execution.run(self, images)
