"""Run exported files in a fresh process and compare the results with the Keras model's.

Each format has a program (a Python file that does not import this project) that is called as
``python PROGRAM WRITTEN REQUESTS.npz ANSWERS.npz``. For each i = 0, 1, ... the requests hold ``i/signature`` (text) and
either ``i/images`` (float32 (N, H, W, 3)) or ``i/files/0``, ``i/files/1``, ... (uint8: encoded pictures), and the
answers hold the same keys without the signature.
"""

import io
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import numpy as np
from PIL import Image

from deblur_zoo.files import pictures as picture_files

FLOAT_TOLERANCE = 1e-4
GREY_LEVEL_TOLERANCE = 1
FLOAT_SHAPES = ((1, 1, 1), (3, 7, 13), (1, 37, 50), (1, 128, 128), (3, 128, 128))
TIMEOUT_SECONDS = 900
# Runs a program. Collecting garbage would take half the time of importing TensorFlow, and another second at the exit.
_START = """
import atexit, gc, runpy, sys
gc.disable()
atexit.register(gc.freeze)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class VerificationError(Exception):
    """The exported files did not run, or their results differ from the Keras model's."""


@dataclass(frozen=True)
class Case:
    """One request and the Keras model's answer.

    Attributes:
        signature: the name of the written function.
        title: description of the request.
        request: float32 (N, H, W, 3), or a list of N encoded pictures (bytes).
        expected: float32 (N, H, W, 3), or a list of N uint8 (H, W, 3).
        tolerance: the largest difference accepted, in the unit of ``expected``.
    """

    signature: str
    title: str
    request: object
    expected: object
    tolerance: float


@dataclass(frozen=True)
class Compared:
    """A case's largest difference from the Keras model."""

    case: Case
    difference: float

    @property
    def passed(self):
        # NaN must not pass.
        return bool(self.difference <= self.case.tolerance)

    def __str__(self):
        unit = " grey levels" if isinstance(self.case.request, list) else ""
        return (
            f"{self.case.signature}: {self.case.title}: largest difference {self.difference:.2g}{unit} "
            f"(allowed {self.case.tolerance:g})"
        )


def float_cases(model, signature, shapes=FLOAT_SHAPES, tolerance=FLOAT_TOLERANCE, seed=0):
    """Float batches of several sizes with the Keras model's outputs.

    Args:
        model: a ``Deblurrer``.
        signature: the written function that takes them.
        shapes: sequence of (N, H, W).
        tolerance: the largest difference accepted, or twice what rounding errors in the pictures make of it.
        seed: of the pictures.
    """
    cases = []
    for count, height, width in shapes:
        pictures = _test_pictures((count, height, width, 3), seed)
        title = f"{count} of {height}x{width} pixels"
        expected = _keras_output(model, pictures)
        # On tiny pictures with noise some networks make much of a rounding error.
        rounded = _keras_output(model, np.clip(pictures * np.float32(1 + 2**-22), 0, 1))
        allowed = max(tolerance, 2 * float(np.abs(rounded - expected).max()))
        cases.append(Case(signature, title, pictures, expected, allowed))
    return cases


def encoded_cases(model, signature, tolerance=GREY_LEVEL_TOLERANCE, seed=0):
    """Encoded pictures with the Keras model's outputs: JPEG and PNG, colour, grey and with an alpha channel, of
    several sizes, one by one and in one batch."""
    pixels = np.rint(255 * _test_pictures((1, 61, 83, 4), seed)[0]).astype(np.uint8)
    pictures = {
        "PNG": (pixels[..., :3], "PNG"),
        "JPEG": (pixels[..., :3], "JPEG"),
        "grey PNG": (pixels[..., 0], "PNG"),
        "grey JPEG": (pixels[:50, :40, 0], "JPEG"),
        "PNG with alpha": (pixels[:7, :13], "PNG"),
        "PNG of one pixel": (pixels[:1, :1, :3], "PNG"),
    }
    encoded, expected = {}, {}
    for title, (array, form) in pictures.items():
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, form, quality=92)
        encoded[title] = buffer.getvalue()
        decoded = picture_files.load(picture_files.decode(encoded[title])).rgb
        expected[title] = np.rint(255 * _keras_output(model, decoded)[0]).astype(np.uint8)
    batches = [[title] for title in pictures] + [list(pictures)]
    return [
        Case(
            signature,
            titles[0] if len(titles) == 1 else f"{len(titles)} pictures of different sizes in one batch",
            [encoded[title] for title in titles],
            [expected[title] for title in titles],
            tolerance,
        )
        for titles in batches
    ]


