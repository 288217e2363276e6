import numpy as np
import pytest
from keras import ops

from deblur_zoo.layers.mirror_padding import pad_to_multiple


def numpy_mirror(images, divisor):
    """NumPy's reflect padding, repeated because it wraps more than once on small images."""
    _, height, width, _ = images.shape
    pads = [(0, 0), (0, -height % divisor), (0, -width % divisor), (0, 0)]
    return np.pad(images, pads, mode="reflect")


@pytest.mark.parametrize("height,width,divisor", [(1, 1, 4), (2, 3, 8), (7, 13, 8), (5, 8, 4), (131, 97, 8), (8, 8, 8)])
def test_equals_numpy_reflect(height, width, divisor):
    images = np.random.default_rng(0).uniform(size=(2, height, width, 3)).astype("float32")
    padded = ops.convert_to_numpy(pad_to_multiple(images, divisor))
    np.testing.assert_array_equal(padded, numpy_mirror(images, divisor))


def test_dynamic_size_in_a_graph():
    tf = pytest.importorskip("tensorflow")
    graph = tf.function(lambda x: pad_to_multiple(x, 8), input_signature=[tf.TensorSpec((None, None, None, 3))])
    for height, width in [(1, 1), (7, 13), (16, 9)]:
        images = np.random.default_rng(1).uniform(size=(1, height, width, 3)).astype("float32")
        np.testing.assert_array_equal(graph(images).numpy(), numpy_mirror(images, 8))


def test_nothing_to_do_gives_the_same_tensor():
    images = ops.ones((1, 16, 24, 3))
    assert pad_to_multiple(images, 8) is images
