"""A wide network that starts as a copy of a narrow one: same outputs, and all of its channels learn."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from deblur_zoo.models.deblurrer import Deblurrer
from deblur_zoo.models.enhancement_gan import EnhancementGan
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.models.semantic_face import SemanticFace
from deblur_zoo.models.umsn import Umsn
from trainers.runs.widening import TOLERANCE, widen

NARROW = dict(
    width=4, residual_blocks=2, first_kernel=3, kernel_size=3, scale=2, parser_widths=(4, 5, 6), image_skip=True,
    channel_attention=True,
)  # fmt: skip


def built(model, seed=0):
    """With random weights everywhere, so that no layer hides behind zeros."""
    model(np.zeros((1, 32, 32, 3), "float32"))
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(weight + random.normal(scale=0.02, size=weight.shape))
    return model


def outputs(model):
    return np.asarray(model.run(np.random.default_rng(5).uniform(size=(2, 40, 48, 3)).astype("float32")))


def test_the_wide_network_computes_what_the_narrow_one_does():
    narrow, wide = built(SemanticFace(**NARROW)), built(SemanticFace(**{**NARROW, "width": 7, "coarse_width": 5}), 1)
    expected = outputs(narrow)
    assert np.abs(outputs(wide) - expected).max() > 10 * TOLERANCE
    widen(narrow, wide)
    np.testing.assert_allclose(outputs(wide), expected, atol=1e-5)
    np.testing.assert_array_equal(outputs(narrow), expected)


def test_the_new_channels_learn():
    wide = built(SemanticFace(**{**NARROW, "width": 7}), 1)
    widen(built(SemanticFace(**NARROW)), wide)
    kernel = wide.fine.networks[0].full.blocks[0].second.kernel
    before = np.array(kernel)
    wide.compile(keras.optimizers.SGD(1.0), "mse")
    images = np.random.default_rng(2).uniform(size=(2, 32, 32, 3)).astype("float32")
    wide.train_on_batch(images, np.asarray(ops.flip(images, axis=2)))
    moved = np.asarray(kernel) != before
    # From the new inputs to the old outputs, where the kernel began at zero.
    assert (before[:, :, 4:, :4] == 0).all() and moved[:, :, 4:, :4].any()


@pytest.mark.parametrize(
    ("wide", "words"),
    [
        (lambda: SemanticFace(**{**NARROW, "width": 3}), "narrow"),
        (lambda: SemanticFace(**{**NARROW, "residual_blocks": 3}), "layer"),
        (lambda: SemanticFace(**{**NARROW, "kernel_size": 5}), "kernels"),
    ],
)
def test_what_cannot_be_widened(wide, words):
    with pytest.raises(ValueError, match=words):
        widen(built(SemanticFace(**NARROW)), built(wide()))


ONE_STEP = dict(modules=2, kernel_sizes=(1, 3), scale=2, image_skip=True, channel_attention=True)
ENHANCEMENT = dict(blocks=1, enhancement_blocks=1, dense_depth=3, dense_blocks=1, normalization=None, scale=2,
                   channel_attention=True)  # fmt: skip
UMSN = dict(blocks=1, feature_blocks=2, scale=2, pooled=False, dilated=False, normalization=None,
            one_channel_maps=False, channel_attention=True, image_skip=True, parser_width=4)  # fmt: skip


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        # Branches side by side, and the filters' strengths behind the features.
        (
            lambda: OneStep(width=4, reduced_width=2, filter_width=3, **ONE_STEP),
            lambda: OneStep(width=7, reduced_width=3, filter_width=5, **ONE_STEP),
        ),
        # One more branch.
        (
            lambda: OneStep(width=4, reduced_width=2, **ONE_STEP),
            lambda: OneStep(width=5, reduced_width=3, **{**ONE_STEP, "kernel_sizes": (1, 3, 5)}),
        ),
        # Dense blocks, and the dense unit's outputs.
        (
            lambda: EnhancementGan(widths=(3, 4), growth=2, filter_width=3, **ENHANCEMENT),
            lambda: EnhancementGan(widths=(4, 6), growth=3, filter_width=4, **ENHANCEMENT),
        ),
        # Dense blocks again, and the features of four networks.
        (
            lambda: Umsn(width=6, growth=2, last_width=3, feature_width=3, filter_width=3, **UMSN),
            lambda: Umsn(width=10, growth=4, last_width=5, feature_width=4, filter_width=4, **UMSN),
        ),
        (
            lambda: Umsn(width=6, growth=2, last_width=3, **{**UMSN, "scale": 1, "feature_networks": False}),
            lambda: Umsn(width=10, growth=4, last_width=5, **{**UMSN, "scale": 1, "feature_networks": False}),
        ),
    ],
)
def test_concatenated_features_stay_apart(narrow, wide):
    narrow, wide = built(narrow()), built(wide(), 1)
    expected = outputs(narrow)
    assert np.abs(outputs(wide) - expected).max() > 10 * TOLERANCE
    widen(narrow, wide)
    np.testing.assert_allclose(outputs(wide), expected, atol=1e-5)


class Beside(Deblurrer):
    """Does not say that it concatenates."""

    def __init__(self, width):
        super().__init__()
        self.parts = [layers.Conv2D(width, 1), layers.Conv2D(width, 1)]
        self.merge = layers.Conv2D(3, 1)

    def restore(self, images, training=False):
        return self.merge(ops.concatenate([part(images) for part in self.parts], axis=-1))


def test_other_concatenated_features_are_refused():
    with pytest.raises(ValueError, match="beside others"):
        widen(built(Beside(2)), built(Beside(3)))
