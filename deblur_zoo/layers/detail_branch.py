"""A branch that restores detail for networks that work at a fraction of the image's resolution."""

from keras import layers, ops

from deblur_zoo.layers.channel_attention import channel_attention


class DetailBranch(layers.Layer):
    """From an image and a network's last features to detail to add to the network's output.

    A network at 1/scale of the resolution learns to output smooth corrections first. Its first and last layer then
    ignore what varies within a block of ``scale`` pixels, and neither of them has a gradient that would change that, so
    noise and slight blur remain. Here a convolution takes each block of pixels over unchanged in content: its kernel
    starts orthogonal. Two 3x3 convolutions see it beside the features. The last layer starts at zero, so that a network
    computes the same with a new branch as without.

    Args:
        width: channels; 3 * scale ** 2 or more keep all pixels of a block.
        scale: of the features.
    """

    def __init__(self, width, scale, **kwargs):
        # The image stays float32 under mixed precision; the layers cast themselves.
        super().__init__(autocast=False, **kwargs)
        self.blocks = layers.Conv2D(
            width, scale, strides=scale, padding="same", kernel_initializer="orthogonal", name="blocks"
        )
        self.mix = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name="mix")
        self.gains = layers.Dense(width, kernel_initializer="zeros", name="gains")
        self.refine = layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name="refine")
        # float32, so that the restored image is not rounded to bfloat16 under mixed precision.
        self.last = layers.Conv2DTranspose(
            3, scale, strides=scale, padding="same", kernel_initializer="zeros", dtype="float32", name="last"
        )

    def build(self, image_shape, features_shape):
        width = self.blocks.filters
        self.blocks.build(image_shape)
        self.mix.build((*features_shape[:-1], features_shape[-1] + width))
        self.gains.build((None, width))
        self.refine.build((*features_shape[:-1], width))
        self.last.build((*features_shape[:-1], width))

    def call(self, image, features):
        """Float (N, H, W, 3) and (N, H / scale, W / scale, C) to float32 (N, H, W, 3)."""
        blocks = self.blocks(image)
        hidden = ops.relu(self.mix(ops.concatenate([ops.cast(features, blocks.dtype), blocks], axis=-1)))
        return self.last(ops.relu(self.refine(channel_attention(hidden, self.gains))))
