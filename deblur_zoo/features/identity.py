"""Identity embeddings of aligned faces by a MobileFaceNet-style network, loaded from a Keras file.

Input: float RGB in [0, 1], NHWC, in the zoo's canonical alignment (``deblur_zoo.faces.alignment``), or a given
part of it.
Output: one embedding per face, normalised only on request.

The network in the file (Chen et al. 2018, MobileFaceNets) expects RGB in [0, 255], 112x112 pixels, aligned to the
ArcFace points; both conversions are internal. The least-squares similarity between the two sets of points rotates by
only 0.3 degrees, because both are nearly left-right symmetric. Without the rotation the points move by less than 0.2
pixels, and the warp becomes separable: two matrix products with constant interpolation weights, differentiable and
the same on every backend and in a graph.
"""

import pathlib

import numpy as np
from keras import ops

from deblur_zoo.faces.alignment import ARCFACE_POINTS, ARCFACE_SIZE, CROP_SIZE, canonical_points
from deblur_zoo.features.frozen_model import frozen_with_layers, read_keras_file


def arcface_scale_and_shift(canonical_size=CROP_SIZE):
    """The least-squares scale and shift (no rotation) from canonical to ArcFace pixels.

    Args:
        canonical_size: side of the canonical crop in pixels.

    Returns:
        scale (float) and shift (float64 array (2,): x, y): ``arcface = scale * canonical + shift``.
    """
    source = canonical_points(canonical_size)
    source_mean, target_mean = source.mean(axis=0), ARCFACE_POINTS.mean(axis=0)
    # The scale is the rotation-free part of Umeyama's solution.
    centred = source - source_mean
    scale = np.sum(centred * (ARCFACE_POINTS - target_mean)) / np.sum(centred**2)
    return scale, target_mean - scale * source_mean


def interpolation_matrix(positions, length, width=1.0):
    """Weights that sample a line of pixels at given positions with a triangular (bilinear) filter.

    Args:
        positions: array (M,), in pixels; pixel centres have integer coordinates. Outside the line the signal is
            mirrored at its first and last pixel.
        length: number of pixels of the line.
        width: half the filter's base in pixels; 1 is plain bilinear interpolation, larger values avoid aliasing.

    Returns:
        float32 array (M, length) whose rows sum to 1.
    """
    positions = np.asarray(positions, np.float64)
    first = np.floor(positions - width).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(2 * width)) + 2)
    weights = np.maximum(0.0, 1.0 - np.abs(taps - positions[:, None]) / width)
    weights /= weights.sum(axis=1, keepdims=True)
    period = max(2 * (length - 1), 1)
    mirrored = taps % period
    mirrored = np.minimum(mirrored, period - mirrored) % length
    matrix = np.zeros((len(positions), length))
    np.add.at(matrix, (np.arange(len(positions))[:, None], mirrored), weights)
    return matrix.astype(np.float32)


class IdentityNetwork:
    """A frozen identity network as a function of canonically aligned faces.

    It is deliberately not a Keras layer: a trainer can hold it without saving its weights in every checkpoint or
    counting them as its own.

    Args:
        path: ``.keras`` file of a network with one input (N, 112, 112, 3), RGB in [0, 255], and one output (N, D).
        layers: names of layers of the file's network whose outputs ``features`` returns.
        canonical_size: side in pixels of the canonical crop.
        region: (top, left, height, width) in pixels: the part of the canonical crop that the images show; negative
            offsets add a margin. None: the whole crop. Pixels that the warp needs beyond the images are mirrored.
        dtype: Keras dtype policy of the computation, independent of the global policy.

    Attributes:
        input_shape: (height, width, 3) of the accepted images.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not a Keras file, a network of another shape, or an unknown layer name.
    """

    def __init__(self, path, layers=(), canonical_size=CROP_SIZE, region=None, dtype="float32"):
        self.path = str(path)
        self.layer_names = tuple(layers)
        self._network = _load_frozen(path, self.layer_names, dtype)
        top, left, height, width = region or (0, 0, canonical_size, canonical_size)
        self.input_shape = (height, width, 3)
        scale, shift = arcface_scale_and_shift(canonical_size)
        target = np.arange(ARCFACE_SIZE)
        # A sampling step above one pixel (large crops) needs a filter as wide as the step.
        filter_width = max(1.0, 1.0 / scale)
        self._rows = interpolation_matrix((target - shift[1]) / scale - top, height, filter_width)
        self._columns = interpolation_matrix((target - shift[0]) / scale - left, width, filter_width)

    def __call__(self, images, normalise=False):
        """Embed faces.

        Args:
            images: float (N, height, width, 3), RGB in [0, 1], canonical alignment.
            normalise: divide each embedding by its Euclidean length.

        Returns:
            float32 (N, D).

        Raises:
            ValueError: images of another size than ``input_shape``.
        """
        embedding = self.features(images)[0]
        return ops.normalize(embedding, axis=-1, epsilon=1e-6) if normalise else embedding

    def features(self, images):
        """The embedding and the outputs of the layers in ``layers``, in one pass.

        Args:
            images: as in ``__call__``.

        Returns:
            float32 (N, D), and a dictionary from layer name to float32 activations (N, h, w, c).
        """
        outputs = self._network(self.warp(images) * 255.0, training=False)
        layers = {name: ops.cast(outputs[f"layer/{name}"], "float32") for name in self.layer_names}
        return ops.cast(outputs["output"], "float32"), layers

    def warp(self, images):
        """Warp faces (N, height, width, 3) from canonical alignment to (N, 112, 112, 3) at the ArcFace points."""
        if tuple(images.shape[1:]) != self.input_shape:
            raise ValueError(
                f"this identity network takes images of shape (N, {', '.join(map(str, self.input_shape))}), "
                f"got {tuple(images.shape)}"
            )
        images = ops.cast(images, "float32")
        images = ops.einsum("vh,nhwc->nvwc", self._rows, images)
        return ops.einsum("uw,nvwc->nvuc", self._columns, images)


def _load_frozen(path, layer_names, dtype):
    """The network of a Keras file, frozen with a dtype policy, with "output" (the embedding) and the named layers."""
    network, name = read_keras_file(path, "an identity network"), pathlib.Path(path).name
    wanted = (None, ARCFACE_SIZE, ARCFACE_SIZE, 3)
    inputs, outputs = getattr(network, "inputs", None) or [], getattr(network, "outputs", None) or []
    shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
    if len(inputs) != 1 or len(outputs) != 1 or shapes[0] != wanted or len(shapes[1]) != 2:
        raise ValueError(
            f"{name} is not an identity network: it must have one input {wanted} and one output (None, D), but has the "
            f"input and output shapes {shapes}"
        )
    return frozen_with_layers(network, name, layer_names, dtype)
