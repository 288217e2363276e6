"""Whole photos in tiles, against one pass over the whole."""

import numpy as np
import pytest
from scipy import ndimage

from deblur_zoo.restoration import tiles


def sharpen(images):
    """A network whose pixels see 41 x 41 neighbours."""
    blurred = ndimage.uniform_filter(images, (0, 41, 41, 0), mode="mirror")
    return np.clip(images + 0.5 * (images - blurred), 0, 1)


@pytest.mark.parametrize(("height", "width"), [(700, 800), (385, 384), (100, 1000), (90, 30), (672, 1)])
def test_tiles_equal_the_whole_pass(height, width):
    image = np.random.default_rng(0).random((height, width, 3), np.float32)
    image = ndimage.gaussian_filter(image, (3, 3, 0))
    image = (image - image.min()) / (image.max() - image.min())
    seen = []
    result = tiles.restore_tiled(image, lambda batch: seen.append(batch.shape) or sharpen(batch))
    assert all(max(shape[1:3]) <= tiles.TILE for shape in seen)
    assert all(side % 64 == 0 for shape in seen for side in shape[1:3])
    # The filter reaches 20 pixels, less than the 24 of a tile that get no weight. So near the borders below and on the
    # right it may see where the padding of a tile ends.
    inside = slice(max(1, height - 20)), slice(max(1, width - 20))
    np.testing.assert_allclose(result[inside], sharpen(image[None])[0][inside], atol=1e-6)


def test_starts_cover_the_axis_on_the_grid():
    for length in (1, 384, 385, 700, 1000, 4032):
        starts = tiles._starts(length)
        assert starts[0] == 0 and starts[-1] + tiles.TILE >= length and all(start % 32 == 0 for start in starts)
        assert max(np.diff(starts), default=0) <= tiles.TILE - tiles.OVERLAP


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_network_that_changes_nothing_changes_no_bit(dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (300, 500, 3), dtype=dtype, endpoint=True)
    result = pixels.copy()
    for scale in (1.0, 0.4):
        tiles.add_background(result, lambda images: images, scale)
    # In float32, a cross-fade of equal values is within 1e-7 of them: under half a level of 16 bits.
    assert np.array_equal(result, pixels)


def test_the_photos_scale():
    pixels = np.random.default_rng(0).integers(0, 256, (512, 768, 3), dtype=np.uint8)
    # Corrections of one size only: half of the squares' 256 pixels.
    strengths = {64: 0.01, 96: 0.02, 128: 0.1, 192: 0.05, 256: 0.01}
    assert tiles.photo_scale(pixels, lambda images: images + np.float32(strengths[images.shape[1]])) == 0.5
    assert tiles.photo_scale(pixels, lambda images: images) is None
