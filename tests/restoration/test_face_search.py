"""Finding faces in turned and hidden photos, with a detector whose answers are known."""

import numpy as np
import pytest

from deblur_zoo.faces.detection import Face
from deblur_zoo.restoration.face_search import find_faces, overlap, without_duplicates

PHOTO = np.zeros((60, 80, 3), np.uint8)
# Five marked pixels, (x, y), of the photo.
POINTS = np.array([[20, 30], [40, 31], [30, 40], [22, 50], [39, 51]])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_points_come_back_from_a_turned_photo(turns):
    photo = PHOTO.copy()
    for value, (x, y) in enumerate(POINTS, start=1):
        photo[y, x] = value

    def detector(image):
        """Sees faces in photos turned so only, and the marks where they are."""
        if image.shape != np.rot90(photo, turns).shape or not np.array_equal(image, np.rot90(photo, turns)):
            return []
        marks = [np.argwhere(image[..., 0] == value)[0][::-1] for value in range(1, 6)]
        marks = np.array(marks, float)
        return [Face(np.concatenate([marks.min(axis=0), marks.max(axis=0)]), marks, 0.99)]

    (face,) = find_faces(photo, detector)
    np.testing.assert_array_equal(face.points, POINTS)
    np.testing.assert_array_equal(face.box, [20, 30, 40, 51])


def test_the_second_look():
    """The copy is half as large: pixel (9.5, 14.5) of it is the photo's (19.5, 29.5) and so on."""
    small = Face(np.array([9.5, 14.5, 19.5, 24.5]), np.array([[9.5, 14.5]] * 5), 0.95)

    def detector(image):
        return [small] if image.shape == (30, 40, 3) else []

    (face,) = find_faces(PHOTO, detector, lambda: np.zeros((30, 40, 3), np.uint8))
    np.testing.assert_allclose(face.box, [19.5, 29.5, 39.5, 49.5])
    np.testing.assert_allclose(face.points[0], [19.5, 29.5])
    assert find_faces(PHOTO, detector) == [] and find_faces(PHOTO, detector, lambda: None) == []


def test_an_uncertain_face_calls_for_a_second_look():
    """The copy shows it, beside one that the photo showed already; the photo's own points stay."""

    def at(x, confidence):
        return Face(np.array([x, 10.0, x + 10, 20]), np.full((5, 2), x), confidence)

    sure, unsure, seen_again = at(10.0, 0.99), at(50.0, 0.3), at(11.0, 0.95)
    looks = []

    def detector(image):
        return [seen_again, at(51.0, 0.96)] if image.any() else [sure, unsure]

    def restored():
        looks.append(1)
        return np.ones_like(PHOTO)

    faces = find_faces(PHOTO, detector, restored)
    assert [face.points[0, 0] for face in faces] == [10, 51]
    assert find_faces(PHOTO, detector, restored, minimum_confidence=0.2) == [sure, unsure] and len(looks) == 1
    assert find_faces(PHOTO, lambda image: [sure], restored) == [sure] and len(looks) == 1
    # A face that is surely turned is not looked for upright.
    turned = find_faces(PHOTO, lambda image: [at(30.0, 0.99 if image.shape[0] == 80 else 0.4)], restored)
    assert len(turned) == 1 and len(looks) == 1


def test_the_second_look_tries_all_turns():
    def detector(image):
        upside_down = image[-1, -1, 0] == 7
        return [Face(np.array([10.0, 10, 20, 20]), np.full((5, 2), 10.0), 0.95)] if upside_down else []

    copy = np.zeros_like(PHOTO)
    copy[0, 0] = 7
    (face,) = find_faces(PHOTO, detector, lambda: copy)
    np.testing.assert_array_equal(face.box, [59, 39, 69, 49])


def test_duplicates():
    """Boxes of 10 x 10: shifted by 3 they share 70 of 130 pixels, by 6 40 of 160."""

    def at(x, confidence):
        return Face(np.array([x, 0, x + 10, 10.0]), POINTS.astype(float), confidence)

    assert overlap(at(0, 1).box, at(3, 1).box) == pytest.approx(70 / 130)
    assert overlap(at(0, 1).box, at(20, 1).box) == 0
    first, better, far = at(0, 0.9), at(3, 0.95), at(6, 0.91)
    assert without_duplicates([first, better]) == [better]
    assert len(without_duplicates([first, far])) == 2
