import json

import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.blur.kernels import SHEN_SIZES, make_bank
from deblur_zoo.data import host_blur
from deblur_zoo.data.pair_store import PairStore
from deblur_zoo.evaluation import table
from deblur_zoo.evaluation.camera_protocol import KINDS, REAL_MOTION, CameraProtocol
from deblur_zoo.evaluation.measurement import evaluate


@pytest.fixture(scope="module")
def faces():
    """Smooth images, in which noise stands out."""
    coarse = np.random.default_rng(0).uniform(40, 200, (3, 8, 8, 3))
    return np.clip(ndimage.zoom(coarse, (1, 16, 16, 1), order=1), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs(faces):
    blurred = np.stack([ndimage.uniform_filter(face, (5, 1, 1)) for face in faces[:2]])
    return PairStore(blurred, faces[:2], ["a", "b"], digests=["1", "2"])


def unchanged(images):
    return images


def test_a_row_for_every_kind_and_one_for_real_motion(faces, pairs):
    metrics = table.summary(evaluate(unchanged, faces, CameraProtocol(pairs)))
    assert list(metrics["by_kind"]) == [*KINDS, REAL_MOTION]
    assert metrics["pairs"] == 3 * len(KINDS) + 2 and metrics["by_kind"][REAL_MOTION]["pairs"] == 2
    json.dumps(metrics, allow_nan=False)
    text = table.markdown(metrics)
    assert "| real motion | 2 |" in text and "| large kernels | 3 |" in text and "2 video pairs" in text
    assert REAL_MOTION not in CameraProtocol().groups


def test_made_worse_is_the_share_that_lost(faces, pairs):
    """By hand: of two pairs the first is replaced by its sharp picture, and the second gets a wrong colour."""

    def one_better_one_worse(images):
        return np.stack([pairs.sharp[0] / np.float32(255), np.clip(images[1] + 0.1, 0, 1)])

    protocol = CameraProtocol(pairs, [REAL_MOTION])
    measurement = evaluate(one_better_one_worse, faces, protocol, sharp_in=False)
    metrics = table.summary(measurement)
    assert metrics["overall"]["made_worse"] == 0.5
    assert (measurement.gains > 0).tolist() == [True, False]
    assert "| 50 % |" in table.markdown(metrics)
    assert table.summary(evaluate(unchanged, faces, protocol, sharp_in=False))["overall"]["made_worse"] == 0


def test_stored_values_against_scipy(faces):
    """Noise of 0.01: the blurred picture lies that far from a convolution with one of the test kernels."""
    sharp, blurred = CameraProtocol().pair(faces, "small_kernels", 1)
    np.testing.assert_array_equal(sharp, faces[1])
    bank = make_bank("trajectory", 80, (3, 5, 7, 9), 2026, split="test")
    errors = [
        np.std(ndimage.convolve(faces[1].astype(float), bank.kernel(k)[:, :, None], mode="mirror") - blurred)
        for k in range(80)
    ]
    assert 1.5 < min(errors) < 3.2


def test_jpeg_is_jpeg_of_quality_40(faces):
    _, blurred = CameraProtocol().pair(faces, "jpeg", 0)
    # What has been through JPEG once hardly changes when it goes through again.
    again = host_blur.jpeg(blurred, 40)
    other = host_blur.jpeg(CameraProtocol().pair(faces, "noise", 0)[1], 40)
    assert np.abs(again.astype(int) - blurred).mean() < 0.3
    assert np.abs(other.astype(int) - CameraProtocol().pair(faces, "noise", 0)[1]).mean() > 3


def test_a_pair_depends_on_its_kind_and_place_alone(faces):
    alone = CameraProtocol(kinds=["turning"]).pair(faces[:2], "turning", 1)
    for batch in CameraProtocol().batches(faces, 2):
        if batch.group == "turning" and 1 in batch.faces:
            place = batch.faces.tolist().index(1)
            np.testing.assert_array_equal(batch.blurred[place], alone[1])
            np.testing.assert_array_equal(batch.sharp[place], alone[0])


def test_kernels_are_none_that_training_draws():
    train = make_bank("trajectory", 20, SHEN_SIZES, 2026, split="train")
    test = make_bank("trajectory", 20, SHEN_SIZES, 2026, split="test")
    assert not {k.tobytes() for k in train.kernels} & {k.tobytes() for k in test.kernels}


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [(["wobble"], "'wobble'; accepted: stored_values"), ([REAL_MOTION], "pairs")],
)
def test_bad_kinds(kinds, sentence):
    with pytest.raises(ValueError, match=sentence):
        CameraProtocol(kinds=kinds)
