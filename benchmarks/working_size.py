"""Is each face of a blurred photo restored at the size that suits its blur? (docs/restoration.md)

    python -m benchmarks.working_size --photos FOLDER
    python -m benchmarks.working_size --photos FOLDER --preset two_step_gan_lite --faces 24

Takes the largest face of each photo, shrinks the photo so that the face has each of the face sizes up to its own,
blurs it with one kernel of each size (trajectories of the test split, reflected at the border), adds noise of 0.005,
and restores the face at every candidate size, and as ``deblur_zoo.restore`` does. The gain is PSNR over the face, in
decibels above the blurred photo; a face left alone gains nothing. Prints a Markdown table: the share of faces that were
left alone because they look sharp, the median of the chosen sizes, its gain, how much the best size gains more, and how
often the difference is at most 0.3 dB; and below it the lowest PSNR of a face without blur.
"""

import cv2
import numpy as np
from absl import flags

import deblur_zoo
from benchmarks.rendered import blurred
from deblur_zoo.faces import Detector, align
from deblur_zoo.faces.detection import Face
from deblur_zoo.files import pictures
from deblur_zoo.files.command_line_tools import UsageError, require_flags, require_folders, run, whole_numbers
from deblur_zoo.restoration.blending import add_correction
from deblur_zoo.restoration.face_crop import size_of
from deblur_zoo.restoration.photo import DEFAULT_PRESET, PhotoOptions, restore_photo
from deblur_zoo.restoration.working_size import candidates

FLAGS = flags.FLAGS
flags.DEFINE_string("photos", None, "folder of sharp photos, the larger the faces the better")
flags.DEFINE_string("preset", DEFAULT_PRESET, "preset to restore with")
flags.DEFINE_integer("faces", 12, "number of photos, spread over the folder", lower_bound=1)
flags.DEFINE_list("face_sizes", ["64", "96", "128", "192", "256", "384", "512"], "sides of the faces in pixels")
flags.DEFINE_list(
    "kernels", ["0", "3", "7", "13", "19", "27", "41", "60"], "sizes of the blur kernels in pixels; 0: none"
)

NEAR = 0.3
# A face blurred by more than this share of its side is beyond any method.
LARGEST_BLUR = 0.4


def faces_of(folder, count, detector):
    """(photo uint8 (H, W, 3), Face) of evenly spread photos."""
    paths = pictures.list_pictures(folder)
    if not paths:
        raise UsageError(f"--photos must hold pictures, and {folder} has none")
    for path in paths[:: max(1, len(paths) // count)][:count]:
        photo = pictures.read(path)
        found = detector(photo)
        if found:
            yield photo, found[0]


def shrunk(photo, face, size):
    """Photo and face, the face ``size`` pixels large; None if it is smaller already."""
    scale = size / size_of(face.points)
    if scale > 1.02:
        return None
    shape = np.maximum(np.rint(np.array(photo.shape[1::-1]) * scale), 1).astype(int)
    small = cv2.resize(photo, tuple(map(int, shape)), interpolation=cv2.INTER_AREA)
    # Pixel centres have integer coordinates.
    return small, Face((face.box + 0.5) * scale - 0.5, (face.points + 0.5) * scale - 0.5, face.confidence)


def measure(restore, photo, face, kernel_size, seed):
    """Gains of the chosen and the best size in dB, the chosen size (None if left alone), and the PSNR after in dB."""
    given = blurred(photo, kernel_size, seed)
    truth, _ = align(photo, face.points, int(size_of(face.points)))

    def psnr(pixels):
        crop, _ = align(pixels, face.points, len(truth))
        return -10 * np.log10(max(np.mean((crop.astype(np.float64) - truth) ** 2) / 255**2, 1e-8))

    before, gains = psnr(given), [0.0]
    for size in candidates(size_of(face.points)):
        crop, matrix = align(given, face.points, size)
        crop = crop[None].astype(np.float32) / 255
        result = given.copy()
        add_correction(result, given, (restore(crop) - crop)[0], matrix)
        gains.append(psnr(result) - before)
    restored = restore_photo(given, restore, PhotoOptions(background="keep"), lambda _: [face])
    chosen, after = restored.faces[0], psnr(restored.pixels)
    return after - before, max(gains), chosen.working_size if chosen.restored else None, after


def main(arguments):
    require_flags(arguments, "photos")
    require_folders("photos")
    sizes, kernels = whole_numbers("face_sizes"), whole_numbers("kernels")
    restore = pictures.in_passes(deblur_zoo.load(FLAGS.preset, kind="deblurrer").run, 1)
    found = list(faces_of(FLAGS.photos, FLAGS.faces, Detector()))
    rows = {}
    for seed, (photo, face) in enumerate(found):
        for size in sizes:
            view = shrunk(photo, face, size)
            for kernel in kernels if view else ():
                if kernel <= LARGEST_BLUR * size:
                    rows.setdefault((size, kernel), []).append(measure(restore, *view, kernel, seed))
    print("| face | kernel | faces | left alone | chosen size | gain | best size gains more | within 0.3 dB |")
    print("|---|---|---|---|---|---|---|---|")
    for (size, kernel), values in sorted(rows.items()):
        gain, best, chosen, _ = zip(*values, strict=True)
        more = np.subtract(best, gain)
        taken = [value for value in chosen if value]
        row = [size, kernel, len(values), f"{1 - len(taken) / len(values):.0%}"]
        row += [f"{np.median(taken):.0f}" if taken else "", f"{np.mean(gain):+.2f}", f"{more.mean():.2f}"]
        print("| " + " | ".join(map(str, [*row, f"{np.mean(more <= NEAR):.0%}"])) + " |")
    more = np.array([best - gain for values in rows.values() for gain, best, *_ in values])
    share = np.mean(more <= NEAR)
    print(
        f"\nAll {len(more)}: {share:.0%} within {NEAR} dB of the best, which gains {more.mean():.2f} dB more on average"
    )
    sharp = [after for (_, kernel), values in rows.items() if not kernel for *_, after in values]
    if sharp:
        print(f"Without blur: {min(sharp):.1f} dB or more")


if __name__ == "__main__":
    run(main, "benchmarks.working_size")
