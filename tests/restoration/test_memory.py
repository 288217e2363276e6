"""The memory of long runs, as the system counts it."""

import resource
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from deblur_zoo.restoration.restorer import Restorer

_STATUS = Path("/proc/self/statm")


def resident():
    """Megabytes of this process in memory."""
    return int(_STATUS.read_text().split()[1]) * resource.getpagesize() / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not _STATUS.exists(), reason="needs Linux")
def test_photos_of_many_sizes_take_no_more_memory():
    """TensorFlow keeps code for the shapes that layers have seen, which took 1.5 MB for each size of photo."""
    import cv2

    restorer, random = Restorer(), np.random.default_rng(0)
    window = cv2.blur(data.astronaut()[40:220, 140:320], (7, 1))
    sizes, memory = set(), []
    while len(sizes) < 300:
        size = tuple(map(int, random.integers(90, 180, 2)))
        if size not in sizes:
            sizes.add(size)
            restorer.restore(cv2.resize(window, size, interpolation=cv2.INTER_AREA))
            memory.append(resident())
    # The batches of small crops differ, and a few shapes come late; 200 sizes took 150 MB and more before.
    assert memory[-1] - memory[99] < 60
