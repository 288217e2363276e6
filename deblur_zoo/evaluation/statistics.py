"""Means with their intervals: a face counts once, by the mean of its pictures, since those are not independent."""

import numpy as np
import pandas as pd

from deblur_zoo.evaluation.groups import Interval, bootstrap_interval


def interval(values, faces):
    """The mean over faces with its 95 % bootstrap interval.

    Args:
        values: (N,) numbers; NaN is left out.
        faces: (N,) the face of each.

    Returns:
        Interval; NaN for the mean without values, and for the ends with fewer than two faces.
    """
    values = pd.Series(np.asarray(values, np.float64)).groupby(np.asarray(faces)).mean().dropna().to_numpy()
    if len(values) < 2:
        return Interval(float(values[0]) if len(values) else float("nan"), float("nan"), float("nan"))
    return bootstrap_interval(values)


def paired_difference(first, second):
    """Mean difference of two methods on the same pictures, with its interval.

    Args:
        first, second: (N,) Series with an index of (pair, face) levels named "pair" and "face".

    Returns:
        (Interval of first minus second, share of pictures on which the first is higher).

    Raises:
        ValueError: other pictures.
    """
    if set(first.index) != set(second.index):
        raise ValueError("two methods can be compared on the same pictures only")
    difference = first - second.reindex(first.index)
    return interval(difference, difference.index.get_level_values("face")), float((difference > 0).mean())
