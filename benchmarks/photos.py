"""Are the faces of blurred photos found, and what does restoring whole photos gain and take? (docs/restoration.md)

    python -m benchmarks.photos
    python -m benchmarks.photos --scenes face,portrait --face_sizes 128,256 --kernels 13,27
    python -m benchmarks.photos --crops crops/development --preset two_step_gan_lite --photos 8 --kernels 27,41,60

Pastes an aligned face, enlarged or shrunk to each of the face sizes, into a photo without people (scikit-image's
coffee, rocket and chelsea), blurs it with a kernel of each size (trajectories of the test split), adds noise of 0.005,
and restores it as ``deblur_zoo.restore`` does. The faces are scikit-image's astronaut and matplotlib's Grace Hopper,
136 and 279 pixels large and in the public domain, or those of a folder that `python -m deblur_zoo.faces` wrote.

In the scene "photo" the camera moves, so everything is blurred. In "face" only the face moves and the rest is sharp. In
"portrait" the camera moves, and the surroundings are out of focus, as they should remain.

A face is found if its points are within half the distance between the eyes on average. Prints a Markdown table: faces
found, faces found where there is none, the points' mean error as a share of that distance, the gain in PSNR inside
the faces that were found and around them, the lowest of the latter, the same two with surroundings that are always
restored (--always), and the median seconds of each stage.
"""

import itertools
from unittest import mock

import cv2
import numpy as np
from absl import flags
from matplotlib import cbook
from skimage import data
from tqdm import tqdm

import deblur_zoo
from benchmarks.rendered import blurred
from deblur_zoo.blur.defocus import disc_kernel
from deblur_zoo.faces import Detector, align
from deblur_zoo.faces.alignment import CROP_SIZE, canonical_points
from deblur_zoo.files import pictures
from deblur_zoo.files.command_line_tools import UsageError, require_flags, require_folders, run, whole_numbers
from deblur_zoo.restoration.face_mask import face_mask
from deblur_zoo.restoration.photo import DEFAULT_PRESET, restore_photo

FLAGS = flags.FLAGS
flags.DEFINE_string("crops", None, "folder of sharp aligned faces of at least 128 pixels; default: two public ones")
flags.DEFINE_string("preset", DEFAULT_PRESET, "preset to restore with")
flags.DEFINE_integer("photos", 6, "photos of each size and kernel", lower_bound=1)
flags.DEFINE_list("face_sizes", ["128", "256", "512"], "sides of the faces in pixels")
flags.DEFINE_list("kernels", ["0", "13", "27", "41", "60"], "sizes of the blur kernels in pixels; 0: none")

flags.DEFINE_bool("always", False, "also measure surroundings that are restored whatever their blur")
flags.DEFINE_list("scenes", ["photo"], "what moves: photo, face, portrait")

SCENES = ("photo", "face", "portrait")
# Eyes, nose and mouth in scikit-image's astronaut and matplotlib's Grace Hopper, and the size of a crop.
PUBLIC_FACES = {
    "astronaut": ([(203.5, 100.1), (245.4, 102.2), (224.2, 126.4), (201.8, 138.6), (244.4, 140.4)], 128),
    "hopper": ([(220.4, 190.2), (308.2, 186.0), (268.3, 237.4), (231.7, 277.0), (303.6, 272.9)], 256),
}
# Radius of the disc by which the surroundings of a portrait are out of focus, as a share of the face's side.
DEFOCUS = 1 / 20
# A face blurred by more than this share of its side is beyond any method.
LARGEST_BLUR = 0.5
STAGES = ("detection", "restoration", "background", "blending")


