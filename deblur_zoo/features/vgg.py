"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015, table 1, configurations D and E) up to the last pooling layer.

Input: float RGB in [0, 1], NHWC, large enough to leave a pixel at the deepest requested layer (pool5: 32x32).
Output: activations by layer name, float32.

Layers have their original names: conv1_1 (before the ReLU), relu1_1, pool1, ..., pool5. Keras's names, block1_conv1
(after the ReLU) and block1_pool, also work. Convolutions are 3x3 with zero padding, pooling is 2x2 maxima of stride 2
that drop an odd last row or column, as in Keras and torchvision.

Weight files, by suffix:

- ``.h5``: that of keras.applications, with or without the fully connected layers. The original Caffe weights: BGR in
  [0, 255] minus the mean (103.939, 116.779, 123.68).
- ``.safetensors`` or ``.npz``: torchvision's state dictionary. Its own training: RGB in [0, 1] minus the mean
  (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
"""

import re

import keras
import numpy as np

from deblur_zoo.features import weight_files
from deblur_zoo.features.input_conversion import InputConversion
from deblur_zoo.features.network import FeatureNetwork, checked_layers_and_scales

BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
KERAS_INPUT = InputConversion((0, 255), "bgr", mean=(103.939, 116.779, 123.68))
TORCHVISION_INPUT = InputConversion((0, 1), "rgb", mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
# The classifier, which some files contain; it is not used.
_KERAS_TOP = ("fc1", "fc2", "predictions")


class PlainNetwork(FeatureNetwork):
    """A chain of convolutions, ReLUs and poolings with given weights, up to the deepest requested layer.

    Args:
        title: what the network is, for error messages.
        blocks: number of convolutions of each block.
        convolutions: dict of conv name to (kernel (3, 3, in, out), bias (out,)), complete.
        conversion: the ``InputConversion``.
        layers, scales: as in ``FeatureNetwork``.
        dtype: Keras dtype policy of the computation, independent of the global policy.

    Attributes:
        minimum_size: smallest height and width of images, in pixels.
    """

    def __init__(self, title, blocks, convolutions, conversion, layers, scales, dtype):
        super().__init__(title, layers, scales)
        originals = original_names(title, blocks, self.layer_names)
        self._conversion = conversion
        self._network = _build(blocks, convolutions, set(originals), dtype)
        self._originals = dict(zip(self.layer_names, originals, strict=True))
        known = layer_names(blocks)
        deepest = max(known.index(name) for name in originals)
        self.minimum_size = 2 ** sum(name.startswith("pool") for name in known[: deepest + 1])

    def _activations(self, images):
        smallest = min((side for side in images.shape[1:3] if side is not None), default=self.minimum_size)
        if smallest < self.minimum_size:
            raise ValueError(
                f"these layers of {self.title} need images of at least {self.minimum_size}x{self.minimum_size} "
                f"pixels, got {tuple(images.shape)}"
            )
        outputs = self._network(self._conversion(images), training=False)
        return {name: outputs[original] for name, original in self._originals.items()}


class VGG(PlainNetwork):
    """VGG-16 or VGG-19 with the weights of a published file.

    Args:
        depth: 16 or 19.
        weights: path of the file (see the module), or "imagenet", which keras.applications downloads once.
        layers: names of layers, such as relu3_3 or block3_conv3.
        scales: see ``FeatureNetwork``.
        dtype: Keras dtype policy of the computation, independent of the global policy.
        widths: channels of the five blocks; other values are for custom files.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: an unsupported, incomplete or mismatched file, or an unknown layer name.
    """

    def __init__(self, depth, weights, layers, scales=None, dtype="float32", widths=WIDTHS):
        if depth not in BLOCKS:
            raise ValueError(f"the depth of a VGG network must be 16 or 19, got {depth!r}")
        title, blocks = f"VGG-{depth}", BLOCKS[depth]
        # Before reading the file, which may take seconds.
        checked_layers_and_scales(title, layers, scales)
        original_names(title, blocks, layers)
        shapes = kernel_shapes(blocks, widths)
        if str(weights) == "imagenet":
            convolutions, conversion = _download(depth, shapes), KERAS_INPUT
        else:
            path = weight_files.existing_file(weights, title, (".h5", ".safetensors", ".npz"))
            if path.suffix.lower() == ".h5":
                names = {name: _keras_name(name) for name in shapes}
                found = weight_files.read_keras_layers(path, skip=_KERAS_TOP)
                convolutions, conversion = checked_convolutions(path, title, shapes, names, found), KERAS_INPUT
            else:
                names = dict(zip(shapes, _torchvision_names(blocks), strict=True))
                found = _pairs(weight_files.read_state_dict(path, skip=("classifier.",)))
                convolutions, conversion = checked_convolutions(path, title, shapes, names, found), TORCHVISION_INPUT
        super().__init__(title, blocks, convolutions, conversion, layers, scales, dtype)


def layer_names(blocks):
    """The original names of all layers, in order."""
    names = []
    for block, count in enumerate(blocks, start=1):
        for index in range(1, count + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return names


def original_names(title, blocks, layers):
    """The original names of layers, which may be given by Keras's names.

    Raises:
        ValueError: an unknown layer.
    """
    known = layer_names(blocks)
    originals = []
    for name in layers:
        original = re.sub(r"^block(\d)_conv(\d)$", r"relu\1_\2", str(name))
        original = re.sub(r"^block(\d)_pool$", r"pool\1", original)
        if original not in known:
            raise ValueError(
                f"{title} has no layer {name!r}; its layers are {', '.join(known)}, or by Keras's names "
                f"block1_conv1 to block{len(blocks)}_pool"
            )
        originals.append(original)
    return originals


def kernel_shapes(blocks, widths=WIDTHS):
    """dict of conv name to the shape of its kernel, in order."""
    shapes, inputs = {}, 3
    for block, (count, width) in enumerate(zip(blocks, widths, strict=True), start=1):
        for index in range(1, count + 1):
            shapes[f"conv{block}_{index}"] = (3, 3, inputs, width)
            inputs = width
    return shapes


def checked_convolutions(path, title, shapes, names, found):
    """Check all convolutions of a file, and return them by their original names.

    Args:
        path: the file, for error messages.
        title: what the network is, for error messages.
        shapes: dict of original name to the kernel's shape.
        names: dict of original name to the name in the file.
        found: dict of name in the file to [kernel (H, W, in, out), bias]; must have no others.

    Returns:
        dict of original name to (kernel, bias), float32.

    Raises:
        ValueError: one is missing, surplus, of another shape, or not finite.
    """
    begin = f"{path.name} is not a complete weight file of {title}: "
    for name in names.values():
        if name not in found:
            raise ValueError(f"{begin}it has no {name}")
    surplus = sorted(set(found) - set(names.values()))
    if surplus:
        raise ValueError(f"{begin}its {surplus[0]} is not part of the network")
    convolutions = {}
    for original, name in names.items():
        wanted = [shapes[original], shapes[original][-1:]]
        shape = [tuple(np.shape(array)) for array in found[name]]
        if shape != wanted:
            raise ValueError(f"{begin}{name} must have the shapes {wanted}, got {shape}")
        arrays = [np.asarray(array) for array in found[name]]
        if not all(array.dtype.kind == "f" and np.all(np.isfinite(array)) for array in arrays):
            raise ValueError(f"{begin}{name} contains non-finite numbers")
        convolutions[original] = tuple(array.astype(np.float32) for array in arrays)
    return convolutions


def _keras_name(name):
    return re.sub(r"^conv(\d)_(\d)$", r"block\1_conv\2", name)


def _torchvision_names(blocks):
    """Names of the convolutions; torchvision numbers convolutions, ReLUs and poolings in one list."""
    return [f"features.{position}" for position, name in enumerate(layer_names(blocks)) if name.startswith("conv")]


def _pairs(tensors):
    """Tensors NAME.weight (out, in, H, W) and NAME.bias by NAME, kernels in Keras's layout; others by their names."""
    found = {}
    for name in sorted(tensors):
        base, _, last = name.rpartition(".")
        if last == "weight" and f"{base}.bias" in tensors and tensors[name].ndim == 4:
            found[base] = [tensors[name].transpose(2, 3, 1, 0), tensors[f"{base}.bias"]]
        elif not (last == "bias" and f"{base}.weight" in tensors and tensors[f"{base}.weight"].ndim == 4):
            found[name] = [tensors[name]]
    return found


def _download(depth, shapes):
    before = keras.config.dtype_policy()
    # A half-precision policy would round its weights.
    keras.config.set_dtype_policy("float32")
    try:
        network_class = {16: keras.applications.VGG16, 19: keras.applications.VGG19}[depth]
        network = network_class(include_top=False, weights="imagenet")
        return {name: tuple(network.get_layer(_keras_name(name)).get_weights()) for name in shapes}
    except Exception as error:  # a failed download raises many types, a wrong checksum another one
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"the ImageNet weights of VGG-{depth} could not be downloaded ({type(error).__name__}: {reason}): give the "
            f"path of vgg{depth}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        ) from error
    finally:
        keras.config.set_dtype_policy(before)


def _build(blocks, convolutions, wanted, dtype):
    """The frozen network up to the deepest wanted layer, with a dictionary of outputs by original name."""
    x = inputs = keras.Input((None, None, 3), dtype="float32")
    outputs, weights = {}, []
    for name in layer_names(blocks):
        if name.startswith("conv"):
            kernel, bias = convolutions[name]
            layer = keras.layers.Conv2D(
                kernel.shape[-1], kernel.shape[:2], padding="same", data_format="channels_last", name=name, dtype=dtype
            )
            weights.append((layer, [kernel, bias]))
        elif name.startswith("relu"):
            layer = keras.layers.ReLU(name=name, dtype=dtype)
        else:
            layer = keras.layers.MaxPooling2D(2, data_format="channels_last", name=name, dtype=dtype)
        x = layer(x)
        if name in wanted:
            outputs[name] = x
        if len(outputs) == len(wanted):
            break
    network = keras.Model(inputs, outputs)
    for layer, values in weights:
        layer.set_weights(values)
    network.trainable = False
    return network
