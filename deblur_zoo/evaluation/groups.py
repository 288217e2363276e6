"""Gains by groups of people, taken from file names, with confidence intervals."""

import re
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

# female_asian_0280.webp: a gender, an ethnic group, a number.
PATTERN = r"[a-z]+_(?P<group>[a-z]+)_\d+\.[a-z]+"
CONFIDENCE, RESAMPLES, SEED = 0.95, 9999, 0
FEWEST_FACES = 3


def groups_of(paths, pattern=PATTERN):
    """The group of each file.

    Args:
        paths: the files; only their names count.
        pattern: regular expression for the whole name, whose part ``group`` is the group.

    Returns:
        list of str, one for each path.

    Raises:
        ValueError: an invalid regular expression, one without ``group``, a name that does not match, or a group of
            fewer than ``FEWEST_FACES`` faces, whose interval would be meaningless.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is not a regular expression: {error}") from None
    if "group" not in compiled.groupindex:
        raise ValueError(f"the pattern {pattern!r} must have a part (?P<group>...)")
    found = []
    for path in paths:
        name = PurePath(path).name
        match = compiled.fullmatch(name)
        if not match or not match["group"]:
            raise ValueError(f"the name {name} does not match the pattern {pattern!r}, which gives its group")
        found.append(match["group"])
    for group in sorted(set(found)):
        if found.count(group) < FEWEST_FACES:
            raise ValueError(f"the group {group} has {found.count(group)} faces; at least {FEWEST_FACES} are required")
    return found


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


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
    from scipy import stats

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


def gains_by_group(measurement, groups):
    """Mean gain of every group; a face counts once, by its mean gain over its kernels.

    Args:
        measurement: ``deblur_zoo.evaluation.measurement.Measurement``.
        groups: the group of each face.

    Returns:
        dict of group to {"faces", "mean", "low", "high", "made_worse"}, in dB and a share of the pairs, groups sorted.
    """
    groups = np.array(groups)
    by_face = np.bincount(measurement.faces, weights=measurement.gains) / np.bincount(measurement.faces)
    found = {}
    for group in np.unique(groups).tolist():
        values = by_face[groups == group]
        interval = bootstrap_interval(values)
        found[group] = {
            "faces": len(values),
            "mean": interval.mean,
            "low": interval.low,
            "high": interval.high,
            "made_worse": float(np.mean(measurement.gains[groups[measurement.faces] == group] < 0)),
        }
    return found


def overlap_sentence(gains):
    """A sentence that says whether all groups' intervals overlap.

    Args:
        gains: as from ``gains_by_group``.

    Returns:
        str. All intervals overlap pairwise exactly if the latest one begins no later than the earliest one ends.
    """
    first = min(gains, key=lambda group: gains[group]["high"])
    latest = max(gains, key=lambda group: gains[group]["low"])
    end, begin = gains[first]["high"], gains[latest]["low"]
    if begin <= end:
        return f"all intervals overlap, from {begin:+.2f} to {end:+.2f} dB."
    return f"not all intervals overlap: {first} ends at {end:+.2f} dB, {latest} begins at {begin:+.2f} dB."