def public_crops():
    """Aligned faces in the public domain with an eighth of their side as margin: list of uint8 (S, S, 3)."""
    photos = {
        "astronaut": data.astronaut(),
        "hopper": pictures.read(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)),
    }
    return [align(photos[name], points, size, size // 8)[0] for name, (points, size) in PUBLIC_FACES.items()]


def rendered(crop, size, seed, larger=None, out_of_focus=False):
    """A sharp photo with one face.

    Args:
        crop: uint8 (S, S, 3), a canonical crop and its margin.
        size: side of the face's canonical crop in the photo.
        seed: chooses background and place.
        larger: side of ``crop`` as a share of the canonical crop; S / 128 unless given.
        out_of_focus: blur the background as a lens does.

    Returns:
        photo uint8 (H, W, 3), its height 2.5 times the face; the face's points (5, 2); its place (left, top, side).
    """
    generator = np.random.default_rng(seed)
    photo = (data.coffee, data.rocket, data.chelsea)[seed % 3]()
    scale = 2.5 * size / photo.shape[0]
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    if out_of_focus:
        photo = cv2.filter2D(photo, -1, disc_kernel(DEFOCUS * size), borderType=cv2.BORDER_REFLECT_101)
    side = round(size * (larger or len(crop) / CROP_SIZE))
    face = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA if side < len(crop) else cv2.INTER_CUBIC)
    left, top = (int(generator.integers(0, length - side)) for length in (photo.shape[1], photo.shape[0]))
    weight = face_mask(side)[..., None]
    place = photo[top : top + side, left : left + side]
    place[...] = np.rint(place * (1 - weight) + face * weight).astype(np.uint8)
    return photo, canonical_points(size, (side - size) / 2) + (left, top), (left, top, side)


def measure(restore, crop, larger, scene, size, kernel, seed, detector):
    """The figures of one photo, as a dict."""
    photo, points, (left, top, side) = rendered(crop, size, seed, larger, scene == "portrait")
    moving = np.ones(photo.shape[:2] + (1,), np.float32)
    if scene == "face":
        moving[:] = 0
        moving[top : top + side, left : left + side] = face_mask(side)[..., None]
    given = blurred(photo, kernel, seed, moving)
    result = restore_photo(given, restore, detector=detector)
    eyes = np.linalg.norm(points[0] - points[1])
    errors = [np.linalg.norm(face.points - points, axis=1).mean() / eyes for face in result.faces]
    inside = np.zeros(photo.shape[:2], bool)
    inside[top : top + side, left : left + side] = True

    def gain(where, pixels=result.pixels):
        before, after = (np.mean((p[where].astype(float) - photo[where]) ** 2) for p in (given, pixels))
        return 10 * np.log10(max(before, 1e-3) / max(after, 1e-3))

    error = min(errors, default=np.inf)
    always = np.nan
    if FLAGS.always and error < 0.5:
        with mock.patch("deblur_zoo.restoration.photo._trust", lambda *arguments: 1.0):
            always = gain(~inside, restore_photo(given, restore, detector=detector).pixels)
    return {
        "found": error < 0.5,
        "wrong": sum(value >= 0.5 for value in errors),
        "error": error,
        "inside": gain(inside),
        "around": gain(~inside),
        "always": always,
        "seconds": [result.seconds[stage] for stage in STAGES],
    }


def main(arguments):
    require_flags(arguments)
    if FLAGS.crops:
        require_folders("crops")
    if not set(FLAGS.scenes) <= set(SCENES):
        raise UsageError(f"--scenes must be among {', '.join(SCENES)}")
    sizes, kernels = whole_numbers("face_sizes"), whole_numbers("kernels")
    if FLAGS.crops:
        paths = pictures.list_pictures(FLAGS.crops)
        crops = [pictures.read(path) for path in paths[:: max(1, len(paths) // FLAGS.photos)][: FLAGS.photos]]
        larger = None
    else:
        crops, larger = list(itertools.islice(itertools.cycle(public_crops()), FLAGS.photos)), 1.25
    if any(crop.shape[0] != crop.shape[1] or len(crop) < CROP_SIZE for crop in crops) or not crops:
        raise UsageError(f"--crops must hold aligned faces of at least {CROP_SIZE} pixels")
    restore = pictures.in_passes(deblur_zoo.load(FLAGS.preset, kind="deblurrer").run, 1)
    detector = Detector((1280,), 0.0)
    settings = [
        (scene, size, kernel)
        for scene in FLAGS.scenes
        for size in sizes
        for kernel in kernels
        if kernel <= LARGEST_BLUR * size
    ]
    head = "| scene | face | kernel | found | wrong | points' error | gain inside | around | lowest | "
    print(head + "always | lowest | " * FLAGS.always + " | ".join(STAGES) + " |")
    print("|" + "---|" * (9 + 2 * FLAGS.always + len(STAGES)))
    for setting in tqdm(settings, disable=None):
        rows = [measure(restore, crop, larger, *setting, seed, detector) for seed, crop in enumerate(crops)]
        found = [row for row in rows if row["found"]]
        cells = [*setting, f"{len(found)} of {len(rows)}", sum(row["wrong"] for row in rows)]
        for name, text in (("error", "{:.1%}"), ("inside", "{:+.2f}")):
            cells.append(text.format(np.mean([row[name] for row in found])) if found else "-")
        for name in ("around", "always")[: 1 + FLAGS.always]:
            gains = [row[name] for row in found]
            cells += [f"{np.mean(gains):+.2f}", f"{min(gains):+.2f}"] if found else ["-", "-"]
        cells += [f"{value:.2f}" for value in np.median([row["seconds"] for row in rows], axis=0)]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    run(main, "benchmarks.photos")
