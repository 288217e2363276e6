"""Deblur the faces in photos and videos: files, or folders of photos.

    deblur-zoo photo.jpg -o restored.jpg
    deblur-zoo holiday -o restored --compare
    deblur-zoo a.jpg "scans/**/*.tif" -o restored/
    deblur-zoo clip.mp4 -o restored.mp4
    deblur-zoo clips -o restored
    deblur-zoo crops -o restored --crops
    deblur-zoo --list

Each face is found, restored at the size that suits its blur, and blended back; sharp faces are left alone. --crops
is for aligned face crops from `python -m deblur_zoo.faces`, which are restored whole.

Results keep a folder's sub-folders and names; a folder with videos and no pictures is one of videos. Results of several
inputs go into a folder, as does a single one if -o ends in "/". Existing results are skipped: run the same command to
resume after an interruption. Exit codes: 0; 1 if some inputs could not be restored, listed with the reason; 2 for
invalid arguments.
"""

import os
import time

from absl import flags
from tqdm import tqdm

import deblur_zoo
from deblur_zoo import execution
from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.command_line_tools import UsageError, sources_and_target, working
from deblur_zoo.restoration.folders import FORMATS, Report, plan, without_existing
from deblur_zoo.restoration.outputs import Outputs
from deblur_zoo.restoration.photo import BACKGROUNDS, DEFAULT_PRESET, FACES, PhotoOptions
from deblur_zoo.restoration.video_command import is_video, restore_videos
from deblur_zoo.zoo import hub_folder, list_models
from deblur_zoo.zoo.presets import read_json

FLAGS = flags.FLAGS
# Flags without effect on aligned crops.
PHOTO_FLAGS = (
    "faces", "min_confidence", "min_size", "strength", "background", "sharp_faces", "draw_boxes", "save_crops"
)  # fmt: skip
NOT_FOR_VIDEOS = ("crops", "suffix", "ext", "quality", "compare", "draw_boxes", "save_crops", "json")


def define_flags():
    """Called by ``main`` and not on import, so that other programs may import this module beside their own flags."""
    flags.DEFINE_string("output", None, "file or folder to write; required", short_name="o")
    flags.DEFINE_string("preset", DEFAULT_PRESET, "name of a preset, its folder or a URI")
    flags.DEFINE_string("device", None, '"cpu", "gpu" or "gpu:NUMBER"; default: a GPU if there is one')
    flags.DEFINE_integer("batch_size", 16, "faces per forward pass of the network", lower_bound=1)
    flags.DEFINE_integer("passes", 1, "how many times to apply the network", lower_bound=1)
    flags.DEFINE_integer(
        "max_pixels",
        None,
        f"reject larger pictures; default: {pictures.MAXIMUM_PIXELS:,}, "
        f"with --crops {pictures.MAXIMUM_RESTORED_PIXELS:,}",
        lower_bound=1,
    )
    flags.DEFINE_bool("crops", False, "the inputs are aligned face crops")
    flags.DEFINE_enum("faces", "all", FACES, "which faces of a photo to restore; centre: large and near the middle")
    flags.DEFINE_float("min_confidence", None, "ignore faces that the detector finds with less confidence, 0 to 1")
    flags.DEFINE_integer("min_size", None, "ignore smaller faces, in pixels of the photo", lower_bound=1)
    flags.DEFINE_float("strength", 1.0, "0: the photo unchanged, 1: the network's result", 0, 1)
    flags.DEFINE_enum(
        "background", None, BACKGROUNDS, "restore the rest of a photo with blurred faces, or keep it unchanged"
    )
    flags.DEFINE_bool("sharp_faces", False, "restore faces that look sharp as well")
    flags.DEFINE_string("suffix", "", 'appended to the names of results in a folder, such as "_restored"')
    flags.DEFINE_enum(
        "ext", None, FORMATS, "format of results in a folder; default: that of each photo, JPEG for HEIC and AVIF"
    )
    flags.DEFINE_integer("quality", None, "of JPEG (default: 95) and WebP (default: lossless)", 1, 100)
    flags.DEFINE_bool("compare", False, "also write NAME_compare.jpg: photo and result side by side")
    flags.DEFINE_bool("draw_boxes", False, "also write NAME_boxes.jpg: the result with its faces marked")
    flags.DEFINE_bool("save_crops", False, "also write the restored faces: NAME_face_1.png and so on")
    flags.DEFINE_string("json", None, "append a line per photo to this file: faces, sharpness, blur, times")
    flags.DEFINE_bool("overwrite", False, "replace existing files, even the photos themselves")
    flags.DEFINE_bool("list", False, "show the trained presets with size, speed and gain")
    flags.DEFINE_bool("version", False, "show the version")


