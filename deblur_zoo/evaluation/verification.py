"""Verification: are the restored picture and a sharp one of the same person? Lists are in LFW's pairs format."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from deblur_zoo.evaluation.methods import inputs
from deblur_zoo.evaluation.runs import journal, kernels_of
from deblur_zoo.metrics.identity import identity_cosine

FOLDS = 10


@dataclass(frozen=True)
class Pair:
    """Two pictures by their path in the folder, without ending; whether they show one person; the pair's fold."""

    first: str
    second: str
    same: bool
    fold: int


def read_list(path):
    """Pairs of a list in LFW's format (Huang et al. 2007).

    The first line holds the number of folds and of pairs of each kind in a fold, or the latter alone, as in LFW's
    development lists; these are dealt out to ten folds. "Name 1 4" are the pictures Name/Name_0001 and Name/Name_0004,
    "Name 1 Other 3" are two people.

    Args:
        path: of the text file.

    Returns:
        list of Pair.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line in another format, or fewer or more pairs than the first line says.
    """
    lines = [line.split() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines or len(lines[0]) > 2 or not all(word.isdigit() for word in lines[0]):
        raise ValueError(f"{path} is not a list of pairs: its first line must hold LFW's number of folds and of pairs")
    *folds, count = map(int, lines[0])
    folds = folds[0] if folds else 1
    if len(lines) - 1 != 2 * folds * count:
        raise ValueError(f"{path} announces {folds} folds of 2 x {count} pairs, but has {len(lines) - 1}")
    found = []
    for number, words in enumerate(lines[1:]):
        fold = number // (2 * count) if folds > 1 else number % FOLDS
        if len(words) == 3:
            words = [words[0], words[1], words[0], words[2]]
        if len(words) != 4 or not (words[1].isdigit() and words[3].isdigit()):
            raise ValueError(f"{path}, pair {number + 1}: expected NAME NUMBER NUMBER or NAME NUMBER NAME NUMBER")
        first, second = (f"{name}/{name}_{int(digits):04d}" for name, digits in (words[:2], words[2:]))
        found.append(Pair(first, second, words[0] == words[2], fold))
    return found


def verify(methods, test_set, pairs, identity, folder, batch_size=16, progress=False):
    """Similarities of the pairs, the first picture blurred and restored, the second sharp.

    Args:
        methods: list of ``Method``; the blurred and the sharp input are added.
        test_set: ``TestSet`` of the pictures.
        pairs: list of Pair.
        identity: ``measures.Identity``.
        folder: where rows are kept, see ``runs.run_all``.
        batch_size: pictures per forward pass.
        progress: show progress bars.

    Returns:
        frame with "protocol", "method", "similarity", "same" and "fold"; a pair has a row for each kernel.

    Raises:
        ValueError: a picture of the list is not among the faces.
    """
    index = {stem: number for number, stem in enumerate(test_set.stems)}
    for pair in pairs:
        for stem in (pair.first, pair.second):
            if stem not in index:
                raise ValueError(f"the list of pairs names {stem}, which is not among the faces")
    of_face = {}
    for number, pair in enumerate(pairs):
        of_face.setdefault(index[pair.first], []).append(number)
    seconds = sorted({index[pair.second] for pair in pairs})
    starts = range(0, len(seconds), batch_size)
    parts = [identity.embeddings(test_set, test_set.faces[seconds[start : start + batch_size]]) for start in starts]
    truths = dict(zip(seconds, np.concatenate(parts), strict=True))
    found = []
    for method in [*inputs(), *methods]:
        of = {"pairs": [vars(pair) for pair in pairs], "identity": identity.of}
        rows = journal(folder, method, test_set, of, "pairs")
        total = test_set.protocol.count(len(test_set.faces))
        with tqdm(total=total, unit="picture", desc=f"pairs: {method.name}", disable=None if progress else True) as bar:
            for batch in test_set.protocol.batches(test_set.faces, batch_size):
                bar.update(len(batch.faces))
                asked = np.flatnonzero([face in of_face for face in batch.faces])
                names = [test_set.pair_names(batch)[position] for position in asked]
                expected = [f"{name}_{number}" for name, position in zip(names, asked, strict=True)
                            for number in of_face[batch.faces[position]]]  # fmt: skip
                if not len(asked) or rows.has(expected):
                    continue
                part = replace(
                    batch, sharp=batch.sharp[asked], blurred=batch.blurred[asked], faces=batch.faces[asked],
                    kernels=None if batch.kernels is None else batch.kernels[asked],
                )  # fmt: skip
                restored = method.restore(part, names, kernels_of(test_set.protocol, part))
                embeddings = identity.embeddings(test_set, restored)
                numbers = [of_face[face] for face in part.faces]
                flat = [number for listed in numbers for number in listed]
                repeated = np.repeat(embeddings, [len(listed) for listed in numbers], axis=0)
                second = np.stack([truths[index[pairs[number].second]] for number in flat])
                rows.add(
                    {
                        "pair": expected, "face": [pairs[number].first for number in flat],
                        "group": [str(batch.group)] * len(flat),
                        "similarity": np.asarray(identity_cosine(repeated, second)),
                        "same": [pairs[number].same for number in flat],
                        "fold": [pairs[number].fold for number in flat],
                    }
                )  # fmt: skip
        found.append(rows.read().assign(method=method.name, protocol=test_set.name))
    return pd.concat(found, ignore_index=True)
