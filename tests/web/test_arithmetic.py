"""The web app's arithmetic in Node.js, against the library's numbers."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_zoo.faces.alignment import CANONICAL_POINTS, CROP_SIZE
from deblur_zoo.faces.warp import crop_bounds, warp
from deblur_zoo.restoration.blending import add_correction
from deblur_zoo.restoration.face_mask import weight_at

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
TESTS = Path(__file__).with_name("arithmetic.test.mjs")
# Size of a photo, scale, degrees, and where the middle of the crop is in the photo.
CASES = {
    "as it is": ((128, 128), 1.0, 0, (63.5, 63.5)),
    "small face, enlarged": ((90, 120), 2.3, 11, (50.0, 40.0)),
    "large face": ((420, 390), 0.4, -20, (190.0, 200.0)),
    "larger face, beyond the photo": ((300, 333), 0.47, 160, (20.0, 280.0)),
    "face so large that it is reduced first": ((707, 811), 0.19, 30, (400.0, 350.0)),
}


def photo_of(height, width):
    """Soft noise, so that rounded positions and float32 cost less than a grey level."""
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.rint(255 * (soft - soft.min()) / np.ptp(soft)).astype(np.uint8)


def matrix_of(scale, degrees, middle):
    a, b = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    rotation = np.array([[a, -b], [b, a]])
    return np.column_stack([rotation, (63.5, 63.5) - rotation @ middle])


def case_of(name, residual):
    (height, width), *similarity = CASES[name]
    pixels, matrix = photo_of(height, width), matrix_of(*similarity)
    left, top, right, bottom = bounds = crop_bounds(matrix, CROP_SIZE, pixels.shape)
    crop = np.clip(warp(pixels.astype(np.float32) / 255, matrix, CROP_SIZE), 0, 1)
    blended = pixels.copy()
    add_correction(blended, pixels, residual, matrix)
    return {
        "name": name,
        "photo": {"width": width, "height": height, "data": pixels.ravel().tolist()},
        "matrix": matrix.tolist(),
        "bounds": [int(edge) for edge in bounds],
        "around": [int(edge) for edge in crop_bounds(matrix, CROP_SIZE, pixels.shape, around=32)],
        "crop": crop.ravel().tolist(),
        "inside": pixels[top:bottom, left:right].ravel().tolist(),
        "blended": blended[top:bottom, left:right].ravel().tolist(),
    }


def test_the_arithmetic_in_javascript_is_that_of_python(tmp_path):
    residual = (photo_of(CROP_SIZE, CROP_SIZE).astype(np.float32) - 100) / 255
    places = [(x, y) for x in (0.5, 0.2, 0.08, 0.01) for y in (0.5, 0.9, 0.97, 1.2)]
    expected = {
        "crop": CROP_SIZE,
        "points": CANONICAL_POINTS.tolist(),
        "mask": [(x, y, float(weight_at(np.float64(x), np.float64(y)))) for x, y in places],
        "residual": residual.ravel().tolist(),
        "cases": [case_of(name, residual) for name in CASES],
    }
    file = tmp_path / "expected.json"
    file.write_text(json.dumps(expected))
    done = subprocess.run(
        ["node", "--test", str(TESTS)], env={**os.environ, "EXPECTED": str(file)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
