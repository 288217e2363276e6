"""What ``deblur_zoo.execution.run`` keeps to on any backend; run as a script to have it under another one.

KERAS_BACKEND=jax python checks_on_backend.py
"""

from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np


def small_model():
    """A network that pads (its sizes divide by 4) and changes its input visibly."""
    from deblur_zoo.models.one_step import OneStep

    model = OneStep(width=8, reduced_width=4, modules=1, kernel_sizes=(1, 3), scale=4, channel_attention=True)
    model.build()
    random = np.random.default_rng(0)
    model.set_weights([0.2 * random.standard_normal(value.shape) for value in model.get_weights()])
    return model


def plain(model, images):
    """The layers one by one."""
    from keras import ops

    return ops.convert_to_numpy(model(images, training=False))


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).random((*shape, 3), dtype=np.float32)


def check_any_size_and_batch(model):
    """The layers' own answer, from one traced graph or one for each size rounded up and power of two."""
    shapes = [(1, 8, 8), (3, 7, 6), (4, 5, 8), (2, 1, 1), (5, 16, 3), (1, 9, 13)]
    expected = [plain(model, pictures(*shape)) for shape in shapes]
    traced = []
    restore = model.restore

    def counting(images, training):
        traced.append(images.shape)
        return restore(images, training=training)

    with mock.patch.object(model, "restore", counting):
        for shape, answer in zip(shapes, expected, strict=True):
            found = model.run(pictures(*shape))
            assert isinstance(found, np.ndarray) and found.dtype == np.float32
            np.testing.assert_allclose(found, answer, atol=1e-5, err_msg=str(shape))
        # Again, and nothing is traced any more.
        seen = len(traced)
        for shape in shapes:
            model.run(pictures(*shape))
        return traced[:seen], len(traced) - seen


def check_changed_weights(model):
    """An answer follows the weights: set, loaded and trained."""
    import keras

    images = pictures(2, 8, 8)
    before = model.run(images)
    model.set_weights([1.3 * value for value in model.get_weights()])
    np.testing.assert_allclose(model.run(images), plain(model, images), atol=1e-5)
    assert np.abs(model.run(images) - before).max() > 1e-3
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
    before = model.run(images)
    model.fit(images, 1 - images, epochs=2, verbose=0)
    after = model.run(images)
    np.testing.assert_allclose(after, plain(model, images), atol=1e-5)
    assert np.abs(after - before).max() > 1e-4


def check_threads(model):
    """Threads that all come first, with pictures of two sizes, get what each would get alone."""
    images = [pictures(1, 8 + 4 * (i % 2), 8, seed=i) for i in range(24)]
    expected = [plain(model, each) for each in images]
    with ThreadPoolExecutor(4) as pool:
        for found, answer in zip(pool.map(model.run, images), expected, strict=True):
            np.testing.assert_allclose(found, answer, atol=1e-5)


if __name__ == "__main__":
    import keras

    traced, again = check_any_size_and_batch(small_model())
    check_changed_weights(small_model())
    check_threads(small_model())
    print(keras.backend.backend(), len(traced), again)
