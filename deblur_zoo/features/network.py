"""Common to all feature networks: named layers, their scales, and activations as a dictionary."""

import math

import keras
import numpy as np
from keras import ops


def checked_layers_and_scales(title, layers, scales):
    """Names as a tuple, and scales as a dict of floats or None; arguments and errors as in ``FeatureNetwork``."""
    if isinstance(layers, str) or not layers or len(set(layers)) < len(list(layers)):
        raise ValueError(f"{title} needs a list of different layer names, got {layers!r}")
    if scales is None:
        return tuple(layers), None
    if sorted(scales) != sorted(layers):
        raise ValueError(
            f"the scales are of layers {', '.join(sorted(scales))}, but {title} outputs {', '.join(sorted(layers))}: "
            "the names must be the same"
        )
    scales = {name: float(scales[name]) for name in layers}
    for name, scale in scales.items():
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"the scale of layer {name} must be a positive number, got {scale}")
    return tuple(layers), scales


class FeatureNetwork:
    """A frozen network as a function from images to activations of named layers.

    It is deliberately not a Keras layer: a trainer can hold it without saving its weights in every checkpoint or
    counting them as its own. Subclasses define ``_activations``.

    Args:
        title: what the network is, for error messages.
        layers: names of the layers whose activations ``features`` returns, at least one.
        scales: dict of layer name to a factor for its activations, for every layer, as from ``measure_scales``; None:
            no scaling.

    Attributes:
        layer_names: the names, a tuple.
        scales: the factors, a dict, or None.

    Raises:
        ValueError: no layers, a repeated layer, scales of other layers, a scale that is not positive and finite.
    """

    def __init__(self, title, layers, scales=None):
        self.title = title
        self.layer_names, self.scales = checked_layers_and_scales(title, layers, scales)

    def features(self, images):
        """Activations of the named layers.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1].

        Returns:
            Dictionary from layer name to float32 activations (N, h, w, c), or (N, c) of a dense layer, multiplied by
            the layer's scale.

        Raises:
            ValueError: images that are not (N, H, W, 3), are too small, or have a size that the network does not take.
            TypeError: integer images, which are not in [0, 1].
        """
        activations = self._checked_activations(images)
        if self.scales is None:
            return activations
        return {name: self.scales[name] * activation for name, activation in activations.items()}

    def measure_scales(self, images, batch_size=16):
        """Factors that give each layer a mean absolute activation of 1 on these images.

        The network itself is unchanged: store the factors and pass them as ``scales`` to a new one.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1]: sharp faces.
            batch_size: images per forward pass.

        Returns:
            dict of layer name to Python float.

        Raises:
            ValueError: no images, or a layer whose mean activation is 0 or not finite.
        """
        if len(images) == 0:
            raise ValueError("scales are measured on at least one image, got none")
        sums, counts = dict.fromkeys(self.layer_names, 0.0), dict.fromkeys(self.layer_names, 0)
        for start in range(0, len(images), batch_size):
            for name, activation in self._checked_activations(images[start : start + batch_size]).items():
                # In float64: a float32 sum over a million activations loses digits.
                values = np.abs(ops.convert_to_numpy(activation).astype(np.float64))
                sums[name] += values.sum()
                counts[name] += values.size
        means = {name: sums[name] / counts[name] for name in self.layer_names}
        for name, mean in means.items():
            if not (np.isfinite(mean) and mean > 0):
                raise ValueError(f"layer {name} of {self.title} has a mean activation of {mean} on these images")
        return {name: float(1.0 / mean) for name, mean in means.items()}

    def _checked_activations(self, images):
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[-1] != 3:
            raise ValueError(f"{self.title} takes images of shape (N, H, W, 3), got {shape}")
        dtype = keras.backend.standardize_dtype(images.dtype)
        if "float" not in dtype:
            raise TypeError(f"{self.title} takes float images, RGB in [0, 1], got {dtype}")
        activations = self._activations(ops.cast(images, "float32"))
        return {name: ops.cast(activations[name], "float32") for name in self.layer_names}

    def _activations(self, images):
        """Unscaled activations by layer name, from float32 images (N, H, W, 3), RGB in [0, 1]."""
        raise NotImplementedError
