import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.blur.kernels import SHEN_SIZES, make_bank
from deblur_zoo.data import host_blur
from deblur_zoo.data.pair_store import PairStore
from deblur_zoo.evaluation import runs
from deblur_zoo.evaluation.camera_protocol import KINDS, REAL_MOTION, CameraProtocol
from deblur_zoo.evaluation.measures import Quality
from deblur_zoo.evaluation.methods import Method, restoring
from deblur_zoo.evaluation.protocols import TestSet


@pytest.fixture(scope="module")
def faces():
    """Smooth images, in which noise stands out."""
    coarse = np.random.default_rng(0).uniform(40, 200, (3, 8, 8, 3))
    return np.clip(ndimage.zoom(coarse, (1, 16, 16, 1), order=1), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs(faces):
    blurred = np.stack([ndimage.uniform_filter(face, (5, 1, 1)) for face in faces[:2]])
    return PairStore(blurred, faces[:2], ["x/clip.mp4.tfrecord: 1", "x/clip.mp4.tfrecord: 2"], digests=["1", "2"])


def gains(function, faces, protocol, folder):
    """The frame's rows of a function, measured by a protocol."""
    test_set = TestSet("camera", protocol, faces, list("abc"), list("abc"), None)
    method = Method("method", restoring(function), {})
    frame = runs.frame_of(runs.run_all([method], [test_set], [Quality()], folder))
    return frame[frame["method"] == "method"]


def test_a_row_for_every_kind_and_one_for_real_motion(faces, pairs, tmp_path):
    protocol = CameraProtocol(pairs)
    found = gains(lambda images: images, faces, protocol, tmp_path)
    assert list(found["group"].unique()) == [*KINDS, REAL_MOTION] == protocol.groups
    assert len(found) == protocol.count(3) == 3 * len(KINDS) + 2
    moving = found[found["group"] == REAL_MOTION]
    # A clip counts as one face.
    assert len(set(moving["pair"])) == 2 and set(moving["face"]) == {"clip"}
    assert found.loc[found["group"] == "jpeg", "face"].tolist() == list("abc")
    assert (found["gain"] == 0).all() and not found["made_worse"].any()
    assert REAL_MOTION not in CameraProtocol().groups


def test_made_worse_is_the_share_that_lost(faces, pairs, tmp_path):
    """By hand: of two pairs the first is replaced by its sharp picture, and the second gets a wrong colour."""

    def one_better_one_worse(images):
        return np.stack([pairs.sharp[0] / np.float32(255), np.clip(images[1] + 0.1, 0, 1)])

    found = gains(one_better_one_worse, faces, CameraProtocol(pairs, [REAL_MOTION]), tmp_path)
    assert found["made_worse"].tolist() == [0, 1] and (found["gain"] > 0).tolist() == [True, False]


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
