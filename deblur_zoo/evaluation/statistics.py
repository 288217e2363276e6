"""Means with their intervals: a face counts once, by the mean of its pictures, since those are not independent."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE, RESAMPLES, SEED = 0.95, 9999, 0


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float

    def shown(self, form):
        """ "mean [low, high]", in a format; without ends that are NaN."""
        ends = "" if np.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.mean:{form}}{ends}"


def bootstrap_interval(values, seed=SEED):
    """The mean of some values with its 95 % interval, by bias-corrected and accelerated bootstrap (Efron 1987).

    Args:
        values: (N,) numbers, one per face.
        seed: random seed of the resampling.

    Returns:
        Interval; all three are equal if all values are.

    Raises:
        ValueError: fewer than 2 values.
        ImportError: SciPy is not installed.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"an interval needs at least 2 values, got shape {values.shape}")
    mean = float(values.mean())
    if np.ptp(values) == 0:
        # The bootstrap of a constant has no distribution.
        return Interval(mean, mean, mean)
    found = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="BCa",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


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
