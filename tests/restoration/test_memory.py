"""The memory of long runs and of large photos, as the system counts it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.memory import megabytes_after_each, write_photos
from deblur_zoo.restoration.restorer import Restorer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")]


def test_photos_of_many_sizes_take_no_more_memory(tmp_path):
    """TensorFlow keeps code for the shapes that layers have seen, which took 1.5 MB for each size of photo."""
    jobs, sizes = write_photos(tmp_path, 300)
    assert sizes > 280
    memory = list(megabytes_after_each(Restorer(), jobs))
    # The batches of small crops differ, and a few shapes come late; 200 sizes took 150 MB and more before.
    assert memory[-1] - memory[99] < 60


def test_12_megapixels_take_at_most_1_5_gigabytes():
    command = [sys.executable, "-m", "benchmarks.memory", "--photos=1", "--megapixels=12"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(re.search(r"Peak: (\d+) MB", said)[1]) <= 1500
