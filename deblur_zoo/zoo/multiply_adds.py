"""Exact count of a model's multiply-adds, from the layers that run."""

import numpy as np
from keras import layers

from deblur_zoo.layers.layer_calls import watch_layer_calls


def _output_pixels(layer, inputs, outputs):
    return _pixels(layer, outputs)


def _input_pixels(layer, inputs, outputs):
    return _pixels(layer, inputs)


def _pixels(layer, features):
    spatial = features.shape[1:3] if layer.data_format == "channels_last" else features.shape[2:4]
    return int(np.prod([features.shape[0], *spatial]))


def _rows(layer, inputs, outputs):
    return int(np.prod(inputs.shape[:-1]))


def _none(layer, inputs, outputs):
    return 0


# Each entry of a kernel is used once at every position. A transposed convolution spreads every input pixel over
# the output, so its positions are the input's. Padding counts as if it were data, as is usual.
_RULES = {
    layers.Conv2D: (_output_pixels, ("kernel",)),
    layers.DepthwiseConv2D: (_output_pixels, ("kernel",)),
    layers.SeparableConv2D: (_output_pixels, ("depthwise_kernel", "pointwise_kernel")),
    layers.Conv2DTranspose: (_input_pixels, ("kernel",)),
    layers.Dense: (_rows, ("kernel",)),
    layers.PReLU: (_none, ("alpha",)),
}


class _Inference(layers.Layer):
    """A layer that runs a model; Keras infers the output's shape by running it."""

    def __init__(self, model):
        # Hidden from Keras, which would build it as a sub-layer.
        super().__init__(autocast=False)
        self._run = lambda images: model(images, training=False)

    def call(self, images):
        return self._run(images)


def count_multiply_adds(model, height=128, width=128):
    """Count the multiply-adds of one image through convolutions and dense layers.

    Biases, activations, normalisation and resampling with fixed kernels are left out, as is usual.

    Args:
        model: a built model that takes (N, H, W, 3) images. Its ``Conv2D``, ``DepthwiseConv2D``, ``SeparableConv2D``,
            ``Conv2DTranspose`` and ``Dense`` layers may lie anywhere inside it and be used several times.
        height, width: the image's size in pixels.

    Returns:
        int.

    Raises:
        NotImplementedError: a trainable matrix belongs to another kind of layer, or to one that the model has but
            does not use, so that the count could be wrong.
    """
    used, total = set(), 0

    def count(layer, inputs, outputs):
        # A doubled convolution counts as the convolution that it stands for, not as the fewer multiply-adds it makes.
        nonlocal total
        positions, kernels = next(rule for kind, rule in _RULES.items() if isinstance(layer, kind))
        arrays = [getattr(layer, kernel) for kernel in kernels]
        total += positions(layer, inputs, outputs) * sum(int(np.prod(array.shape)) for array in arrays)
        used.update(map(id, arrays))

    with watch_layer_calls(model, tuple(_RULES), count):
        # A layer called on a symbolic image runs its network once without computing anything.
        _Inference(model)(layers.Input(batch_shape=(1, height, width, 3), dtype="float32"))
    for variable in model.trainable_variables:
        if len(variable.shape) > 1 and id(variable) not in used:
            raise NotImplementedError(
                f"Multiply-adds cannot be counted: no Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose or "
                f"Dense layer used {variable.path}."
            )
    return total
