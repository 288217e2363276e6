"""Gains by groups of people: which group a file's name says, and how sure a group's mean gain is."""

import re
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

# female_asian_0280.webp: a gender, an ethnic group, a number.
PATTERN = r"[a-z]+_(?P<group>[a-z]+)_\d+\.[a-z]+"
CONFIDENCE, RESAMPLES, SEED = 0.95, 9999, 0
FEWEST_FACES = 3
# How the intervals are made, for results.json.
BOOTSTRAP = {"over": "faces", "method": "BCa", "confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": SEED}


def groups_of(paths, pattern=PATTERN):
    """The group of every file.

    Args:
        paths: the files; their last names count.
        pattern: regular expression for the whole name; what it calls ``group`` is the group.

    Returns:
        list of str, one for each path.

    Raises:
        ValueError: no regular expression, one without ``group``, a name that does not fit, or a group of fewer than
            ``FEWEST_FACES`` faces, whose interval would say nothing.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    if "group" not in compiled.groupindex:
        raise ValueError(f"the pattern {pattern!r} names no group: it must have a part (?P<group>...)")
    found = []
    for path in paths:
        name = PurePath(path).name
        match = compiled.fullmatch(name)
        if not match or not match["group"]:
            raise ValueError(f"the name {name} does not say its group: it does not fit the pattern {pattern!r}")
        found.append(match["group"])
    for group in sorted(set(found)):
        if found.count(group) < FEWEST_FACES:
            raise ValueError(
                f"the group {group} has {found.count(group)} faces; at least {FEWEST_FACES} of a group are needed"
            )
    return found


@dataclass(frozen=True)
class Interval:
    """A mean and where its confidence interval begins and ends."""

    mean: float
    low: float
    high: float


def bootstrap_interval(values, seed=SEED):
    """The mean of some values with its 95 % interval, by bias-corrected and accelerated bootstrap (Efron 1987).

    Args:
        values: (N,) numbers, one a face.
        seed: of the resampling.

    Returns:
        Interval; all three are the same where all values are.

    Raises:
        ValueError: fewer than 2 values.
        ImportError: SciPy is not installed.
    """
    from scipy import stats

    values = np.asarray(values, np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"an interval needs at least 2 values, got the shape {values.shape}")
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
    """Mean gain of every group, each face counted once: by the mean gain over its kernels.

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
    """Whether all groups' intervals overlap, in a sentence.

    Args:
        gains: what ``gains_by_group`` gives.

    Returns:
        str. Intervals overlap all, every two of them, exactly where the latest begins no later than the first ends.
    """
    first = min(gains, key=lambda group: gains[group]["high"])
    latest = max(gains, key=lambda group: gains[group]["low"])
    end, begin = gains[first]["high"], gains[latest]["low"]
    if begin <= end:
        return f"all intervals overlap: they share {begin:+.2f} to {end:+.2f} dB."
    return (
        f"not all intervals overlap: that of {first} ends at {end:+.2f} dB, that of {latest} begins at {begin:+.2f} dB."
    )
