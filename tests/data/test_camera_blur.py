"""Each kind of camera-like blur against SciPy, scikit-image, or values worked out by hand."""

import math

import cv2
import numpy as np
import pytest

from deblur_zoo.blur import light, motion
from deblur_zoo.blur.defocus import disc_kernel
from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data import camera_blur, moving_picture
from deblur_zoo.data.augmentation import Augmentation, warp_matrix
from deblur_zoo.data.camera_blur import KIND_CODES, CameraBlur
from deblur_zoo.data.kernel_mixture import KernelMixture

SIDE, SIZE = 80, 64
STILL = warp_matrix((SIDE, SIDE), SIZE, 1.0, 0.0, 0.0, 0.0, False)
CLEAN = {"noise": (0.0, 0.0), "resize_share": 0.0, "jpeg_share": 0.0, "gain": (1.0, 1.0)}


@pytest.fixture(scope="module")
def face():
    """A smooth picture, so that interpolation of any kind says nearly the same, and a few sharp edges of it."""
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = [np.sin(x / 7 + k) * np.cos(y / 9 - k) for k in range(3)]
    picture = 120 + 80 * np.stack(waves, axis=-1)
    picture[30:50, 20:30] = 230
    return picture.astype(np.uint8)


@pytest.fixture(scope="module")
def kernels():
    return KernelMixture({"trajectory": make_bank("trajectory", 8, (7, 9, 12))}, {"trajectory": 1.0})


def render(face, kernels, kind, seed=0, labels=None, **settings):
    settings = CameraBlur(**{**CLEAN, **settings})
    return camera_blur.render(
        face, STILL, KIND_CODES[kind], np.random.default_rng(seed), settings, kernels, SIZE, labels
    )


def central(face):
    margin = (SIDE - SIZE) // 2
    return face[margin : margin + SIZE, margin : margin + SIZE]


@pytest.mark.parametrize("linear", [0.0, 1.0])
def test_a_kernel_is_convolved_with_light_or_with_stored_values(face, kernels, linear):
    ndimage = pytest.importorskip("scipy.ndimage")
    blurred, sharp = render(face, kernels, "kernel", linear_light=linear)
    np.testing.assert_array_equal(sharp, central(face))
    exponent = 2.2 if linear else 1.0
    values = (face / 255.0) ** exponent
    expected = {
        index: np.clip(
            np.stack([ndimage.convolve(values[..., c], kernels.kernel(index)) for c in range(3)], axis=-1), 0, 1
        )
        ** (1 / exponent)
        for index in range(8)
    }
    errors = {index: np.abs(blurred - 255 * central(picture)).max() for index, picture in expected.items()}
    # One of the kernels fits to half a grey level of rounding, and no other one.
    assert min(errors.values()) < 0.51
    assert sorted(errors.values())[1] > 3


def test_gain_clips_highlights_of_both_pictures(face, kernels):
    blurred, sharp = render(face, kernels, "kernel", linear_light=1.0, gain=(2.0, 2.0))
    # 230 / 255 squared 2.2 times twice is above 1; 100 / 255 becomes (2 * (100 / 255)**2.2)**(1 / 2.2) = 0.5374.
    assert (sharp[central(face) == 230] == 255).all()
    assert (sharp[central(face) == 100] == 137).all()
    assert blurred.max() == 255
    # Light is added up before the sensor clips it: around the clipped patch the blurred picture is brighter than a
    # blurred copy of the clipped one.
    clipped = (sharp / 255.0) ** 2.2
    assert (blurred / 255.0).mean() > (clipped.mean() ** (1 / 2.2)) * 0.95


def test_turning_is_the_mean_of_scikit_image_warps(face):
    transform = pytest.importorskip("skimage.transform")
    place = motion.similarity(
        np.radians(np.linspace(-4, 4, 17)), np.linspace(-0.02, 0.03, 17),
        np.stack([np.linspace(-3, 3, 17), np.linspace(2, -1, 17)], axis=1), (20, 40),
    )  # fmt: skip
    matrices = motion.compose(STILL / 65536, place)
    actual = moving_picture.mean_of_warps(face.astype(np.float32), matrices, SIZE)
    warps = [
        transform.warp(
            face.astype(float), np.vstack([matrix, [0, 0, 1]]), output_shape=(SIZE, SIZE), order=1, mode="reflect",
            preserve_range=True,
        )
        for matrix in matrices
    ]  # fmt: skip
    # OpenCV rounds the place to 1/32 pixel: at an edge of 190 levels up to 190 / 64, less in the mean of 17.
    difference = np.abs(actual - np.mean(warps, axis=0))[8:-8, 8:-8]
    assert difference.max() < 1.5 and difference.mean() < 0.1


