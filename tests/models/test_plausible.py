import numpy as np
import pytest
from keras import ops

from deblur_zoo.models.deblurrer import Deblurrer, plausible


def images(count=1):
    return np.random.default_rng(0).uniform(0.4, 0.6, (count, 8, 8, 3)).astype("float32")


def test_images_are_judged_one_by_one():
    before = images(3)
    # Root mean squares of 0.2, 0.3 and 0.
    after = before + np.array([0.2, -0.3, 0.0], "float32")[:, None, None, None]
    result = ops.convert_to_numpy(plausible(after, before))
    np.testing.assert_allclose(result[0], after[0], atol=1e-6)
    np.testing.assert_array_equal(result[1:], before[1:])


class Shifted(Deblurrer):
    """Adds a constant to the image, by which a network fails or not."""

    def __init__(self, shift, image_skip):
        super().__init__()
        self.shift, self.settings = shift, {"image_skip": image_skip}

    def restore(self, images, training=False):
        return images + self.shift


@pytest.mark.parametrize(("shift", "image_skip", "kept"), [(0.2, True, True), (0.3, True, False), (0.3, False, True)])
def test_only_networks_that_add_to_the_image_are_judged(shift, image_skip, kept):
    before, model = images(), Shifted(shift, image_skip)
    np.testing.assert_allclose(ops.convert_to_numpy(model(before)), before + shift * kept, atol=1e-6)
    # Losses see what the network did.
    np.testing.assert_allclose(ops.convert_to_numpy(model(before, training=True)), before + shift, atol=1e-6)
