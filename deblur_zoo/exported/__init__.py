"""Load exported SavedModel, TFLite and ONNX files as objects with ``deblur``.

Each format has a module with ``information(path)`` and ``open_runner(path)``; its interpreter is imported on first use.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deblur_zoo.annotations import Array, Pictures, StrPath
from deblur_zoo.exported import saved_model_folder
from deblur_zoo.files import forks
from deblur_zoo.files import pictures as picture_files

SAVED_MODEL = "deblur_zoo.exported.saved_model_folder"
# The ending of a file to the module that reads it. Folders and archives are SavedModels.
ENDINGS = {
    ".tflite": "deblur_zoo.exported.tflite_file",
    ".onnx": "deblur_zoo.exported.onnx_file",
    **dict.fromkeys(saved_model_folder.ARCHIVE_ENDINGS, SAVED_MODEL),
}


class ExportedDeblurrer:
    """An exported deblurring model. It maps NumPy arrays to NumPy arrays and cannot be trained.

    Attributes:
        name: the preset's name.
        information: dict that the file carries: input, output, alignment, licence, paper.
        fixed_size: (height, width) in pixels if the file takes only one size, or None.
    """

    kind: str = "deblurrer"

    def __init__(self, run: Callable[[Array], Array], information: dict[str, Any]) -> None:
        forks.guard()
        self.name = information.get("preset")
        self.information = information
        self.fixed_size: tuple[int, int] | None = getattr(run, "fixed_size", None)
        self._run = run

    def __call__(self, images: ArrayLike, training: bool = False) -> Array:
        """Restore a batch.

        Args:
            images: float (N, H, W, 3), RGB in [0, 1], of a size that the file takes.
            training: must be false.

        Returns:
            float32 array of the same shape, in [0, 1].

        Raises:
            TypeError: an integer array, which would be clipped to white.
            ValueError: another shape, a size that the file does not take, or ``training``.
        """
        forks.check()
        if training:
            raise ValueError(f"{self.name} was exported: it can be run, not trained")
        images = np.asarray(images)
        if images.dtype.kind != "f":
            raise TypeError(
                f"{self.name} takes float RGB in [0, 1], not {images.dtype}: divide by 255, or give pictures of any "
                "type to .deblur()."
            )
        images = images.astype(np.float32, copy=False)
        if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
            raise ValueError(f"images must be of shape (N, H, W, 3), got {images.shape}")
        return self._run(images)

    def run(self, images: ArrayLike) -> Array:
        """As calling it; see ``Deblurrer.run``."""
        return self(images)

    def deblur(self, pictures: Pictures, batch_size: int = 16, passes: int = 1) -> Array:
        """Restore an image or a batch and return it in its original form; see ``Deblurrer.deblur``.

        Args:
            pictures: a path, a PIL image, or an array of shape (H, W), (H, W, C) or (N, H, W, C), C in 1, 3, 4;
                uint8, uint16 or float in [0, 1].
            batch_size: images per forward pass.
            passes: how many times the network is applied.

        Returns:
            uint8 array of the input's shape.

        Raises:
            FileNotFoundError, ValueError: as ``Deblurrer.deblur``; or a size that the file does not take.
        """
        return picture_files.restored(pictures, picture_files.in_passes(self, passes), batch_size)


def reader_of(path: StrPath) -> str | None:
    """Name of the module that reads an exported file or folder; None if the path is neither."""
    path = Path(path)
    if path.is_dir():
        return SAVED_MODEL if saved_model_folder.find(path) else None
    endings = (ending for ending in ENDINGS if path.name.endswith(ending))
    return next((ENDINGS[ending] for ending in endings), None) if path.is_file() else None


def open_exported(path: StrPath) -> ExportedDeblurrer:
    """An exported file or folder as an ``ExportedDeblurrer``.

    Args:
        path: a .tflite or .onnx file, a SavedModel's folder, a folder of its versions, or a .tar.gz of it.

    Raises:
        ValueError: another kind of file, a damaged one, or one that this library's exporters did not write.
        ImportError: the format's interpreter is not installed.
    """
    module = reader_of(path)
    if module is None:
        raise ValueError(
            f"{path} is not an exported model: a SavedModel's folder or .tar.gz, a .tflite or an .onnx file"
        )
    reader = importlib.import_module(module)
    information = reader.information(path)
    if information.get("kind", "deblurrer") != "deblurrer":
        raise ValueError(f"{path} is an exported {information['kind']}, not a deblurrer")
    return ExportedDeblurrer(reader.open_runner(path), information)
