import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import polygon2mask

from deblur_zoo.face_classes import COMPONENTS, UNKNOWN, FaceClass
from deblur_zoo.faces.alignment import canonical_points
from tests.trainers.datasets import toy_mesh as toy
from trainers.datasets import mesh_labels as module
from trainers.datasets.mesh_labels import OVAL, POLYGONS, from_six_classes, mesh_labels

SHAPE = (160, 160)


def mask_of(corners):
    """scikit-image's rasteriser: pixels whose centre is inside."""
    return polygon2mask(SHAPE, np.asarray(corners)[:, ::-1])


def test_the_points_of_the_polygons():
    """The index lists are mirror images of each other where the face is: as many points, none of both sides."""
    for left, right in ((FaceClass.LEFT_BROW, FaceClass.RIGHT_BROW), (FaceClass.LEFT_EYE, FaceClass.RIGHT_EYE)):
        assert len(POLYGONS[left]) == len(POLYGONS[right]) and not set(POLYGONS[left]) & set(POLYGONS[right])
    for indices in (OVAL, *POLYGONS.values()):
        assert len(set(indices)) == len(indices) and 0 <= min(indices) and max(indices) < 468
    assert len(OVAL) == 36


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_against_another_rasteriser(component):
    """OpenCV counts pixels that the edge touches, scikit-image those whose centre is inside: a pixel's rim apart."""
    points = toy.toy_points()
    drawn = mesh_labels(points, SHAPE) == component
    inside = mask_of(module.corners_of(points, component))
    rim = ndimage.binary_dilation(inside, np.ones((3, 3))) & ~ndimage.binary_erosion(inside, np.ones((3, 3)))
    assert inside.sum() > 50 and not ((drawn != inside) & ~rim).any()


