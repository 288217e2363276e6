"""K-fold cross-validation of a parser over a folder of labelled faces."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deblur_zoo import zoo
from deblur_zoo.annotations import Array, StrPath
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.metrics.parsing import component_scores, group_scores
from trainers.datasets.labelled_pairs import list_pairs
from trainers.validation.parsing_validation import ParsingDevelopmentSet

SCORES = "scores.json"
Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Training:
    """How each fold's parser is trained.

    Attributes:
        preset: a parser's name or folder.
        faces: further folders of aligned crops to train on.
        labels: folders of their labels, as many as ``faces`` and empty for none; or none at all.
        repeat: how many times to repeat the pairs outside the fold.
        recipe: file to use instead of the preset's, or None.
        init_from: initial weights, or None.
    """

    preset: StrPath
    faces: Sequence[StrPath] = ()
    labels: Sequence[StrPath] = ()
    repeat: int = 1
    recipe: StrPath | None = None
    init_from: StrPath | None = None

    def command(self, pairs: StrPath, out: StrPath) -> list[str]:
        """The command line that trains one fold.

        Args:
            pairs: folder of the pairs outside the fold.
            out: the run's folder.

        Raises:
            ValueError: the numbers of ``faces`` and ``labels`` differ.
        """
        labels = self.labels or [""] * len(self.faces)
        if len(labels) != len(self.faces):
            raise ValueError(f"{len(self.faces)} sources in --faces need as many --labels, got {len(labels)}")
        faces = map(str, [*self.faces, *[pairs] * self.repeat])
        command = [sys.executable, "-m", "trainers", "--preset", str(self.preset), "--out", str(out)]
        command += ["--faces", ",".join(faces), "--labels", ",".join([*map(str, labels), *[""] * self.repeat])]
        for name in ("recipe", "init_from"):
            if getattr(self, name):
                command += [f"--{name}", str(getattr(self, name))]
        return command


def divide(pairs: Sequence[Pair], folds: int) -> list[list[Pair]]:
    """The folds: pairs in the order of their images' sha256, assigned in turn.

    Args:
        pairs: list of (image, labels) paths.
        folds: number of folds, at least 2.

    Returns:
        list of lists of pairs, whose sizes differ by at most one.

    Raises:
        ValueError: fewer pairs than folds.
    """
    if len(pairs) < folds:
        raise ValueError(f"{len(pairs)} labelled faces cannot be divided into {folds} folds")
    order = sorted(pairs, key=lambda pair: hashlib.sha256(Path(pair[0]).read_bytes()).hexdigest())
    return [order[fold::folds] for fold in range(folds)]


def copy_pairs(pairs: Sequence[Pair], folder: Path) -> None:
    """Make a folder contain exactly these pairs."""
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for paths in pairs:
        for path in paths:
            shutil.copyfile(path, folder / path.name)


def cross_validate(training: Training, pairs: StrPath, out: StrPath, folds: int = 5) -> dict[str, Any]:
    """Train and measure every fold; folds that an earlier run trained are only measured.

    Args:
        training: how each fold is trained.
        pairs: folder of aligned labelled faces, NAME.png and NAME_label.png.
        out: folder for the folds' runs and scores.json.
        folds: number of folds, at least 2.

    Returns:
        the contents of scores.json.

    Raises:
        FileNotFoundError, ValueError: unusable pairs, or a training run that failed.
    """
    found = list_pairs(pairs)[0]
    out = Path(out)
    counts: Any = 0
    for number, held_out in enumerate(divide(found, folds), 1):
        folder = out / f"fold_{number}"
        run = folder / "run"
        if not (run / "last.weights.h5").is_file():
            command = training.command(folder / "training", run)
            copy_pairs([pair for pair in found if pair not in held_out], folder / "training")
            print(f"fold {number} of {folds}", flush=True)
            if subprocess.run(command, check=False).returncode:
                raise ValueError(f"the training of fold {number} failed; see above")
        copy_pairs(held_out, folder / "held_out")
        counts = counts + fold_confusion(training.preset, run / "last.weights.h5", folder / "held_out")
    scores = component_scores(counts)
    content = {
        "format_version": 1,
        "folds": folds,
        "faces": len(found),
        "mean_f_score": scores.pop("average"),
        "f_scores": scores,
        "groups": group_scores(counts),
    }
    with atomic_path(out / SCORES) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def fold_confusion(preset: StrPath, weights: StrPath, folder: StrPath) -> Array:
    """Counts of true and predicted classes on a folder of pairs, for the preset with these weights."""
    model = zoo.load(preset, weights=False)
    zoo.load_initial_weights(model, weights)
    store = load_faces([folder], 128)
    return ParsingDevelopmentSet(store.faces, store.labels).confusion(model)
