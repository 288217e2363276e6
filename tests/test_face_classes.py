"""The classes of label maps, whose numbers and names are in files of others."""

from deblur_zoo.face_classes import CLASS_NAMES, COMPONENTS, UNKNOWN
from deblur_zoo.metrics.parsing import UMSN_CLASSES


def test_numbers_and_names():
    assert CLASS_NAMES == (
        "background", "skin", "left_brow", "right_brow", "left_eye", "right_eye", "nose", "upper_lip", "inner_mouth",
        "lower_lip", "hair",
    )  # fmt: skip
    assert COMPONENTS == (2, 3, 4, 5, 6, 7, 8, 9) and UNKNOWN == 255


def test_the_four_classes_hold_each_of_the_eleven_once():
    assert sorted(label for members in UMSN_CLASSES.values() for label in members) == list(range(11))