def test_a_similarity_turns_zooms_and_shifts_about_its_centre():
    (matrix,) = motion.similarity(np.array([math.pi / 2]), np.array([1.0]), np.array([[3.0, 0.0]]), (10, 20))
    # The centre goes to itself and 3 to the right; a point 1 right of it 2 down of that.
    np.testing.assert_allclose(matrix @ [10, 20, 1], [13, 20], atol=1e-12)
    np.testing.assert_allclose(matrix @ [11, 20, 1], [13, 22], atol=1e-12)


def test_no_step_of_a_path_is_longer_than_a_pixel(face, kernels):
    """A bright point that moves draws a line without gaps."""
    points = np.zeros((SIDE, SIDE, 3), np.uint8)
    points[20::20, 20::20] = 255
    for seed in range(6):
        blurred, _ = render(points, kernels, "turning", seed, linear_light=0.0)
        ndimage = pytest.importorskip("scipy.ndimage")
        _, parts = ndimage.label(blurred[4:-4, 4:-4, 0] > 0, structure=np.ones((3, 3)))
        assert parts <= 9


def test_exposure_times_grow_with_the_motion():
    def line(length):
        return lambda times: np.stack([length * times, 0 * times], axis=1)[:, :, None]

    # 64 intervals whose middles are length / 64 apart: as many steps as pixels, within the bounds.
    assert [len(motion.exposure_times(line(length))) for length in (0, 5, 20, 200)] == [9, 9, 20, 64]
    np.testing.assert_allclose(motion.exposure_times(line(0)), (np.arange(9) + 0.5) / 9)


def test_paths_have_mean_zero_and_a_span_of_one():
    for seed in range(5):
        path = motion.smooth_path(np.random.default_rng(seed), 3)((np.arange(4096) + 0.5) / 4096)
        np.testing.assert_allclose(path.mean(axis=0), 0, atol=1e-3)
        # The path scales itself by 256 of its places; the ends reach a little further.
        np.testing.assert_allclose(np.ptp(path, axis=0), 1, atol=1e-2)


def head_in(side):
    """Labels: skin in a disc of radius 20 around the middle, and background."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return (x**2 + y**2 < 20**2).astype(np.uint8)


def test_a_moving_face_leaves_the_background_still(face, kernels):
    labels = head_in(SIDE)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside, far = x**2 + y**2 < 12**2, x**2 + y**2 > 30**2
    moved = 0
    for seed in range(4):
        blurred, sharp = render(face, kernels, "moving_face", seed, labels, shift=6.0, turn=4.0, linear_light=0.0)
        error = np.abs(blurred.astype(int) - sharp).max(axis=-1)
        assert error[far].max() <= 1
        moved = max(moved, error[inside].max())
    assert moved > 10


def test_a_moving_background_leaves_the_face_still(face, kernels):
    labels = head_in(SIDE)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside, far = x**2 + y**2 < 16**2, x**2 + y**2 > 30**2
    moved = 0
    for seed in range(4):
        blurred, sharp = render(face, kernels, "moving_background", seed, labels, shift=12.0, linear_light=0.0)
        error = np.abs(blurred.astype(int) - sharp).max(axis=-1)
        assert error[inside].max() <= 1
        moved = max(moved, error[far].max())
    assert moved > 5


def test_what_a_face_uncovers_is_background():
    """A white disc on black that moves by 8 pixels: by hand, coverage times white, and nothing else."""
    mask = head_in(SIDE).astype(np.float32)
    picture = np.repeat(mask[:, :, None], 3, axis=2)
    shifts = np.array([[[1, 0, 8 + shift], [0, 1, 8]] for shift in (-4, 4)], float)
    actual = moving_picture.mean_of_layers(picture, mask, shifts, STILL[None] / 65536, SIZE)
    expected = np.mean([mask[8 : 8 + SIZE, 8 + shift : 8 + shift + SIZE] for shift in (-4, 4)], axis=0)
    np.testing.assert_allclose(actual[..., 0], expected, atol=1e-6)


def rising_grey():
    """Black at the left to white at the right, float32 (SIDE, SIDE, 3)."""
    return np.tile(np.linspace(0, 1, SIDE, dtype=np.float32)[:, None], (SIDE, 1, 3))


def test_the_fill_behind_a_face_continues_its_surroundings():
    """Grey that rises over the picture by 1 / SIDE a pixel, and a white head: none of the head, and no edge."""
    head = head_in(SIDE)
    mask = cv2.GaussianBlur(head.astype(np.float32), (0, 0), 1)
    ramp = rising_grey()
    filled = moving_picture.filled_behind(np.where(head[..., None], np.float32(1), ramp), mask)
    np.testing.assert_array_equal(filled[mask == 0], ramp[mask == 0])
    assert filled[head == 1].max() < 0.9
    # Steps between neighbours: those of the ramp, and a few times as much where the fill begins.
    assert max(np.abs(np.diff(filled, axis=axis)).max() for axis in (0, 1)) < 4 / SIDE


def test_a_still_scene_shows_no_outline():
    """Nothing moves: a picture that changes slowly stays as it is, at the face's edge too."""
    mask = cv2.GaussianBlur(head_in(SIDE).astype(np.float32), (0, 0), 1)
    ramp = rising_grey()
    still = STILL[None] / 65536
    actual = moving_picture.mean_of_layers(ramp, mask, still, still, SIZE)
    np.testing.assert_allclose(actual, central(ramp), atol=3 / SIDE)  # three pixels of the ramp