def verify(written, program, cases, timeout=TIMEOUT_SECONDS):
    """Run the cases on written files in a fresh Python process and compare.

    Args:
        written: path of the exported file or folder.
        program: path of the Python file that runs this format (see above).
        cases: list of ``Case``.
        timeout: seconds until the process is killed.

    Returns:
        list of ``Compared``, all passed.

    Raises:
        VerificationError: the process failed, an answer is missing or has another shape or type, or a difference
            exceeds its tolerance.
    """
    answers = _run_cases(written, program, cases, timeout)
    compared = [Compared(case, _difference(case, answer)) for case, answer in zip(cases, answers, strict=True)]
    failed = [result for result in compared if not result.passed]
    if failed:
        raise VerificationError(
            f"the written files differ from the Keras model in {len(failed)} of {len(compared)} cases: {failed[0]}"
        )
    return compared


def _test_pictures(shape, seed):
    """Smooth gradients with noise: flat regions and detail."""
    generator = np.random.default_rng(seed)
    count, height, width, channels = shape
    rows, columns = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    frequencies = generator.uniform(1, 9, (2, count, 1, 1, channels))
    shades = 0.5 + 0.3 * np.sin(frequencies[0] * rows + frequencies[1] * columns)
    return np.clip(shades + 0.1 * generator.standard_normal(shape), 0, 1).astype(np.float32)


def _keras_output(model, pictures):
    from keras import ops

    return ops.convert_to_numpy(model(pictures, training=False))


def _run_cases(written, program, cases, timeout):
    requests = {}
    for index, case in enumerate(cases):
        requests[f"{index}/signature"] = np.array(case.signature)
        if isinstance(case.request, list):
            for place, picture in enumerate(case.request):
                requests[f"{index}/files/{place}"] = np.frombuffer(picture, np.uint8)
        else:
            requests[f"{index}/images"] = case.request
    answers = run_fresh(written, program, requests, timeout)
    return [_answer(answers, index, case) for index, case in enumerate(cases)]


def run_fresh(written, program, requests, timeout=TIMEOUT_SECONDS):
    """Call a format's program in a fresh Python process.

    Args:
        written, program: paths.
        requests: dict of arrays, as above.
        timeout: seconds until the process is killed.

    Returns:
        dict of the arrays that the program wrote.

    Raises:
        VerificationError: the process failed, took too long or wrote nothing.
    """
    written, program = pathlib.Path(written), pathlib.Path(program)
    with tempfile.TemporaryDirectory(prefix="deblur_zoo_verify_") as folder:
        sent, received = pathlib.Path(folder, "requests.npz"), pathlib.Path(folder, "answers.npz")
        np.savez(sent, **requests)
        # From another folder and without this project's path, so that only the exported files can answer.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        paths = (program.resolve(), written.resolve(), sent, received)
        command = [sys.executable, "-c", _START, *map(str, paths)]
        try:
            finished = subprocess.run(
                command,
                cwd=folder,
                env={**environment, "TF_CPP_MIN_LOG_LEVEL": "2"},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise VerificationError(f"the written files did not answer within {timeout} seconds") from None
        if finished.returncode or not received.exists():
            last_words = (finished.stderr.strip().splitlines() or ["no message"])[-1]
            raise VerificationError(
                f"the written files do not run in a fresh process (exit code {finished.returncode}): {last_words}"
            )
        with np.load(received, allow_pickle=False) as answers:
            return dict(answers)


def _answer(answers, index, case):
    if isinstance(case.request, list):
        keys = [f"{index}/files/{place}" for place in range(len(case.request))]
    else:
        keys = [f"{index}/images"]
    missing = [key for key in keys if key not in answers]
    if missing:
        raise VerificationError(f"the written files gave no answer to {case.signature}: {case.title}")
    values = [answers[key] for key in keys]
    return [value.tobytes() for value in values] if isinstance(case.request, list) else values[0]


def _difference(case, answer):
    if not isinstance(case.request, list):
        _check_form(case, answer, case.expected)
        return float(np.max(np.abs(answer - case.expected)))
    differences = []
    for encoded, expected in zip(answer, case.expected, strict=True):
        try:
            picture = picture_files.decode(encoded)
        except ValueError as error:
            raise VerificationError(f"{case.signature}: {case.title}: the answer is not an image: {error}") from error
        _check_form(case, picture, expected)
        differences.append(np.max(np.abs(picture.astype(int) - expected)))
    return float(max(differences))


def _check_form(case, answer, expected):
    if answer.shape != expected.shape or answer.dtype != expected.dtype:
        raise VerificationError(
            f"{case.signature}: {case.title}: the answer is {answer.dtype} {answer.shape}, "
            f"and {expected.dtype} {expected.shape} was expected"
        )