def test_skin_is_the_oval_below_the_brows_and_the_rest_unknown():
    points = toy.toy_points()
    labels = mesh_labels(points, SHAPE)
    inside = mask_of(points[list(OVAL)])
    assert (labels[~ndimage.binary_dilation(inside, np.ones((3, 3)))] == UNKNOWN).all()
    inside = ndimage.binary_erosion(inside, np.ones((3, 3)))
    # The brows' middles: 16 + 0.20 * 128 + 1.8 = 43.4.
    assert (labels[44:][inside[44:]] != UNKNOWN).all() and not (labels[:44] == FaceClass.SKIN).any()
    assert (labels[30:38][inside[30:38]] == UNKNOWN).all()
    assert set(np.unique(labels)) == {*range(1, 10), UNKNOWN}
    # Cheek, by hand.
    assert labels[16 + 70, 16 + 30] == FaceClass.SKIN


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_brows_are_moved_towards_the_mouth(degrees):
    """By 0.045 of the distance between the eyes, 0.31 * 128 pixels: 1.786 pixels, whichever way the face is turned."""
    turn = np.radians(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = toy.toy_points() @ rotation.T
    for brow in (FaceClass.LEFT_BROW, FaceClass.RIGHT_BROW):
        moved = module.corners_of(points, brow) - points[list(POLYGONS[brow])]
        np.testing.assert_allclose(moved, np.tile(rotation @ [0, 1.7856], (10, 1)), atol=1e-3)
    nose = module.corners_of(points, FaceClass.NOSE)
    np.testing.assert_array_equal(nose, points[list(POLYGONS[FaceClass.NOSE])])


def test_a_closed_mouth_has_no_inside():
    points = toy.toy_points()
    inner = [*module._UPPER_INNER, *module._LOWER_INNER]
    points[inner, 1] = 16 + 0.65 * 128
    labels = mesh_labels(points, SHAPE)
    assert not (labels == FaceClass.INNER_MOUTH).any()
    assert (labels == FaceClass.UPPER_LIP).sum() > 100 and (labels == FaceClass.LOWER_LIP).sum() > 100


def test_points_beyond_the_crop_do_not_wrap_around():
    points = toy.toy_points()
    points[list(OVAL)] = (points[list(OVAL)] - 80) * 1e9 + 80
    assert not (mesh_labels(points, SHAPE)[44:] == UNKNOWN).any()


def test_five_points_and_refusals():
    points = toy.toy_points()
    np.testing.assert_allclose(module.five_points(points), canonical_points(128, 16), atol=1e-6)
    assert module.five_points(np.stack([points, points])).shape == (2, 5, 2)
    assert module.refusal(points, 0.95, 128, 16) == ""
    assert module.refusal(points, 0.89, 128, 16).startswith("no face for the mesh: score 0.890")
    assert module.refusal(points, float("nan"), 128, 16).startswith("no face")
    # 0.08 * 128 = 10.24 pixels are allowed.
    assert module.refusal(points + [10.2, 0], 1.0, 128, 16) == ""
    assert "0.081 of the size" in module.refusal(points + [10.4, 0], 1.0, 128, 16)
    points[0] = np.nan
    assert "not finite" in module.refusal(points, 1.0, 128, 16)


@pytest.mark.parametrize("points", [np.zeros((467, 2)), np.full((468, 2), np.inf)])
def test_other_points_are_refused(points):
    with pytest.raises(ValueError, match="468 finite"):
        mesh_labels(points, SHAPE)


def six_class_face():
    """Six classes drawn with rectangles on the toy mesh's places; returns them and the eyes' and brows' places."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:160, 30:130] = 1
    labels[0:30, 20:140] = 5
    # Brows, moved as the mesh's are: around y = 16 + 0.20 * 128 + 1.8 = 43.4.
    labels[41:46, 50:70] = 5
    labels[41:46, 90:110] = 5
    labels[55:62, 52:68] = labels[55:62, 92:108] = 3
    labels[65:90, 74:86] = 2
    labels[95:105, 66:94] = 4
    return labels


def test_six_classes_by_hand():
    labels = six_class_face()
    result = from_six_classes(labels, toy.toy_points())
    assert (result[41:46, 50:70] == FaceClass.LEFT_BROW).all() and (result[41:46, 90:110] == FaceClass.RIGHT_BROW).all()
    assert (result[55:62, 52:68] == FaceClass.LEFT_EYE).all() and (result[55:62, 92:108] == FaceClass.RIGHT_EYE).all()
    assert (result == FaceClass.NOSE).sum() == (labels == 2).sum()
    assert (result[labels == 4] == UNKNOWN).all() and (result[labels == 0] == FaceClass.BACKGROUND).all()
    assert (result[0:30, 20:140] == FaceClass.HAIR).all()
    # Forehead beside the oval is skin; an ear and the neck are unknown; a cheek is skin.
    assert result[35, 31] == FaceClass.SKIN and result[80, 31] == UNKNOWN and result[150, 80] == UNKNOWN
    assert result[85, 50] == FaceClass.SKIN


def test_a_fringe_that_reaches_a_brow_is_hair_but_for_the_brows_zone():
    labels = six_class_face()
    labels[30:46, 50:70] = 5
    result = from_six_classes(labels, toy.toy_points())
    assert not (result == FaceClass.LEFT_BROW).any() and (result[41:46, 90:110] == FaceClass.RIGHT_BROW).all()
    assert (result[42:45, 52:68] == UNKNOWN).all() and (result[30:33, 50:70] == FaceClass.HAIR).all()


def test_a_patch_that_is_not_mostly_inside_the_brows_zone_is_no_brow():
    """The zone reaches from 42 to 74 (the polygon's 46 to 70, and 4 more): 28 of these 39 columns, under 0.75."""
    labels = six_class_face()
    labels[41:46, 31:70] = 5
    result = from_six_classes(labels, toy.toy_points())
    assert not (result == FaceClass.LEFT_BROW).any()
    assert (result[41:46, 31:40] == FaceClass.HAIR).all() and (result[42:45, 48:68] == UNKNOWN).all()
    labels[41:46, 31:38] = 1
    assert (from_six_classes(labels, toy.toy_points())[41:46, 38:70] == FaceClass.LEFT_BROW).all()


def test_unknown_stays_unknown():
    labels = six_class_face()
    labels[:, :80] = UNKNOWN
    assert (from_six_classes(labels, toy.toy_points())[:, :80] == UNKNOWN).all()
