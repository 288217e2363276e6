"""Recognition against a gallery (Shen et al. 2020, table 11) and ten-fold verification (Huang et al. 2007, LFW)."""

import numpy as np
from numpy.typing import ArrayLike

from deblur_zoo.annotations import Array


def ranks(probes: ArrayLike, people: ArrayLike, gallery: ArrayLike, gallery_people: ArrayLike) -> Array:
    """Place of each probe's person among all people of a gallery, by cosine similarity.

    A person with several pictures counts by the most similar one. People that tie with the true one come before it.

    Args:
        probes: (N, D) embeddings.
        people: (N,) the person of each probe.
        gallery: (M, D) embeddings.
        gallery_people: (M,) the person of each picture in the gallery.

    Returns:
        int (N,): 1 for the first place. Top-k recognition is the share of ranks up to k.

    Raises:
        ValueError: embeddings of other shapes, or a probe whose person is not in the gallery.
    """
    probes, gallery = _unit(probes), _unit(gallery)
    people, gallery_people = np.asarray(people), np.asarray(gallery_people)
    if probes.shape[1:] != gallery.shape[1:] or len(people) != len(probes) or len(gallery_people) != len(gallery):
        raise ValueError(
            f"embeddings of shapes {probes.shape} and {gallery.shape} do not match {len(people)} people of probes and "
            f"{len(gallery_people)} of the gallery"
        )
    unknown = sorted(set(people.tolist()) - set(gallery_people.tolist()))
    if unknown:
        raise ValueError(f"the gallery has no picture of {unknown[0]}, and lacks {len(unknown)} people in all")
    names, numbers = np.unique(gallery_people, return_inverse=True)
    best = np.full((len(probes), len(names)), -np.inf)
    for picture, number in enumerate(numbers):
        best[:, number] = np.maximum(best[:, number], probes @ gallery[picture])
    own = best[np.arange(len(probes)), np.searchsorted(names, people)]
    return (best >= own[:, None]).sum(axis=1)


def fold_accuracies(similarities: ArrayLike, same: ArrayLike, folds: ArrayLike) -> Array:
    """Verification accuracy of each fold, with the threshold that is best on the others.

    A pair counts as one person if its similarity is at least the threshold. Thresholds are tried halfway between
    neighbouring similarities of the other folds; among equally good ones, the lowest is used.

    Args:
        similarities: (N,) similarity of the two pictures of each pair.
        same: (N,) whether they show one person.
        folds: (N,) the fold of each pair.

    Returns:
        float64 (F,), one accuracy for each fold in ascending order; their mean is the ten-fold accuracy.

    Raises:
        ValueError: fewer than two folds, or arrays of different lengths.
    """
    similarities, same, folds = np.asarray(similarities, np.float64), np.asarray(same, bool), np.asarray(folds)
    names = np.unique(folds)
    if not similarities.shape == same.shape == folds.shape or len(names) < 2:
        raise ValueError(
            f"verification needs at least two folds of pairs, got {len(names)} folds, and the shapes "
            f"{similarities.shape}, {same.shape} and {folds.shape}"
        )
    found = []
    for name in names:
        test = folds == name
        threshold = _best_threshold(similarities[~test], same[~test])
        found.append(np.mean((similarities[test] >= threshold) == same[test]))
    return np.array(found)


def _best_threshold(similarities: Array, same: Array) -> float:
    order = np.argsort(similarities)
    values, same = similarities[order], same[order]
    # Correct pairs if the first k are called different: those of two people before k and of one person from k on.
    correct = np.concatenate([[0], np.cumsum(~same)]) + same.sum() - np.concatenate([[0], np.cumsum(same)])
    middles = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    # Equal similarities cannot be separated.
    possible = np.concatenate([[True], values[1:] > values[:-1], [True]])
    return float(middles[np.argmax(np.where(possible, correct, -1))])


def _unit(embeddings: ArrayLike) -> Array:
    embeddings = np.asarray(embeddings, np.float64)
    if embeddings.ndim != 2:
        raise ValueError(f"expected embeddings (N, D), got the shape {embeddings.shape}")
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
