"""The classes of a face parsing: the eleven of the Helen dataset (Smith et al. 2013), and "unknown"."""

import enum

UNKNOWN = 255


class FaceClass(enum.IntEnum):
    """Values of label maps; left is left in the image."""

    BACKGROUND = 0
    SKIN = 1
    LEFT_BROW = 2
    RIGHT_BROW = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    NOSE = 6
    UPPER_LIP = 7
    INNER_MOUTH = 8
    LOWER_LIP = 9
    HAIR = 10


# The names that files use, in the order of the labels.
CLASS_NAMES = tuple(label.name.lower() for label in FaceClass)
# What lies within the skin: brows, eyes, nose, lips and inner mouth.
COMPONENTS = tuple(FaceClass(label) for label in range(FaceClass.LEFT_BROW, FaceClass.HAIR))
