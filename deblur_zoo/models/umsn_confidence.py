"""Networks that train ``umsn`` and are not shipped: the confidence network and the F-Nets' heads (Yasarla et al. 2020).

The confidence network CN (section III-E) compares a class's region in an estimate with that in the truth and outputs
one number per class and colour channel, which weights the loss. The heads turn each F-Net's features into an image, so
that the F-Nets can be trained before B-Net (section IV-A). They are not in ``Umsn``, because its weight file and
inference graph do not need them.

Deviations from the paper:
- Figure 6 and the published network supply what the text omits. The third block has its own weights, and the blocks
  have
  no shortcut.
- ``scale``, ours: CN's first convolution has 2*scale pixels and stride ``scale``.
"""

import keras
from keras import layers, ops

from deblur_zoo.layers.resampling import halve
from deblur_zoo.models.deblurrer import check_whole_numbers
from deblur_zoo.models.umsn_blocks import DenseBlock, Network, Transition, instance_normalize, stem
from deblur_zoo.models.umsn_heads import Doubling, ImageOutput, NestedDifference
from deblur_zoo.models.umsn_parser import CLASS_NAMES


class ConfidenceNetwork(Network):
    """CN: from pairs of images to the confidence in the first, for each channel.

    Args:
        width: channels between the blocks (published: 16).
        hidden_width: channels inside the blocks (published: 96).
        scale: the blocks work at 1/scale of the resolution (published: 1).
    """

    def __init__(self, width=16, hidden_width=96, scale=1, **kwargs):
        super().__init__(**kwargs)
        check_whole_numbers("ConfidenceNetwork", width=width, hidden_width=hidden_width, scale=scale)
        self.first = (
            layers.Conv2D(width, 3, padding="same", use_bias=False, name="first")
            if scale == 1
            else stem(width, scale, name="first")
        )
        self.blocks = [
            [layers.Conv2D(filters, size, padding="same", use_bias=False, kernel_initializer="he_normal")
             for filters, size in ((hidden_width, 1), (hidden_width, 3), (2 * width, 3))]
            for _ in range(3)
        ]  # fmt: skip
        self.transitions = [Transition(width) for _ in range(4)]
        self.last = layers.Dense(3, dtype="float32", name="last")

    def call(self, pairs):
        """Float (N, H, W, 6), two images with sides of at least 8 times ``scale``, to float32 (N, 3) in (0, 1)."""
        features = halve(self.transitions[0](self.first(pairs)))
        for i, block in enumerate(self.blocks):
            for convolution in block:
                features = convolution(ops.relu(instance_normalize(features)))
            features = self.transitions[i + 1](features)
            if i < len(self.blocks) - 1:
                features = halve(features)
        means = ops.mean(ops.cast(features, "float32"), axis=(1, 2))
        return ops.sigmoid(self.last(ops.sigmoid(means)))

    def confidences(self, truth, estimate, masks):
        """C_i of eq. 4.

        Args:
            truth, estimate: float (N, H, W, 3), in [0, 1].
            masks: float (N, H, W, M), of the sharp image.

        Returns:
            float32 (N, M, 3).
        """
        pairs = [
            ops.concatenate([masks[..., i : i + 1] * estimate, masks[..., i : i + 1] * truth], axis=-1)
            for i in range(masks.shape[-1])
        ]
        # The classes are concatenated along the batch.
        found = self(ops.concatenate(pairs, axis=0))
        return ops.transpose(ops.reshape(found, (masks.shape[-1], -1, 3)), (1, 0, 2))


class FeatureHead(Network):
    """The rest of a first-stage network: from an F-Net's features to its image (figure 5).

    Args:
        settings: dict of ``UmsnTrainingNetworks``' arguments.
    """

    def __init__(self, settings, **kwargs):
        super().__init__(autocast=False, **kwargs)
        width, common = settings["feature_width"], {"normalization": settings["normalization"]}
        self.width = width
        self.block = DenseBlock(width, 3 * width, **common, name="block")
        self.doubling = Doubling(width, settings["pooled"], **common, name="doubling")
        self.difference = NestedDifference(width, settings["scale"], name="difference")
        self.output_head = ImageOutput(settings["scale"], settings["image_skip"], name="output_head")

    def call(self, images, maps, features):
        """From images (N, H, W, 3) in [0, 1], the class's map (N, H, W, 1) and features to the deblurred image."""
        found = self.doubling(self.block(features))
        inputs = ops.concatenate([2 * images - 1, maps], axis=-1)
        return self.output_head.image(images, self.output_head(self.difference(inputs, found)))


@keras.saving.register_keras_serializable("deblur_zoo")
class UmsnTrainingNetworks(keras.Model):
    """``model.confidence`` and ``model.heads``, a list of one head per class.

    Args:
        feature_width, scale, pooled, normalization, image_skip: as in the trained ``Umsn``.
        confidence: dict of ``ConfidenceNetwork``'s arguments.

    Raises:
        ValueError: invalid arguments.
    """

    def __init__(self, feature_width=16, scale=1, pooled=True, normalization="instance", image_skip=False,
                 confidence=None, **kwargs):  # fmt: skip
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        check_whole_numbers("UmsnTrainingNetworks", feature_width=feature_width, scale=scale)
        self.settings = {"feature_width": feature_width, "scale": scale, "pooled": bool(pooled),
                         "normalization": normalization, "image_skip": bool(image_skip)}  # fmt: skip
        self.arguments = dict(confidence or {})
        self.confidence = ConfidenceNetwork(**self.arguments, name="confidence")
        self.heads = [FeatureHead(self.settings, name=f"head_of_{name}") for name in CLASS_NAMES]
        # Built part by part, since no single call runs through all of them.
        self.confidence(ops.zeros((1, 64, 64, 6)))
        side = 2 * scale * (1 + self.settings["pooled"])
        small = side // scale // (1 + self.settings["pooled"])
        for head in self.heads:
            head(
                ops.zeros((1, side, side, 3)),
                ops.zeros((1, side, side, 1)),
                ops.zeros((1, small, small, feature_width)),
            )
        self.built = True

    def build(self, input_shape=None):
        """Does nothing: the constructor creates all weights."""
        self.built = True

    def call(self, images, training=False):
        raise NotImplementedError("UmsnTrainingNetworks cannot be called: call its parts, confidence and heads")

    def get_config(self):
        return {**super().get_config(), **self.settings, "confidence": self.arguments}
