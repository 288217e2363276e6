"""Camera-like samples among a training run's pairs."""

import numpy as np
import pytest

from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import camera_blur, host_synthesis
from deblur_zoo.data.camera_blur import KIND_CODES, CameraBlur
from deblur_zoo.data.device_synthesis import DeviceRenderer
from deblur_zoo.data.kernel_mixture import KernelMixture
from deblur_zoo.data.places import choose_place
from deblur_zoo.data.synthesis import PairMaker, Synthesis

BANKS = {"linear": make_bank("linear", 6, (9,))}
KERNELS = KernelMixture({"trajectory": make_bank("trajectory", 6, (3, 7))}, {"trajectory": 1.0})


@pytest.fixture(scope="module")
def faces():
    return np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)


def maker(faces, camera=None, **arguments):
    synthesis = Synthesis(crop_size=32, shares={"linear": 1.0}, unblurred_share=0.2, camera=camera)
    return PairMaker(faces, BANKS, synthesis, 3, camera_kernels=KERNELS, **arguments)


def test_other_samples_stay_what_they_are(faces):
    plain, mixed = maker(faces), maker(faces, CameraBlur(share=0.5))
    kinds = mixed.plans(0, 300)["camera"]
    # Standard error sqrt(0.25 / 300) = 0.029; four of them.
    assert abs((kinds > 0).mean() - 0.5) < 0.12 and set(kinds) <= {0, *KIND_CODES.values()}
    for number in range(40):
        one, other = plain.pair(number), mixed.pair(number)
        plan = mixed.plan(number)
        if not plan["camera"] or plan["unblurred"]:
            np.testing.assert_array_equal(one, other)
        else:
            assert not np.array_equal(one[0], other[0])
        assert all(np.array_equal(plain.plan(number)[name], plan[name]) for name in plain.plan(number))


def test_a_camera_sample_is_what_camera_blur_renders(faces):
    camera = CameraBlur(share=1.0, kinds={"turning": 1.0})
    mixed = maker(faces, camera)
    number = next(n for n in range(20) if not mixed.plan(n)["unblurred"])
    plan = mixed.plan(number)
    generator = np.random.default_rng([3, 4, KIND_CODES["turning"], *plan["key"].tolist()])
    code = KIND_CODES["turning"]
    expected = camera_blur.render(faces[plan["face"]], plan["matrix"], code, generator, camera, KERNELS, 32)
    for found, wanted in zip(mixed.pair(number), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_second_kind_does_not_change_the_first(faces):
    """Shares of 1 to 3 and of 1 to 1: samples that are of the first kind in both are the same."""
    one = maker(faces, CameraBlur(share=1.0, kinds={"defocus": 1, "turning": 3}))
    other = maker(faces, CameraBlur(share=1.0, kinds={"defocus": 1, "turning": 1}))
    same = [n for n in range(40) if one.plan(n)["camera"] == other.plan(n)["camera"]]
    assert 10 < len(same) < 40
    for number in same:
        np.testing.assert_array_equal(one.pair(number), other.pair(number))


def test_labels_are_warped_as_those_of_other_samples(faces):
    labels = np.random.default_rng(1).integers(0, 11, (5, 40, 40), dtype=np.uint8)
    mixed = maker(faces, CameraBlur(share=1.0), labels=labels)
    for number in range(8):
        plan = mixed.plan(number)
        warped = host_synthesis.warp_labels(labels[plan["face"]], plan["matrix"], 32)
        expected = mixed.mirrored_classes[warped] if plan["mirrored"] else warped
        np.testing.assert_array_equal(mixed.pair(number)[2], expected)
    # With outlines alone there are no labels.
    assert len(maker(faces, CameraBlur(share=1.0), outlines=labels).pair(0)) == 2


def test_the_device_refuses_them(faces):
    mixed = maker(faces, CameraBlur())
    with pytest.raises(ValueError, match="camera-like blur.*'host'"):
        DeviceRenderer(mixed)
    assert choose_place("auto", mixed.synthesis) == "host"
    with pytest.raises(ValueError, match="camera_kernels"):
        PairMaker(faces, BANKS, Synthesis(shares={"linear": 1.0}, camera=CameraBlur()), 0)