def test_labels_decide_the_outline_and_an_ellipse_stands_in():
    labels = head_in(SIDE)
    outline = camera_blur.outline(labels, SIDE, SIZE, np.random.default_rng(0))
    assert abs(outline.sum() - labels.sum()) < 0.03 * labels.sum()
    unknown = camera_blur.outline(np.full_like(labels, 255), SIDE, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(unknown, camera_blur.outline(None, SIDE, SIZE, np.random.default_rng(0)))
    # Half axes of 0.36 and 0.48 of the crop, each off by a tenth at most.
    area = math.pi * 0.36 * 0.48 * SIZE**2
    assert 0.8 * area < unknown.sum() < 1.22 * area


def test_a_part_of_the_face_moves_and_the_rest_keeps_still(face):
    ndimage = pytest.importorskip("scipy.ndimage")
    field = motion.bump(SIZE, (32, 24), 6, (3.0, -2.0))
    amounts = np.linspace(-0.5, 0.5, 9)[:, None]
    actual = moving_picture.mean_of_displacements(face.astype(np.float32), STILL / 65536, field[None], amounts, SIZE)
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    distance = (x - 32) ** 2 + (y - 24) ** 2
    strength = np.exp(-distance / (2 * 6**2))
    expected = np.mean(
        [
            ndimage.map_coordinates(
                face[..., 0].astype(float), [y + 8 - 2 * a * strength, x + 8 + 3 * a * strength], order=1
            )
            for a in amounts[:, 0]
        ],
        axis=0,
    )
    assert np.abs(actual[..., 0] - expected).max() < 1.5
    np.testing.assert_allclose(actual[distance > 30**2], central(face)[distance > 30**2], atol=0.01)


@pytest.mark.parametrize("radius", [2.3, 6.0])
def test_disc_against_its_area(radius):
    kernel = disc_kernel(radius)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    # A pixel inside the disc has weight 1 / area; 256 points a pixel give the area within 2 %.
    assert kernel.max() == pytest.approx(1 / (math.pi * radius**2), rel=0.02)
    # The variance of a coordinate in a disc is a quarter of the radius squared, and that of a pixel is 1 / 12.
    x = np.arange(len(kernel)) - len(kernel) // 2
    assert (kernel.sum(axis=0) * x**2).sum() == pytest.approx(radius**2 / 4 + 1 / 12, rel=0.05)


def test_a_disc_of_one_pixel_by_hand():
    kernel = disc_kernel(1.0)
    # Right of x = 1/2 lies a segment of pi / 3 - sqrt(3) / 4; the middle pixel is all inside.
    assert kernel.shape == (3, 3)
    assert kernel[:, 2].sum() == pytest.approx((math.pi / 3 - math.sqrt(3) / 4) / math.pi, rel=0.02)
    assert kernel[1, 1] == pytest.approx(1 / math.pi, rel=0.02)


@pytest.mark.parametrize("radius", [-1, math.nan, math.inf])
def test_bad_disc(radius):
    with pytest.raises(ValueError, match=">= 0"):
        disc_kernel(radius)


def test_a_disc_of_no_radius_is_a_point():
    np.testing.assert_array_equal(disc_kernel(0), [[1]])


def test_defocus_is_a_disc_or_a_disc_after_a_kernel(face, kernels):
    ndimage = pytest.importorskip("scipy.ndimage")
    disc = disc_kernel(2.0)
    defocused = np.stack([ndimage.convolve(face[..., c].astype(float), disc) for c in range(3)], axis=-1)
    candidates = [defocused] + [
        np.stack([ndimage.convolve(defocused[..., c], kernels.kernel(k)) for c in range(3)], axis=-1) for k in range(8)
    ]
    found = set()
    for seed in range(8):
        blurred, _ = render(face, kernels, "defocus", seed, defocus=(2.0, 2.0), linear_light=0.0)
        # Two convolutions reach beyond the border by more than the margin.
        errors = [np.abs(blurred - central(candidate))[8:-8, 8:-8].max() for candidate in candidates]
        assert min(errors) < 0.51
        found.add(int(np.argmin(errors)) > 0)
    assert found == {False, True}


def test_noise_follows_the_light():
    """By hand: at a quarter of middle grey's light photon noise has a quarter of the variance."""
    draws = np.random.default_rng(0).standard_normal((2, 200_000)).astype(np.float32)
    lights = np.array([[light.MIDDLE_GREY], [light.MIDDLE_GREY / 4]], np.float32) + np.zeros_like(draws)
    noisy = light.add_sensor_noise(lights, 0.03, 0.9, draws)
    variance = (noisy - lights).var(axis=1)
    # Standard error of a variance of 200,000 draws: 0.3 %.
    np.testing.assert_allclose(variance, [0.03**2, 0.03**2 * (0.9 / 4 + 0.1)], rtol=0.015)


def test_resizing_takes_detail_and_keeps_the_size(kernels):
    stripes = np.zeros((SIDE, SIDE, 3), np.uint8)
    stripes[:, ::2] = 255
    settings = {"resize": (0.5, 0.5), "resize_share": 1.0, "defocus": (0.0, 0.0), "linear_light": 0.0}
    blurred, sharp = next(
        pair
        for pair in (render(stripes, kernels, "defocus", seed, **settings) for seed in range(20))
        # A sample without a kernel.
        if pair[0][SIZE // 2].std() < 1
    )
    # Half the size by areas: each pixel is one white and one black column.
    assert blurred.shape == sharp.shape and np.abs(blurred.astype(int) - 127.5).max() < 2


def test_every_kind_and_its_seed(face, kernels):
    seen = [render(face, kernels, kind, 3)[0] for kind in KIND_CODES]
    for kind, picture in zip(KIND_CODES, seen, strict=True):
        np.testing.assert_array_equal(picture, render(face, kernels, kind, 3)[0])
        assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
    assert len({picture.tobytes() for picture in seen}) == len(KIND_CODES)


def test_kinds_are_drawn_by_their_shares():
    settings = CameraBlur(share=0.5, kinds={"turning": 3, "defocus": 1})
    codes = [settings.kind_code(np.random.default_rng([0, number])) for number in range(4000)]
    shares = {code: codes.count(code) / 4000 for code in set(codes)}
    # Standard error at most sqrt(0.25 / 4000) = 0.008; four of them.
    assert shares == {0: pytest.approx(0.5, abs=0.032), 2: pytest.approx(0.375, abs=0.032),
                      6: pytest.approx(0.125, abs=0.032)}  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("kinds", {"wobble": 1.0}, "kernel, turning"),
        ("kinds", {"turning": 0.0}, "above 0"),
        ("share", 1.5, "share .*1.5"),
        ("gain", (1.2, 1.0), "gain"),
        ("jpeg", (0, 50), "jpeg .*1 to 100"),
        ("turn", -1.0, "turn .*-1.0"),
        ("expression", math.nan, "expression .*nan"),
        ("noise", (0.1, 0.0), "noise"),
    ],
)
def test_bad_settings(setting, value, named):
    with pytest.raises(ValueError, match=named):
        CameraBlur(**{setting: value})


def test_augmentation_reaches_every_kind(kernels, face):
    """Sharp pictures are those of the papers' kind: the same warp, whatever the blur."""
    from deblur_zoo.data import host_synthesis

    matrix = warp_matrix((SIDE, SIDE), SIZE, *Augmentation().draw(np.random.default_rng(5)))
    settings = CameraBlur(**CLEAN, linear_light=0.0)
    for code in KIND_CODES.values():
        _, sharp = camera_blur.render(face, matrix, code, np.random.default_rng(0), settings, kernels, SIZE)
        np.testing.assert_array_equal(sharp, host_synthesis.warp(face, matrix, SIZE))
