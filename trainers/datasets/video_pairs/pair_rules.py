"""Which averages become pairs: those with a sharp middle frame and motion centred on it; and a selection of many."""

import cv2
import numpy as np

from deblur_zoo.faces.alignment import CROP_SIZE, canonical_points, similarity_transform

BLURRED, BESIDE, AT_REST = "truth is not sharp", "motion lies to one side", "motion pauses at both ends"
# Standard deviations in pixels of the two smoothings that separate fine from coarse detail.
_FINE, _COARSE = 1.0, 3.0
# Below this motion, in pixels of a 128-pixel crop, pauses leave no doubled edges; it is mostly the tracker's noise.
_LEAST_MOTION = 3.0


def refusal(sharp, points, settings):
    """Why an average and its middle frame are rejected as a pair; "" if they are accepted.

    Args:
        sharp: uint8 (S, S, 3), the middle frame as a crop of ``settings.size`` with ``settings.margin``.
        points: (L, 5, 2), the face's points in pixels of the average's frames.
        settings: clip.Settings.

    Returns:
        str, one of BLURRED, BESIDE and AT_REST.
    """
    if sharpness(sharp, settings.margin) < settings.least_sharpness:
        return BLURRED
    offset, unevenness = motion(points)
    if offset > settings.largest_offset:
        return BESIDE
    return AT_REST if unevenness > settings.most_unevenness else ""


def sharpness(picture, margin=0):
    """Fine detail of an image in proportion to its coarse detail, along the axis that has less of it.

    A ratio is independent of contrast and brightness; by axis, since motion removes the detail of one direction.

    Args:
        picture: uint8 (S, S, 3), RGB.
        margin: pixels of each side to ignore.

    Returns:
        float, at least 0: the standard deviation of the luma's detail that a Gaussian of 1 pixel removes, divided by
        that of the further detail that one of 3 pixels removes. In crops of 128 from 36 clips it is 0.40 to 0.55;
        blurring them by 3 pixels along one axis lowers it to 0.29 to 0.36, a Gaussian of 0.7 pixels to 0.31 to 0.37.
        0 if there is no detail.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    side = len(grey)
    grey = grey[margin : side - margin, margin : side - margin]
    # Rounding to integer levels is not detail.
    if grey.std() < 1:
        return 0.0
    ratios = []
    for along in (grey, np.ascontiguousarray(grey.T)):
        fine, coarse = (_smoothed_along_rows(along, sigma) for sigma in (_FINE, _COARSE))
        ratios.append(np.sqrt(np.mean((along - fine) ** 2) / max(np.mean((fine - coarse) ** 2), 1e-6)))
    return float(min(ratios))


def motion(points):
    """Distribution of a face's motion around its position in the middle frame.

    Args:
        points: (L, 5, 2), (x, y) in pixels of successive frames.

    Returns:
        offset: distance between the points' mean position over all frames and their position in the middle one, in
            pixels of a 128-pixel crop. Large, for instance, if the face rests and then moves: most light comes from one
            side.
        unevenness: standard deviation of the face's position along its main direction, as a share of its range: 0.29
            for uniform motion, 0.5 for a face that is in one of two positions and shows twice. 0 if it moves by less
            than three pixels of a 128-pixel crop.
    """
    points = np.asarray(points, np.float64)
    middle = points[len(points) // 2]
    matrix = similarity_transform(middle, canonical_points(CROP_SIZE))
    moved = (points - middle) @ matrix[:, :2].T
    offset = float(np.mean(np.hypot(*moved.mean(axis=0).T)))
    places = moved.mean(axis=1)
    places = places - places.mean(axis=0)
    # The first principal component.
    along = places @ np.linalg.svd(places, full_matrices=False)[2][0]
    extent = float(np.ptp(along))
    return offset, float(along.std() / extent) if extent >= _LEAST_MOTION else 0.0


def evenly_spread(items, most=None):
    """At most ``most`` of the items, evenly spread and in order; all of them if ``most`` is None.

    For an iterable of unknown length, at most twice ``most`` plus one are held.
    """
    if most is None:
        yield from items
        return
    kept, stride = [], 1
    for number, item in enumerate(items):
        if number % stride == 0:
            kept.append(item)
            if len(kept) > 2 * most:
                kept, stride = kept[::2], 2 * stride
    count = min(most, len(kept))
    for k in range(count):
        yield kept[k * len(kept) // count]


def _smoothed_along_rows(grey, sigma):
    return cv2.sepFilter2D(grey, -1, cv2.getGaussianKernel(2 * int(3 * sigma) + 1, sigma), np.ones(1))
