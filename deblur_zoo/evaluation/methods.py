"""What is compared: presets, exported files, classical methods, and folders of another method's outputs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblur_zoo.evaluation.baselines.classical import BASELINES
from deblur_zoo.evaluation.baselines.krishnan import KRISHNAN
from deblur_zoo.evaluation.faces import name_of
from deblur_zoo.evaluation.given_pairs import by_stem, read_rgb
from deblur_zoo.evaluation.protocol import as_float
from deblur_zoo.exported import reader_of
from deblur_zoo.files import pictures
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.zoo.presets import RUN_FILE

CLASSICAL = {**BASELINES, "krishnan": KRISHNAN}
BLURRED_INPUT, SHARP_INPUT = "blurred input", "sharp input"


@dataclass(frozen=True)
class Method:
    """A method under comparison.

    Attributes:
        name: its name in tables.
        restore: function of a ``Batch``, the names of its pairs and its kernels (a list, or None) that returns the
            restored pictures, uint8.
        of: what its numbers depend on, for resuming: weights, constants, files.
        parameters, multiply_adds: its size, or None.
        model: the model, or None.
        oracle: whether it is given the kernels.
    """

    name: str
    restore: Callable
    of: dict
    parameters: int | None = None
    multiply_adds: int | None = None
    model: object = None
    oracle: bool = False


def inputs():
    """The blurred and the sharp pictures as methods, between whose numbers a restoration's lie."""
    return (
        Method(BLURRED_INPUT, lambda batch, names, kernels: batch.blurred, {"input": "blurred"}),
        Method(SHARP_INPUT, lambda batch, names, kernels: batch.sharp, {"input": "sharp"}),
    )


def open_method(source, passes=1):
    """A method by its source.

    Args:
        source: name of a preset; a folder with ``config.json`` and weights; an exported file or folder; the name of a
            classical method in ``CLASSICAL``; or NAME=FOLDER, another method's outputs, named like the pictures that
            ``--write_inputs`` writes, or NAME=PATH of such a folder or file, to give it another name.
        passes: how many times a picture goes through a model.

    Returns:
        Method.

    Raises:
        FileNotFoundError, ValueError: an unusable source.
    """
    name, _, path = str(source).partition("=")
    # Addresses of presets have a "=" too.
    if path and "://" not in name and not Path(source).exists():
        is_model = any(Path(path, file).is_file() for file in ("config.json", RUN_FILE)) or reader_of(path)
        return _model(path, passes, name) if is_model else _outputs(name, path)
    if source in CLASSICAL:
        baseline = CLASSICAL[source]
        return Method(
            baseline.title,
            lambda batch, names, kernels: baseline(batch.blurred, kernels),
            {"method": source, "constants": baseline.constants},
            oracle=baseline.oracle,
        )
    return _model(source, passes)


def _model(source, passes, name=None):
    from deblur_zoo import zoo
    from deblur_zoo.zoo.multiply_adds import count_multiply_adds

    model = zoo.load(source, kind="deblurrer")
    path = Path(source)
    keras_model = hasattr(model, "count_params")
    if keras_model:
        weights = hashlib.sha256(b"".join(np.ascontiguousarray(value) for value in model.get_weights())).hexdigest()
        name = name or model.name
    else:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        weights = hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest()
        # A SavedModel's folder has a version number for a name.
        file = "SavedModel" if path.is_dir() else path.name
        name = name or (f"{model.name} ({file})" if model.name else file)
    return Method(
        name + (f", {passes} passes" if passes > 1 else ""),
        restoring(pictures.in_passes(model.run, passes)),
        {"weights": weights, "passes": passes},
        model.count_params() if keras_model else None,
        count_multiply_adds(model) if keras_model else None,
        model,
    )


def restoring(function):
    """The ``restore`` of a ``Method``, from a function of float32 (N, H, W, 3) in [0, 1] that returns the same."""

    def restore(batch, names, kernels):
        return pictures.to_uint8(np.asarray(function(as_float(batch.blurred))))

    return restore


def _outputs(name, folder):
    stems = by_stem(Path(folder))
    files = {name_of(stem): path for stem, path in stems.items()}
    if len(files) < len(stems):
        raise ValueError(f"{folder} has outputs whose paths differ only in / and _: rename one")
    if not files:
        raise ValueError(f"{folder} has no pictures; name another method's outputs like those of --write_inputs")

    def restore(batch, names, kernels):
        found = []
        for pair, truth in zip(names, batch.sharp, strict=True):
            if pair not in files:
                raise ValueError(f"{folder} has no output {pair}; name outputs like the pictures of --write_inputs")
            image = read_rgb(files[pair])
            if image.shape != truth.shape:
                sizes = [f"{shape[1]}x{shape[0]}" for shape in (truth.shape, image.shape)]
                raise ValueError(f"{files[pair]} must be {sizes[0]} pixels large, like its input, not {sizes[1]}")
            found.append(image)
        return np.stack(found)

    digests = "".join(f"{name} {sha256_of(path)}\n" for name, path in files.items())
    return Method(name, restore, {"outputs": hashlib.sha256(digests.encode()).hexdigest()})
