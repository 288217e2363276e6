import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from skimage.data import astronaut

from deblur_zoo.faces.alignment import CANONICAL_POINTS, canonical_points
from deblur_zoo.faces.warp import align, paste_back, rotation_of, scale_of, share_inside, warp
from deblur_zoo.files import pictures

# Read off the picture by eye.
ASTRONAUT_POINTS = np.array([[201, 112], [244, 109], [229, 131], [208, 152], [244, 150]], np.float64)


def placed(scale, degrees, shift):
    """The similarity photo to crop, and where the canonical points of a 128 crop then lie in the photo."""
    angle = np.deg2rad(degrees)
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.concatenate([rotation, np.reshape(shift, (2, 1))], axis=1)
    return matrix, (canonical_points() - matrix[:, 2]) @ np.linalg.inv(rotation).T


def photo_positions(matrix, side):
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    return (np.stack([x, y], axis=-1) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def checkerboard(side):
    return (255 * (np.indices((side, side)).sum(axis=0) % 2)).astype(np.uint8)


def test_points_already_in_place_give_a_slice_of_the_photo():
    image = np.random.default_rng(0).integers(0, 256, (200, 220, 3), np.uint8)
    crop, matrix = align(image, canonical_points() + [30, 20])
    np.testing.assert_allclose(matrix, [[1, 0, -30], [0, 1, -20]], atol=1e-9)
    np.testing.assert_array_equal(crop, image[20:148, 30:158])
    crop, _ = align(image, canonical_points() + [30, 20], margin=16)
    np.testing.assert_array_equal(crop, image[4:164, 14:174])


def test_what_lies_outside_is_mirrored():
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    crop, _ = align(image, canonical_points(), margin=16)
    np.testing.assert_array_equal(crop, np.pad(image, ((16, 16), (16, 16), (0, 0)), mode="reflect"))


@pytest.mark.parametrize("scale", [2.3, 1.0, 0.8, 0.5, 0.31, 0.11])
@pytest.mark.parametrize("degrees", [0, -25])
def test_positions_are_right_at_every_scale(scale, degrees):
    # A ramp of 1 a pixel tells where each pixel comes from.
    side = round(260 / scale)
    matrix, _ = placed(scale, degrees, (0, 0))
    matrix[:, 2] = 64 - matrix[:, :2] @ (side / 2, side / 2)
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    expected = photo_positions(matrix, 128)
    for axis, ramp in enumerate((x, y)):
        error = warp(ramp, matrix, 128) - expected[..., axis]
        # OpenCV's cubic kernel (a = -0.75, steps of 1/32 pixel) bends a ramp by up to 0.07 of the pixels that it
        # interpolates, which are those of a reduced photo at small scales.
        assert np.abs(error).max() < 0.08 * max(1, 0.5 / scale)
        assert abs(error.mean()) < 0.02 * max(1, 0.5 / scale)


def test_a_smooth_photo_agrees_with_scipy_splines():
    x, y = np.meshgrid(np.arange(240), np.arange(200))
    image = np.rint(127 + 60 * np.sin(x / 9) + 60 * np.cos(y / 7 + x / 20)).astype(np.uint8)
    matrix, points = placed(1.4, 17, (-40, -70))
    crop, found = align(image, points)
    np.testing.assert_allclose(found, matrix, atol=1e-9)
    positions = photo_positions(matrix, 128)
    expected = map_coordinates(image.astype(np.float64), [positions[..., 1], positions[..., 0]], order=3, mode="mirror")
    assert np.abs(crop - expected).max() < 3


@pytest.mark.parametrize("scale", [0.45, 0.3, 0.13])
def test_shrinking_does_not_alias(scale):
    side = round(180 / scale)
    image = checkerboard(side)
    matrix, _ = placed(scale, 10, (0, 0))
    matrix[:, 2] = 64 - matrix[:, :2] @ (side / 2, side / 2)
    plain = cv2.warpAffine(image, matrix, (128, 128), flags=cv2.INTER_CUBIC)
    assert plain.astype(float).std() > 30
    assert np.abs(warp(image, matrix, 128).astype(float) - 127.5).max() < 4


@pytest.mark.parametrize("scale", [0.95, 0.6, 0.2])
def test_shrinking_keeps_detail_that_the_crop_can_hold(scale):
    # Waves of 5 pixels of the crop keep their contrast.
    side = round(200 / scale)
    wave = np.rint(127.5 + 100 * np.sin(2 * np.pi * np.arange(side) * scale / 5)).astype(np.uint8)
    matrix = np.array([[scale, 0, -30], [0, scale, -30]])
    crop = warp(np.broadcast_to(wave, (side, side)), matrix, 128)
    assert crop.astype(float).std() > 0.85 * 100 / np.sqrt(2)


def test_channels_are_kept_and_alpha_does_not_weight_colours():
    image = np.random.default_rng(1).integers(0, 256, (300, 300, 4), np.uint8)
    matrix, points = placed(0.6, 5, (-10, -5))
    crop, _ = align(image, points)
    assert crop.shape == (128, 128, 4)
    for channel in range(4):
        np.testing.assert_array_equal(crop[..., channel], align(image[..., channel], points)[0])


def test_scale_rotation_and_share_inside():
    matrix, _ = placed(0.7, 30, (3, 4))
    assert scale_of(matrix) == pytest.approx(0.7)
    assert rotation_of(matrix) == pytest.approx(30)
    shifted = np.array([[1.0, 0, 32], [0, 1, 0]])
    # The photo's first column comes to lie at 32: a quarter of the crop is left of it.
    assert share_inside(shifted, 128, 0, (128, 128)) == pytest.approx(0.75)
    assert share_inside(shifted + [[0, 0, 16], [0, 0, 16]], 128, 16, (128, 128)) == pytest.approx(0.75)


@pytest.mark.parametrize("margin", [0, 16])
def test_unchanged_crop_pasted_back_changes_little(margin):
    photo = astronaut()
    crop, matrix = align(photo, ASTRONAUT_POINTS, margin=margin)
    result = paste_back(photo, crop, matrix)
    difference = np.abs(result.astype(int) - photo)
    positions = np.stack(np.meshgrid(np.arange(512), np.arange(512)), axis=-1) @ matrix[:, :2].T + matrix[:, 2]
    side = 128 + 2 * margin
    inside = ((positions > -0.5) & (positions < side - 0.5)).all(axis=-1)
    assert difference[~inside].max() == 0
    assert difference[inside].mean() < 2
    # Half a pixel off would cost more than that: the bound can fail.
    assert np.abs(paste_back(photo, np.roll(crop, 1, axis=1), matrix).astype(int) - photo)[inside].mean() > 3


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_a_smooth_photo_comes_back_at_every_scale(scale):
    x, y = np.meshgrid(np.arange(400), np.arange(400))
    photo = np.rint(127 + 60 * np.sin(x / 30) + 60 * np.cos(y / 25))[..., None].repeat(3, 2).astype(np.uint8)
    matrix, points = placed(scale, 20, 64 - 190 * scale * np.ones(2))
    crop, matrix = align(photo, points)
    assert np.abs(paste_back(photo, crop, matrix).astype(int) - photo).max() <= 3


def test_the_crop_replaces_the_middle_and_fades_at_its_edges():
    photo = np.full((200, 200, 3), 50, np.uint8)
    matrix = np.array([[1.0, 0, -40], [0, 1, -30]])
    result = paste_back(photo, np.full((100, 100, 3), 250, np.uint8), matrix, feather=10)
    assert (result[40:120, 50:130] == 250).all()
    # Across the left edge at x = 40: smoothstep at distances 0.5, 1.5, ... of 10 pixels.
    distance = (np.arange(10) + 0.5) / 10
    expected = 50 + 200 * (3 * distance**2 - 2 * distance**3)
    np.testing.assert_allclose(result[80, 40:50, 0], expected, atol=0.51)
    assert (result[80, :40] == 50).all()
    hard = paste_back(photo, np.full((100, 100, 3), 250, np.uint8), matrix, feather=0)
    assert (hard[30:130, 40:140] == 250).all() and (hard == 250).sum() == 100 * 100 * 3


def test_grey_and_transparent_photos_and_crops():
    generator = np.random.default_rng(2)
    matrix = np.array([[1.0, 0, -10], [0, 1, -10]])
    colour = np.full((40, 40, 3), (255, 0, 0), np.uint8)
    grey = paste_back(generator.integers(0, 256, (60, 60), np.uint8), colour, matrix, feather=0)
    assert grey.shape == (60, 60) and (grey[10:50, 10:50] == 76).all()  # 0.299 * 255
    photo = generator.integers(0, 256, (60, 60, 4), np.uint8)
    result = paste_back(photo, np.full((40, 40), 9, np.uint8), matrix, feather=0)
    assert (result[10:50, 10:50, :3] == 9).all()
    np.testing.assert_array_equal(result[..., 3], photo[..., 3])


def test_a_crop_partly_or_wholly_outside_the_photo():
    photo = np.zeros((50, 50, 3), np.uint8)
    crop = np.full((40, 40, 3), 200, np.uint8)
    result = paste_back(photo, crop, np.array([[1.0, 0, 20], [0, 1, 20]]), feather=0)
    assert (result[:20, :20] == 200).all() and (result == 200).sum() == 20 * 20 * 3
    np.testing.assert_array_equal(paste_back(photo, crop, np.array([[1.0, 0, 90], [0, 1, 90]])), photo)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: align(np.zeros((9, 9), np.uint8), CANONICAL_POINTS[:4]), "five finite"),
        (lambda: align(np.zeros((9, 9), np.uint8), CANONICAL_POINTS * np.nan), "five finite"),
        (lambda: align(np.zeros((9, 9), np.uint8), CANONICAL_POINTS, size=0), "size of at least 1"),
        (lambda: align(np.zeros((9, 9)), CANONICAL_POINTS), "uint8"),
        (lambda: paste_back(np.zeros((9, 9)), np.zeros((4, 4), np.uint8), np.eye(2, 3)), "uint8"),
        (lambda: paste_back(np.zeros((9, 9), np.uint8), np.zeros((4, 5), np.uint8), np.eye(2, 3)), "square"),
        (lambda: paste_back(np.zeros((9, 9), np.uint8), np.zeros((4, 4), np.uint8), np.eye(2, 3), -1), "at least 0"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_photo_with_alpha_through_the_documented_loop():
    """Aligned, restored and pasted back: the photo's alpha stays, and colours change as without alpha."""
    photo = np.random.default_rng(0).integers(0, 256, (80, 90, 4), np.uint8)
    points = canonical_points(48) + (20, 15)
    crop, matrix = align(photo, points, 48)
    restored = pictures.restored(crop, lambda rgb: 1 - rgb, 1)
    assert restored.shape == (48, 48, 4)
    result = paste_back(photo, restored, matrix)
    np.testing.assert_array_equal(result[..., 3], photo[..., 3])
    np.testing.assert_array_equal(result[..., :3], paste_back(photo[..., :3], restored[..., :3], matrix))
    assert (result != photo).any()
    grey = paste_back(photo[..., 0], restored, matrix)
    np.testing.assert_array_equal(grey, paste_back(photo[..., 0], restored[..., :3], matrix))
