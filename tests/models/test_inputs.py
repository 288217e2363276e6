"""Accepted and rejected inputs of the models."""

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo import zoo
from deblur_zoo.models.one_step import OneStep

PICTURE = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["deblurrer", "parser"])
def model(request):
    if request.param == "parser":
        return zoo.load("face_parser", weights=False)
    return OneStep(width=4, reduced_width=4, modules=1, kernel_sizes=(1,), scale=1)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint16", "bool"])
def test_integers_are_refused(model, dtype):
    for pictures in (PICTURE.astype(dtype), ops.convert_to_tensor(PICTURE.astype(dtype))):
        with pytest.raises(TypeError, match=r"divide by 255.*\.deblur\(\)"):
            model(pictures)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 8, 8, 4), (1, 8, 8, 1), (8, 8, 3), (0, 8, 8, 3), (1, 0, 8, 3)])
def test_other_shapes_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\); got the shape"):
        model(np.zeros(shape, np.float32))


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True])
def test_batches_of_no_size_are_refused(model, batch_size):
    act = model.parse if model.kind == "parser" else model.deblur
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
        act(PICTURE, batch_size=batch_size)


def test_a_list_is_refused(model):
    with pytest.raises((TypeError, ValueError)):
        model((PICTURE / 255).tolist())


def test_a_list_of_pictures_is_not_predicted(model):
    """Keras takes a list for several inputs, and would cut each picture into its rows."""
    picture = np.full((8, 8, 3), 0.5, np.float32)
    for pictures in ([picture, picture], [picture], picture):
        with pytest.raises((TypeError, ValueError), match=r"\(N, H, W, 3\)"):
            model.predict(pictures, verbose=0)
    assert model.predict(np.stack([picture, picture]), verbose=0).shape[:3] == (2, 8, 8)


@pytest.mark.parametrize("first", [PICTURE[0] / 255, PICTURE, [PICTURE[0] / 255] * 2], ids=["one", "integers", "list"])
def test_a_model_works_after_a_rejected_first_prediction(first):
    model = OneStep(width=4, reduced_width=4, modules=1, kernel_sizes=(1,), scale=1)
    with pytest.raises((TypeError, ValueError), match=r"\(N, H, W, 3\)|one array"):
        model.predict(first, verbose=0)
    np.testing.assert_allclose(model.predict(PICTURE / 255, verbose=0), np.asarray(model(PICTURE / 255)), atol=1e-6)


def test_channels_first_is_refused_in_one_sentence(model, monkeypatch):
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    for act in (
        lambda: zoo.load("one_step_lite"),
        lambda: zoo.load("face_parser", weights=False),
        lambda: OneStep(width=4),
        lambda: model(np.zeros((1, 8, 8, 3), np.float32)),
    ):
        with pytest.raises(ValueError, match="Keras is set to .channels_first.*needs .channels_last"):
            act()


def test_doubles_and_views_give_what_plain_arrays_do(model):
    plain = (PICTURE / 255).astype(np.float32)
    expected = np.asarray(model(plain))
    # A double is rounded to float32 first.
    np.testing.assert_allclose(np.asarray(model(PICTURE / 255)), expected, atol=1e-6)
    view = np.repeat(plain, 2, axis=2)[:, :, ::2]
    assert not view.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(np.asarray(model(view)), expected, atol=1e-6)