def restore(arguments):
    """Check the arguments, restore and report. Returns the exit code."""
    if FLAGS.version:
        print(f"deblur-zoo {deblur_zoo.__version__}")
        return 0
    if FLAGS.list:
        _list_presets()
        return 0
    sources, target = sources_and_target(arguments, FLAGS.output)

    if any(map(is_video, sources)):
        useless = [name for name in NOT_FOR_VIDEOS if FLAGS[name].present]
        if useless:
            raise UsageError(f"--{useless[0]} is for pictures, not for videos.")
        _choose_device()
        most = FLAGS.max_pixels or pictures.MAXIMUM_PIXELS
        return restore_videos(
            sources,
            target,
            FLAGS.overwrite,
            FLAGS.background,
            lambda: _make_restorer(FLAGS.preset, FLAGS.batch_size, FLAGS.passes, most, options=_photo_options()),
        )

    folder = len(sources) > 1 or sources[0].is_dir()
    try:
        _check_flags()
        options = _photo_options()
        # Before Keras is imported, which takes seconds.
        most = FLAGS.max_pixels or (pictures.MAXIMUM_RESTORED_PIXELS if FLAGS.crops else pictures.MAXIMUM_PIXELS)
        ending = f".{FLAGS.ext}" if FLAGS.ext else None
        planned = plan(sources, target, FLAGS.overwrite, most, FLAGS.suffix, ending)
        jobs, skipped = (planned, []) if FLAGS.overwrite else without_existing(planned)
        if skipped and not folder:
            raise UsageError(f"{skipped[0]} exists already: give another name, or --overwrite.")
        outputs = Outputs(FLAGS.quality, FLAGS.compare, FLAGS.draw_boxes, FLAGS.save_crops, FLAGS.json, FLAGS.overwrite)
        _choose_device()
        settings = FLAGS.preset, FLAGS.batch_size, FLAGS.passes, most, FLAGS.crops, options
        restorer = _make_restorer(*settings) if jobs else None
    except ValueError as error:
        raise UsageError(str(error)) from error
    start = time.perf_counter()
    report = _restore(restorer, jobs, outputs) if restorer else Report()
    report.skipped = skipped
    report.tell(target if folder else None, restorer.model.name if restorer else "", time.perf_counter() - start)
    return 1 if report.failed else 0


def _check_flags():
    """Raise UsageError for incompatible flags."""
    useless = [name for name in PHOTO_FLAGS if FLAGS.crops and FLAGS[name].present]
    if useless:
        raise UsageError(f"--{useless[0]} is for photos; with --crops, pictures go through the network whole.")


def _choose_device():
    """Set the device for frameworks that are imported later."""
    kind, _, number = (FLAGS.device or "").partition(":")
    if kind not in ("", "cpu", "gpu") or (number and not (kind == "gpu" and number.isdecimal())):
        raise UsageError(f"--device {FLAGS.device} is neither cpu nor gpu nor gpu:NUMBER.")
    if kind == "cpu" or number:
        os.environ["CUDA_VISIBLE_DEVICES"] = number or "-1"
    if kind == "gpu":
        if not execution.has_accelerator():
            raise UsageError(f"--device {FLAGS.device}: Keras finds no such GPU.")


def _make_restorer(*arguments, **options):
    # Keras is imported, which takes seconds.
    with working("starting"):
        from deblur_zoo.restoration.restorer import Restorer

        return Restorer(*arguments, **options)


def _photo_options():
    given = {
        "faces": FLAGS.faces,
        "minimum_confidence": FLAGS.min_confidence,
        "minimum_size": FLAGS.min_size,
        "strength": FLAGS.strength,
        "background": FLAGS.background,
        "sharp_faces": FLAGS.sharp_faces,
    }
    return PhotoOptions(**{name: value for name, value in given.items() if value is not None})


def _restore(restorer, jobs, outputs):
    # Includes the finished share of the current photo: large ones take a minute.
    layout = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} pictures [{elapsed}<{remaining}]"
    with tqdm(desc="deblurring", delay=0.5, disable=None, total=len(jobs), bar_format=layout) as bar:

        def progress(done, total):
            bar.update(done - bar.n)

        return restorer.restore_planned(jobs, progress, outputs)


def _list_presets():
    """A line for each trained preset, from the index alone."""
    entries = read_json(hub_folder() / "index.json")["presets"]
    names = list_models(kind="deblurrer", trained=True)
    for name in names:
        entry = entries[name]
        gain = (entry["measured"] or {}).get("psnr_gain_db")
        print(
            f"{name:<{max(map(len, names))}}  {entry['weights_bytes'] / 1e6:4.1f} MB, "
            f"{entry['gmac_128']:.2f} G multiply-adds for a face of 128x128"
            + (f", PSNR {gain:+.2f} dB on blurred faces" if gain is not None else "")
        )


def main():
    define_flags()
    command_line_tools.run(restore, "deblur-zoo")


if __name__ == "__main__":
    main()
