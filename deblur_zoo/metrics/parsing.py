"""Agreement of a parsing with the labels: F-score by component (Shen et al. 2020, table 3)."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from deblur_zoo import face_classes
from deblur_zoo.annotations import Array
from deblur_zoo.face_classes import UNKNOWN, FaceClass

CLASSES = len(FaceClass)
# The rows of table 3 by label, which omits the background.
COMPONENTS = {
    "face": FaceClass.SKIN,
    "left_brow": FaceClass.LEFT_BROW,
    "right_brow": FaceClass.RIGHT_BROW,
    "left_eye": FaceClass.LEFT_EYE,
    "right_eye": FaceClass.RIGHT_EYE,
    "nose": FaceClass.NOSE,
    "upper_lip": FaceClass.UPPER_LIP,
    "lower_lip": FaceClass.LOWER_LIP,
    "teeth": FaceClass.INNER_MOUTH,
    "hair": FaceClass.HAIR,
}
# Groups independent of left and right, and of where a lip ends.
MERGED = {
    "brows": (FaceClass.LEFT_BROW, FaceClass.RIGHT_BROW),
    "eyes": (FaceClass.LEFT_EYE, FaceClass.RIGHT_EYE),
    "mouth": (FaceClass.UPPER_LIP, FaceClass.INNER_MOUTH, FaceClass.LOWER_LIP),
}
# The four classes of Yasarla et al. 2020 (UMSN), table II: background, skin, all small components, hair.
UMSN_CLASSES = {
    "class-1": (FaceClass.BACKGROUND,),
    "class-2": (FaceClass.SKIN,),
    "class-3": face_classes.COMPONENTS,
    "class-4": (FaceClass.HAIR,),
}


def confusion(truth: ArrayLike, estimate: ArrayLike, classes: int = CLASSES) -> Array:
    """Count the pixels of each true class that are given each class.

    Args:
        truth: integer (...), labels below ``classes`` or 255 for unknown, which is ignored.
        estimate: integer of the same shape, labels below ``classes``.
        classes: number of classes.

    Returns:
        int64 (classes, classes): rows are the truth, columns the estimate. Counts of several images can be added up.

    Raises:
        ValueError: shapes that differ, or a label out of range.
    """
    truth, estimate = np.asarray(truth), np.asarray(estimate)
    if truth.shape != estimate.shape:
        raise ValueError(f"truth and estimate must have the same shape, got {truth.shape} and {estimate.shape}")
    known = truth != UNKNOWN
    truth, estimate = truth[known].astype(np.int64), estimate[known].astype(np.int64)
    for name, labels in (("truth", truth), ("estimate", estimate)):
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            raise ValueError(f"the {name} contains the label {labels.max()}; accepted: 0 to {classes - 1}")
    return np.bincount(truth * classes + estimate, minlength=classes**2).reshape(classes, classes)


def f_scores(counts: ArrayLike, groups: Iterable[Iterable[int]] | None = None) -> Array:
    """F-score of every class: 2 TP / (2 TP + FP + FN), over all counted pixels.

    Args:
        counts: (K, K) as ``confusion`` gives it.
        groups: G tuples of classes, each counted as one class, ignoring confusion within it; None for single classes.

    Returns:
        float64 (K,), or (G,); NaN for a class or group absent from both truth and estimate.

    Raises:
        ValueError: an empty group, or one with a class out of range.
    """
    counts = np.asarray(counts, np.float64)
    if groups is not None:
        chosen = [sorted(set(group)) for group in groups]
        if any(not group or group[0] < 0 or group[-1] >= len(counts) for group in chosen):
            raise ValueError(f"groups are of classes from 0 to {len(counts) - 1}, not {chosen}")
        members = np.array([np.isin(np.arange(len(counts)), group) for group in chosen], np.float64).reshape(
            -1, len(counts)
        )
        hits = np.einsum("gi,ij,gj->g", members, counts, members)
        sizes = members @ (counts.sum(axis=0) + counts.sum(axis=1))
    else:
        hits = np.diag(counts)
        sizes = counts.sum(axis=0) + counts.sum(axis=1)
    return np.divide(2 * hits, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)


def component_scores(counts: ArrayLike) -> dict[str, float]:
    """F-scores by component and their average, as in table 3.

    Args:
        counts: (11, 11).

    Returns:
        dict of component name to F-score, and "average" over those that are not NaN.
    """
    scores = f_scores(counts)
    table = {name: float(scores[label]) for name, label in COMPONENTS.items()}
    present = [value for value in table.values() if not np.isnan(value)]
    return {**table, "average": float(np.mean(present)) if present else float("nan")}


def group_scores(counts: ArrayLike) -> dict[str, float]:
    """F-scores of brows, eyes and mouth, merging left and right, or the lips, and of the four classes of UMSN.

    Args:
        counts: (11, 11).

    Returns:
        dict of the names in ``MERGED`` and ``UMSN_CLASSES`` to F-scores; NaN as in ``f_scores``.
    """
    groups = {**MERGED, **UMSN_CLASSES}
    return dict(zip(groups, f_scores(counts, groups.values()).tolist(), strict=True))
