"""TFLite files run in a fresh process, compared with the Keras model and timed."""

import os
import pathlib
from dataclasses import dataclass

import numpy as np

from exporters.verify import VerificationError, run_fresh

PROGRAM = pathlib.Path(__file__).with_name("run_tflite.py")
# Lowest PSNR in decibels between a file and the Keras model, on what the Keras model gives.
REQUIRED = {"float32": 60.0, "float16": 50.0, "dynamic_int8": 35.0, "int8": 30.0}


@dataclass(frozen=True)
class Checked:
    """Measurements of a file.

    Attributes:
        precision: one of ``exporters.tflite_model.PRECISIONS``.
        psnr: lowest PSNR in dB of the file's pictures against the Keras model's.
        milliseconds: medians of single runs with one thread and with two.
        size: of the file in bytes.
    """

    precision: str
    psnr: float
    milliseconds: tuple
    size: int

    @property
    def passed(self):
        # NaN must not pass.
        return bool(self.psnr >= REQUIRED[self.precision])

    @staticmethod
    def heading():
        """Names of the columns of ``row``, separated by tabs."""
        return "\t".join(["precision", "psnr_db", "required_db", "ms_1_thread", "ms_2_threads", "bytes"])

    def row(self):
        """The values, separated by tabs."""
        times = (f"{value:.2f}" for value in self.milliseconds)
        return "\t".join([self.precision, f"{self.psnr:.2f}", f"{REQUIRED[self.precision]:g}", *times, str(self.size)])

    def __str__(self):
        return (
            f"{self.precision}: {self.psnr:.1f} dB from the Keras model (at least {REQUIRED[self.precision]:g}), "
            f"{self.milliseconds[0]:.1f} ms with one thread, {self.milliseconds[1]:.1f} ms with two, "
            f"{self.size / 2**20:.2f} MiB"
        )


def check(model, files, pictures):
    """Run files and compare.

    Args:
        model: the ``Deblurrer`` that was exported.
        files: dict from precision to path.
        pictures: float32 (N, H, W, 3) in [0, 1], of the files' height and width.

    Returns:
        list of ``Checked``, all passed.

    Raises:
        VerificationError: a file does not run, returns NaN or another shape, or differs too much.
    """
    expected = np.concatenate([np.asarray(model(picture[None], training=False)) for picture in pictures])
    results = []
    for precision, path in files.items():
        try:
            answers = run_fresh(path, PROGRAM, {"0/images": pictures})
        except VerificationError as error:
            raise VerificationError(f"{precision}, which --precisions can omit: {error}") from error
        restored = answers.get("0/images")
        if restored is None or restored.shape != expected.shape:
            raise VerificationError(f"the output of the {precision} file has the wrong shape")
        if not np.isfinite(restored).all():
            raise VerificationError(f"the output of the {precision} file has NaN or infinite values")
        times = tuple(1e3 * float(np.median(answers[f"seconds/{threads}"])) for threads in (1, 2))
        result = Checked(precision, worst_psnr(expected, restored), times, os.path.getsize(path))
        if not result.passed:
            raise VerificationError(
                f"the {precision} file differs from the Keras model: {result.psnr:.1f} dB, and at least "
                f"{REQUIRED[precision]:g} are required"
            )
        results.append(result)
    return results


def worst_psnr(expected, found):
    """The lowest PSNR of a batch on [0, 1], in dB; 150 for identical pictures."""
    errors = np.mean((expected.astype(np.float64) - found) ** 2, axis=(1, 2, 3))
    return float(-10 * np.log10(max(errors.max(), 1e-15)))
