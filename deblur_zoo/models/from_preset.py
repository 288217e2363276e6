"""``from_preset``, which Keras users know, for every class of the zoo and their own."""

import os
from typing import Self

import deblur_zoo


class FromPreset:
    """A class whose models are loaded from presets."""

    @classmethod
    def from_preset(cls, source: str | os.PathLike, weights: bool = True) -> Self:
        """A model of this class from a preset; ``Deblurrer.from_preset`` takes every deblurrer.

        Args:
            source: a name in ``deblur_zoo.list_models()``, a preset's or a training run's folder, or a URI.
            weights: fill in the trained weights; False gives the freshly initialised model.

        Raises:
            As ``deblur_zoo.load``, and ValueError for a preset of another class.
        """
        return deblur_zoo.load(source, weights, model_class=cls)
