"""The memory of long runs and of large photos, as the system counts it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")]


def measured(*flags):
    """What the benchmark prints; it defines flags, so it has a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_photos_of_many_sizes_take_no_more_memory():
    """TensorFlow keeps code for the shapes that layers have seen, which took 1.5 MB for each size of photo."""
    said = measured("--photos=300")
    assert int(re.search(r"300 photos of (\d+) sizes", said)[1]) > 280
    after = {int(photos): int(megabytes) for photos, megabytes in re.findall(r"\| (\d+) \| (\d+) \|", said)}
    # The batches of small crops differ, and a few shapes come late; 200 sizes took 150 MB and more before.
    assert after[300] - after[100] < 60


def test_12_megapixels_take_at_most_1_5_gigabytes():
    assert int(re.search(r"Peak: (\d+) MB", measured("--photos=1", "--megapixels=12"))[1]) <= 1500
