import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from deblur_zoo.faces import Detector, align, detect
from deblur_zoo.faces.alignment import canonical_points
from deblur_zoo.faces.detection import as_rgb

# Pupils, nose tip and corners of the mouth, read off the enlarged picture by eye.
POINTS = np.array([[204, 101], [247, 103], [225, 128], [203, 140], [246, 142]])


@pytest.fixture(scope="module")
def detector():
    return Detector()


def only_face(faces):
    assert len(faces) == 1
    return faces[0]


def test_five_points_of_a_photo(detector):
    face = only_face(detector(astronaut()))
    assert face.confidence > 0.99
    assert np.abs(face.points - POINTS).max() < 4
    # The box holds the points, and is not the whole photo.
    assert (face.box[:2] < POINTS.min(axis=0)).all() and (face.box[2:] > POINTS.max(axis=0)).all()
    assert 60 * 80 < face.area < 120 * 140


def test_points_do_not_come_in_whole_pixels(detector):
    points = only_face(detector(astronaut()[:300, 60:360])).points
    assert np.abs(points - np.rint(points)).max() > 0.05


def test_a_motion_blurred_photo(detector):
    blurred = cv2.filter2D(astronaut(), -1, np.full((1, 15), 1 / 15, np.float32))
    assert np.abs(only_face(detector(blurred)).points - POINTS).max() < 6


@pytest.mark.parametrize("factor", [0.5, 3])
def test_points_are_in_pixels_of_the_photo_that_was_given(detector, factor):
    photo = cv2.resize(astronaut(), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    points = (only_face(detector(photo)).points + 0.5) / factor - 0.5
    assert np.abs(points - only_face(detector(astronaut())).points).max() < 1


def test_small_faces_are_found_with_the_next_longest_side():
    photo = np.full((1200, 1500, 3), 180, np.uint8)
    photo[300:428, 900:1028] = cv2.resize(astronaut()[:256, 96:352], (128, 128), interpolation=cv2.INTER_AREA)
    assert Detector((96,))(photo) == []
    for found in (Detector((96, 1280))(photo), detect(photo)):
        expected = (POINTS - [96, 0] + 0.5) / 2 - 0.5 + [900, 300]
        assert np.abs(only_face(found).points - expected).max() < 3


def test_largest_face_first(detector):
    face = astronaut()[:256, 96:352]
    photo = np.full((256, 450, 3), 128, np.uint8)
    photo[64:192, :128] = cv2.resize(face, (128, 128), interpolation=cv2.INTER_AREA)
    photo[:, 194:] = face
    found = detector(photo)
    assert len(found) == 2 and found[0].area > 2 * found[1].area
    assert found[0].points[0, 0] > 194 > found[1].points[0, 0]


def test_grey_and_transparent_photos(detector):
    photo = astronaut()[:300, 60:360]
    alpha = np.dstack([photo, np.zeros(photo.shape[:2], np.uint8)])
    np.testing.assert_array_equal(only_face(detector(alpha)).points, only_face(detector(photo)).points)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    assert np.abs(only_face(detector(grey)).points - (POINTS - [60, 0])).max() < 4


@pytest.mark.parametrize("shape", [(1, 1), (5, 3, 3), (21, 21), (40, 900, 3), (200, 200, 3)])
def test_no_face_gives_an_empty_list(detector, shape):
    assert detector(np.random.default_rng(0).integers(0, 256, shape, np.uint8)) == []


def test_an_aligned_face_has_its_points_in_place(detector):
    crop, _ = align(astronaut(), only_face(detector(astronaut())).points, size=256, margin=32)
    again = only_face(detector(crop)).points
    # The fit takes the points' mean to its place. The eyes come level, and 0.31 of the size apart but for what a
    # wide smile does to the fit.
    assert again[1, 0] - again[0, 0] == pytest.approx(0.31 * 256, rel=0.08)
    assert abs(again[1, 1] - again[0, 1]) < 5
    assert np.linalg.norm(again.mean(axis=0) - (np.array([0.5, 0.504]) * 256 + 32)) < 6


def test_wrong_input_is_named():
    for wrong in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(ValueError, match="a photo must be a uint8 array"):
            as_rgb(wrong)
    with pytest.raises(ValueError, match="at least 64"):
        Detector((20,))


def turned(photo, angle):
    """A photo turned counter-clockwise by degrees, as a viewer sees it, and the matrix (2, 3) to it."""
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    side = int(np.hypot(height, width)) + 1
    matrix[:, 2] += (side - np.array([width, height])) / 2
    return cv2.warpAffine(photo, matrix, (side, side), flags=cv2.INTER_CUBIC, borderValue=(128,) * 3), matrix


@pytest.mark.parametrize("angle", [30, 60, 120, 150, 180, 210, 240, 300])
def test_a_turned_face_has_its_own_points_or_is_not_found(detector, angle):
    photo, matrix = turned(astronaut(), angle)
    expected = POINTS @ matrix[:, :2].T + matrix[:, 2]
    for face in detector(photo):
        # Upright ones of hers are off by up to 4; other faces are not in the picture.
        assert np.linalg.norm(face.points - expected, axis=1).max() < 8


def test_a_face_that_is_turned_far_is_found(detector):
    """MTCNN answers with upright points here."""
    photo, matrix = turned(astronaut(), 225)
    assert np.abs(only_face(detector(photo)).points - (POINTS @ matrix[:, :2].T + matrix[:, 2])).max() < 8


def test_rotations_that_share_the_votes_are_uncertain():
    from deblur_zoo.faces import orientation

    points = canonical_points(100) + 10
    photo, box = np.zeros((128, 128, 3), np.uint8), np.array([10.0, 10, 110, 110])

    def of_upright_face(patches):
        """What a network finds that is right: the points turn with the patch, scores are high near upright."""
        found = []
        for turn in np.radians(np.arange(0, 360, 15)):
            rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
            found.append(((points - 60) @ rotation.T) * 0.48 + 23.5)
        return np.full(24, 0.9), np.array(found)

    def of_anything(patches):
        """The same upright points, whatever it is shown."""
        return np.full(len(patches), 0.9), np.repeat(canonical_points(48)[None], len(patches), axis=0)

    for given in (points, 120 - points):
        found, certainty = orientation.checked(photo, box, given, of_upright_face)
        # The second look is around the mean of the points, which lies 0.4 pixels off the box's middle.
        np.testing.assert_allclose(found, points, atol=0.5)
        assert certainty == 1
    assert orientation.checked(photo, box, points, of_anything)[1] < 0.9
    assert orientation.checked(photo, box, points, lambda patches: (np.zeros(24), of_anything(patches)[1]))[1] == 0


def test_another_backend_is_refused_in_one_sentence(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="face detection needs Keras on TensorFlow, and KERAS_BACKEND is jax"):
        Detector()(np.zeros((80, 80, 3), np.uint8))
