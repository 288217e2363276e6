"""Whole photos: which faces are restored, and what happens to every other pixel."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from deblur_zoo.faces.detection import Face
from deblur_zoo.files import pictures
from deblur_zoo.restoration.photo import PhotoOptions, restore_photo
from deblur_zoo.restoration.restorer import Restorer

# The astronaut's, as MTCNN finds them, to a pixel.
BOX = np.array([176.0, 64, 276, 199])
POINTS = np.array([[208.0, 112], [248, 113], [228, 137], [209, 158], [244, 159]])


@pytest.fixture(scope="module")
def photo():
    pixels = np.ascontiguousarray(data.astronaut())
    pixels.setflags(write=False)
    return pixels


def detector(*faces):
    """Sees them in the photo, and none in a copy of another size."""
    return lambda image: list(faces) if image.shape[:2] == (512, 512) else []


ASTRONAUT = Face(BOX, POINTS, 0.99)
SMALL = Face(np.array([400.0, 20, 425, 50]), POINTS * 0.2 + [370.0, 10], 0.95)


def unsharp(images):
    """A network that changes every picture."""
    return np.clip(2 * images - ndimage.gaussian_filter(images, (0, 2, 2, 0)), 0, 1)


def defocused(photo):
    return np.rint(ndimage.gaussian_filter(photo.astype(np.float32), (4, 4, 0))).astype(np.uint8)


def test_a_network_that_changes_nothing(photo):
    for background in ("keep", "restore"):
        result = restore_photo(photo, lambda images: images, PhotoOptions(background=background), detector(ASTRONAUT))
        assert np.array_equal(result.pixels, photo)
        (face,) = result.faces
        assert not face.restored and face.sharpness == 60 and np.array_equal(face.points, POINTS)


def test_pixels_around_the_faces_are_kept(photo):
    result = restore_photo(photo, unsharp, PhotoOptions(background="keep"), detector(ASTRONAUT))
    changed = np.argwhere((result.pixels != photo).any(axis=-1))
    face = result.faces[0]
    assert face.restored and len(changed) > 2000
    # All inside the canonical crop of that size around the face.
    middle = POINTS.mean(axis=0)
    assert np.abs(changed[:, ::-1] - middle).max() < 0.75 * face.size
    assert set(result.seconds) == {"detection", "restoration", "background", "blending"}


def test_the_background_of_blurred_faces_is_restored(photo):
    blurred = defocused(photo)
    result = restore_photo(blurred, unsharp, PhotoOptions(), detector(ASTRONAUT))

    def error(pixels):
        return np.square(pixels[300:].astype(float) - photo[300:]).mean()

    assert error(result.pixels) < 0.9 * error(blurred)


def test_a_background_that_does_not_share_the_blur_of_the_face_is_kept(photo):
    """Someone moves in a sharp photo: the network would sharpen what is sharp."""
    moved = photo.copy()
    moved[30:230, 130:330] = defocused(photo)[30:230, 130:330]
    result = restore_photo(moved, unsharp, PhotoOptions(), detector(ASTRONAUT))
    assert result.faces[0].restored
    np.testing.assert_array_equal(result.pixels[300:], photo[300:])


def test_sixteen_bits(photo):
    result = restore_photo(photo.astype(np.uint16) * 257, unsharp, PhotoOptions(), detector(ASTRONAUT))
    eight = restore_photo(photo, unsharp, PhotoOptions(), detector(ASTRONAUT))
    assert result.pixels.dtype == np.uint16
    # The network doubles the half level by which 8 bits round its input; half a level more is that of the result.
    np.testing.assert_allclose(result.pixels / 257, eight.pixels, atol=1.5)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, 2),
        ({"faces": "largest"}, 1),
        ({"faces": "centre"}, 1),
        ({"minimum_size": 60}, 1),
        ({"minimum_confidence": 0.97}, 1),
        ({"minimum_confidence": 1.0}, 0),
    ],
)
def test_which_faces(photo, options, kept):
    result = restore_photo(photo, unsharp, PhotoOptions(**options), detector(SMALL, ASTRONAUT))
    assert len(result.faces) == kept
    if kept:
        assert result.faces[0].confidence == 0.99


def test_a_photo_without_faces_stays(photo):
    result = restore_photo(photo, unsharp, PhotoOptions(), detector())
    assert np.array_equal(result.pixels, photo) and result.faces == []


def test_the_restorer_keeps_the_form_of_a_photo(photo, tiny_model, tmp_path, monkeypatch):
    """Grey stays grey, alpha is passed on, and a result is saved in the profile of its source."""
    monkeypatch.setattr("deblur_zoo.restoration.photo.find_faces", lambda *_: [ASTRONAUT])
    restorer = Restorer(tiny_model, options=PhotoOptions(sharp_faces=True))
    grey = restorer.restore(photo[..., 0])
    assert grey.pixels.shape == photo.shape[:2] and grey.faces[0].restored
    alpha = np.random.default_rng(0).integers(0, 256, photo.shape[:2], dtype=np.uint8)
    both = restorer.restore(np.dstack([photo, alpha]))
    assert np.array_equal(both.pixels[..., 3], alpha)
    np.testing.assert_array_equal(both.pixels[..., :3], restorer.restore(photo).pixels)
    both.save(tmp_path / "out.png")
    np.testing.assert_array_equal(pictures.read(tmp_path / "out.png"), both.pixels)
    with pytest.raises(ValueError, match="crops=True"):
        restorer.restore(np.stack([photo, photo]))


def test_a_face_that_only_changes_when_it_is_shrunk_is_sharp(photo):
    def restore(images):
        return unsharp(images) if images.shape[1] == 64 else images

    result = restore_photo(photo, restore, PhotoOptions(), detector(ASTRONAUT))
    assert np.array_equal(result.pixels, photo) and not result.faces[0].restored


def test_strength_and_sharp_faces(photo):
    none = restore_photo(photo, unsharp, PhotoOptions(strength=0), detector(ASTRONAUT))
    assert np.array_equal(none.pixels, photo) and not none.faces[0].restored

    def slightly(images):
        return images + np.float32(0.002) * np.sign(np.random.default_rng(0).standard_normal(images.shape))

    assert not restore_photo(photo, slightly, PhotoOptions(), detector(ASTRONAUT)).faces[0].restored
    assert restore_photo(photo, slightly, PhotoOptions(sharp_faces=True), detector(ASTRONAUT)).faces[0].restored


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"faces": "both"}, "faces must be one of all, largest, centre"),
        ({"background": "blur"}, "background must be one of keep, restore"),
        ({"strength": 1.5}, "strength"),
        ({"minimum_confidence": -1}, "minimum_confidence"),
        ({"minimum_size": 0}, "minimum_size"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        PhotoOptions(**options)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_a_file_of_16_bits_keeps_them(photo, tiny_model, tmp_path, monkeypatch, colour_profiles, ending):
    """With its profile, and every bit outside the face."""
    import cv2

    monkeypatch.setattr("deblur_zoo.restoration.photo.find_faces", lambda *_: [ASTRONAUT])
    low = np.random.default_rng(0).integers(0, 257, photo.shape, dtype=np.uint16)
    pixels = np.minimum(photo.astype(np.uint16) * 257 + low, 65535)
    profile = colour_profiles.rgb_profile(colour_profiles.DISPLAY_P3, 2.2)
    (tmp_path / f"in{ending}").write_bytes(pictures.encode(pixels, ending, profile))
    restorer = Restorer(tiny_model, options=PhotoOptions(background="keep", sharp_faces=True))
    restorer.restore_file(tmp_path / f"in{ending}", tmp_path / f"out{ending}")
    written = cv2.imread(str(tmp_path / f"out{ending}"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    changed = (written != pixels).any(axis=-1)
    # The canonical crop around the face is about 135 pixels wide.
    assert 2000 < changed.sum() < 135**2 and not changed[300:].any()
    assert pictures.load(tmp_path / f"out{ending}").profile.data == profile
    assert restorer.restore(pixels).pixels.dtype == np.uint16
