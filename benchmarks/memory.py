"""Does a long run over photos need more memory with every photo, and what does a large one take? (docs/restoration.md)

    python -m benchmarks.memory --photos 2000
    python -m benchmarks.memory --photos 1 --megapixels 12

Writes blurred faces (scikit-image's astronaut) of random sizes, or large blurred photos with one of 136 pixels (so that
the whole photo goes through the network at its own size), restores them one after the other as `deblur-zoo FOLDER`
does, and prints the megabytes of the process after some of them and its peak. Needs Linux.
"""

import resource
import tempfile
from pathlib import Path

import cv2
import numpy as np
from absl import flags
from skimage import data
from tqdm import tqdm

from deblur_zoo.files import command_line_tools
from deblur_zoo.restoration.photo import DEFAULT_PRESET
from deblur_zoo.restoration.restorer import Restorer

FLAGS = flags.FLAGS
flags.DEFINE_integer("photos", 2000, "photos to restore", lower_bound=1)
flags.DEFINE_float("megapixels", None, "size of each photo; default: random sides of 80 to 180 pixels", lower_bound=1)
flags.DEFINE_bool("deep", False, "photos of 16 bits per channel")
flags.DEFINE_string("preset", DEFAULT_PRESET, "preset to restore with")

# Random sides in pixels.
SIDES = 80, 181


def resident():
    """Megabytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def write_photos(folder, count, megapixels=None, deep=False):
    """Write PNG files of a blurred face, all of other pixels.

    Args:
        folder: Path of an existing folder.
        count: how many.
        megapixels: of each; random sizes unless given.
        deep: 16 bits per channel.

    Returns:
        dict of each path to that of its result, and the number of different sizes.
    """
    random, photo = np.random.default_rng(0), data.astronaut()
    jobs, sizes = {}, set()
    for number in range(count):
        if megapixels:
            size = (round((megapixels * 1e6) ** 0.5),) * 2
            pixels = cv2.resize(data.coffee(), size, interpolation=cv2.INTER_CUBIC)
            pixels[: len(photo), : len(photo)] = photo
            pixels = cv2.blur(pixels, (15, 1))
        else:
            size = tuple(map(int, random.integers(*SIDES, 2)))
            pixels = cv2.resize(cv2.blur(photo[40:220, 140:320], (7, 1)), size, interpolation=cv2.INTER_AREA)
        if deep:
            pixels = pixels.astype(np.uint16) * 257
        sizes.add(size)
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), pixels[..., ::-1])
        jobs[path] = folder / "restored" / path.name
    return jobs, len(sizes)


def megabytes_after_each(restorer, jobs):
    """Restore photos and yield the megabytes of this process after each; RuntimeError if one fails."""
    for path, target in jobs.items():
        report = restorer.restore_planned({path: target})
        if report.failed:
            raise RuntimeError(f"{path}: {report.failed[0][1]}")
        yield resident()


def main(arguments):
    command_line_tools.require_flags(arguments)
    with tempfile.TemporaryDirectory() as folder:
        jobs, sizes = write_photos(Path(folder), FLAGS.photos, FLAGS.megapixels, FLAGS.deep)
        told = {1, 10, 100, FLAGS.photos, *range(250, FLAGS.photos, 250)}
        print(f"{FLAGS.photos} photos of {sizes} sizes, {FLAGS.preset}\n\n| photos | MB |\n|---|---|")
        rows = megabytes_after_each(Restorer(FLAGS.preset), jobs)
        for number, memory in enumerate(tqdm(rows, total=len(jobs), disable=None), 1):
            if number in told:
                print(f"| {number} | {memory:.0f} |", flush=True)
    print(f"\nPeak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6:.0f} MB")


if __name__ == "__main__":
    command_line_tools.run(main, "benchmarks.memory")
