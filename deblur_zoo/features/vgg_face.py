"""VGG-Face (Parkhi, Vedaldi and Zisserman 2015): the layers of VGG-16, trained on faces, up to the last pooling layer.

Input: float RGB in [0, 1], NHWC, large enough to leave a pixel at the deepest requested layer (pool5: 32x32).
Output: activations by layer name, float32.

Layer names as in ``vgg``: conv1_1 (before the ReLU), relu1_1, pool1, ..., pool5. The network was trained on faces with
some context, scaled to 224x224; like the papers, this class does not resize faces.

Weight files, by suffix:

- ``.mat``: the published MatConvNet file, ``vgg_face.mat`` or ``vgg-face.mat``. RGB in [0, 255] minus the mean
  (129.1863, 104.7624, 93.5940).
- ``.h5``: the conversion by keras-vggface, ``rcmalli_vggface_tf_notop_vgg16.h5`` or with the classifier. It was made
  from the Caffe file: BGR, the same mean reversed.
"""

from deblur_zoo.features import weight_files
from deblur_zoo.features.input_conversion import InputConversion
from deblur_zoo.features.network import checked_layers_and_scales
from deblur_zoo.features.vgg import (
    BLOCKS,
    WIDTHS,
    PlainNetwork,
    checked_convolutions,
    kernel_shapes,
    original_names,
)

MEAN = (129.1863, 104.7624, 93.5940)
MATCONVNET_INPUT = InputConversion((0, 255), "rgb", mean=MEAN)
KERAS_INPUT = InputConversion((0, 255), "bgr", mean=MEAN[::-1])


class VGGFace(PlainNetwork):
    """VGG-Face with the weights of a published file.

    Args:
        weights: path of the file (see the module).
        layers: names of layers, such as pool2, pool5 and relu1_2.
        scales: see ``FeatureNetwork``.
        dtype: Keras dtype policy of the computation, independent of the global policy.
        widths: channels of the five blocks; other values are for custom files.

    Raises:
        FileNotFoundError: the file does not exist.
        ImportError: a .mat file, and SciPy is not installed.
        ValueError: an unsupported, incomplete or mismatched file, or an unknown layer name.
    """

    def __init__(self, weights, layers, scales=None, dtype="float32", widths=WIDTHS):
        title, blocks = "VGG-Face", BLOCKS[16]
        # Before reading the file, which may take seconds.
        checked_layers_and_scales(title, layers, scales)
        original_names(title, blocks, layers)
        path = weight_files.existing_file(weights, title, (".mat", ".h5"))
        if path.suffix.lower() == ".mat":
            found, conversion = weight_files.read_matconvnet_layers(path), MATCONVNET_INPUT
        else:
            found, conversion = weight_files.read_keras_layers(path, skip=("fc",)), KERAS_INPUT
        # The fully connected layers, stored as convolutions by MatConvNet, are not used.
        found = {name: arrays for name, arrays in found.items() if not name.startswith("fc")}
        shapes = kernel_shapes(blocks, widths)
        convolutions = checked_convolutions(path, title, shapes, {name: name for name in shapes}, found)
        super().__init__(title, blocks, convolutions, conversion, layers, scales, dtype)
