"""Base class of the models that label the pixels of a face."""

from typing import Any

import numpy as np
from keras import ops

from deblur_zoo import execution
from deblur_zoo.annotations import Array, Pictures, Tensor
from deblur_zoo.files import forks
from deblur_zoo.files import pictures as picture_files
from deblur_zoo.files.batches import in_batches
from deblur_zoo.models.deblurrer import check_images
from deblur_zoo.models.fork_checked import ForkCheckedModel
from deblur_zoo.models.from_preset import FromPreset


class Parser(FromPreset, ForkCheckedModel):
    """A model of kind "parser" that turns images into class probabilities.

    Subclasses set ``class_names``, in the order of the channels, create the network ``parser``, set ``size_divisor``,
    keep their constructor's arguments in ``settings``, and implement ``training_outputs``, whose "parsing_logits" are
    float32 (N, H, W, classes).
    """

    kind = "parser"
    class_names: tuple[str, ...] = ()
    built: bool

    def __init__(self, **kwargs: Any) -> None:
        # Images stay float32 under mixed precision.
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Probabilities of the classes.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1], any H and W from 1.
            training: normalise by the batch's statistics.

        Returns:
            float32 (N, H, W, classes), summing to 1 at each pixel.
        """
        check_images(self.name, images)
        return ops.softmax(self.training_outputs(images, training=training)["parsing_logits"], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape[:-1], len(self.class_names))

    def run(self, images: Array) -> Array:
        """Probabilities of the classes by the compiled network; see ``deblur_zoo.execution.run``.

        Args:
            images: float32 array (N, H, W, 3), RGB in [0, 1].

        Returns:
            float32 NumPy array (N, H, W, classes).
        """
        forks.check()
        return execution.run(self, images)

    def parse(self, pictures: Pictures, batch_size: int = 16) -> Array:
        """The most probable class of every pixel.

        Args:
            pictures: a path, a PIL image, or an array of shape (H, W), (H, W, C) or (N, H, W, C), C in 1, 3, 4;
                uint8, uint16 or float in [0, 1].
            batch_size: images per forward pass.

        Returns:
            uint8 (H, W), or (N, H, W) for a batch: indices into ``class_names``.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: not an image, an unsupported shape, NaN, or values out of range.
        """
        picture = picture_files.load_to_restore(pictures)
        labels = in_batches(lambda batch: np.argmax(self.run(batch), axis=-1).astype(np.uint8), batch_size, picture.rgb)
        return labels if len(picture.shape) == 4 else labels[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}
