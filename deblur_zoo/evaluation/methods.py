"""What is compared: presets, exported files, classical methods, and folders of another method's outputs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblur_zoo.evaluation.baselines import BASELINES
from deblur_zoo.evaluation.given_pairs import by_stem
from deblur_zoo.evaluation.krishnan import KRISHNAN
from deblur_zoo.files import pictures
from deblur_zoo.files.checksum import sha256_of

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
    """

    name: str
    restore: Callable
    of: dict
    parameters: int | None = None
    multiply_adds: int | None = None
    model: object = None


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
            ``--write_inputs`` writes.
        passes: how many times a picture goes through a model.

    Returns:
        Method.

    Raises:
        FileNotFoundError, ValueError: an unusable source.
    """
    name, _, folder = str(source).partition("=")
    # Addresses of presets have a "=" too.
    if folder and "://" not in name and not Path(source).exists():
        return _outputs(name, folder)
    if source in CLASSICAL:
        baseline = CLASSICAL[source]
        return Method(baseline.title, _classical(baseline), {"method": source, "constants": baseline.constants})
    return _model(source, passes)


def _model(source, passes):
    from deblur_zoo import zoo
    from deblur_zoo.evaluation.measurement import restore
    from deblur_zoo.zoo.multiply_adds import count_multiply_adds

    model = zoo.load(source, kind="deblurrer")
    function = pictures.repeated(model.run, passes)
    keras_model = hasattr(model, "count_params")
    path = Path(source)
    if keras_model:
        weights = hashlib.sha256(b"".join(np.ascontiguousarray(value) for value in model.get_weights())).hexdigest()
        name = model.name
    else:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        weights = hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest()
        name = f"{model.name} ({path.name})"
    return Method(
        name + (f", {passes} passes" if passes > 1 else ""),
        lambda batch, names, kernels: restore(function, batch.blurred, max(len(batch.blurred), 1)),
        {"weights": weights, "passes": passes},
        model.count_params() if keras_model else None,
        count_multiply_adds(model) if keras_model else None,
        model,
    )


def _classical(baseline):
    def restore(batch, names, kernels):
        if baseline.oracle and kernels is None:
            raise ValueError(f"{baseline.title} needs the kernels, which this protocol does not have")
        images = batch.blurred.astype(np.float32) / 255
        restored = baseline(images, kernels) if baseline.oracle else baseline(images)
        return np.rint(np.clip(restored, 0, 1) * 255).astype(np.uint8)

    return restore


def _outputs(name, folder):
    files = by_stem(Path(folder))
    if not files:
        raise ValueError(f"{folder} has no pictures; name another method's outputs like those of --write_inputs")

    def restore(batch, names, kernels):
        found = []
        for pair, truth in zip(names, batch.sharp, strict=True):
            if pair not in files:
                raise ValueError(f"{folder} has no output {pair}; name outputs like the pictures of --write_inputs")
            image = pictures.read(files[pair])
            if image.shape != truth.shape:
                size = f"{image.shape[1]}x{image.shape[0]}"
                raise ValueError(f"{files[pair]} must be RGB of {truth.shape[1]}x{truth.shape[0]} pixels, not {size}")
            found.append(image)
        return np.stack(found)

    digests = "".join(sha256_of(path) for path in files.values())
    return Method(name, restore, {"outputs": hashlib.sha256(digests.encode()).hexdigest()})
