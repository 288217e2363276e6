"""Trained presets leave pictures without faces roughly as they are, and never fill them with noise."""

import numpy as np
import pytest
from skimage import data, transform

import deblur_zoo

rows, columns = np.indices((96, 96))
random = np.random.default_rng(7)
PATTERNS = {
    "checkerboard of single pixels": (rows + columns) % 2,
    "checkerboard": (rows // 2 + columns // 2) % 2,
    "stripes of single pixels": columns % 2,
    "wide stripes": columns // 3 % 2,
    "white noise": random.uniform(size=(96, 96)),
    "dots": random.uniform(size=(96, 96)) > 0.9,
}
PICTURES = {name: np.repeat(np.float32(values)[..., None], 3, axis=-1) for name, values in PATTERNS.items()}
# A face of 20 pixels, and the rest of the photo.
PICTURES["distant person"] = transform.resize(data.astronaut(), (96, 96), anti_aliasing=True).astype("float32")


@pytest.mark.parametrize("name", deblur_zoo.list_models(kind="deblurrer", trained=True))
def test_a_picture_without_a_face_stays_similar(name):
    """Mean change at most 0.15; of ours, noise smoothed to grey changes most, by 0.25, and a broken picture by 0.3."""
    images = np.stack(list(PICTURES.values()))
    changes = np.abs(deblur_zoo.load(name).run(images) - images).mean(axis=(1, 2, 3))
    assert {picture: change for picture, change in zip(PICTURES, changes, strict=True) if change > 0.15} == {}
