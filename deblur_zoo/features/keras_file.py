"""Named layers of any network in a Keras file."""

from deblur_zoo.features.frozen_model import frozen_with_layers, read_keras_file
from deblur_zoo.features.input_conversion import InputConversion
from deblur_zoo.features.network import FeatureNetwork


class KerasFileNetwork(FeatureNetwork):
    """A network of a ``.keras`` file, frozen.

    Args:
        weights: path of the file: one input (N, H, W, 3), of fixed or any H and W.
        layers: names of layers of the file's network.
        input_range: (low, high): the network's values for black and white, such as (0, 255) or (-1, 1).
        size: (height, width) to which images are resized first; None: as they are.
        channel_order: "rgb" or "bgr".
        mean, deviation: three numbers each in the network's order and range, to subtract and then divide by.
        scales: see ``FeatureNetwork``.
        dtype: Keras dtype policy of the computation, independent of the global policy.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not a Keras file, a network of another shape, an unknown layer, or an invalid conversion.
    """

    def __init__(
        self,
        weights,
        layers,
        input_range,
        size=None,
        channel_order="rgb",
        mean=(0.0, 0.0, 0.0),
        deviation=(1.0, 1.0, 1.0),
        scales=None,
        dtype="float32",
    ):
        super().__init__("a network of a Keras file", layers, scales)
        self._conversion = InputConversion(input_range, channel_order, mean, deviation, size)
        network, name = read_keras_file(weights, "a feature network"), str(weights)
        shapes = [tuple(tensor.shape) for tensor in getattr(network, "inputs", None) or []]
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
            raise ValueError(f"{name} must have one input (None, H, W, 3), but has the input shapes {shapes}")
        self._input_shape = shapes[0][1:3]
        if size is not None and not self._takes(tuple(size)):
            raise ValueError(f"{name} takes images of {self._input_shape} pixels, but size is {tuple(size)}")
        self._network = frozen_with_layers(network, name, self.layer_names, dtype)

    def _takes(self, size):
        pairs = zip(size, self._input_shape, strict=True)
        return all(side is None or wanted is None or side == wanted for side, wanted in pairs)

    def _activations(self, images):
        if self._conversion.size is None and not self._takes(images.shape[1:3]):
            raise ValueError(
                f"this network of a Keras file takes images of {self._input_shape} pixels, got {tuple(images.shape)}: "
                "give a size to resize them to"
            )
        outputs = self._network(self._conversion(images), training=False)
        return {name: outputs[f"layer/{name}"] for name in self.layer_names}
