"""Deblur the faces in photos: files, or folders of them.

    deblur-zoo photo.jpg -o restored.jpg
    deblur-zoo photos -o restored --preset one_step_lite
    deblur-zoo a.jpg b.jpg -o restored/
    deblur-zoo clip.mp4 -o restored.mp4
    deblur-zoo crops -o restored --crops
    deblur-zoo --list

Each face is found, restored at the size that suits its blur, and blended back; sharp faces stay as they are. --crops is
for aligned face crops, as `python -m deblur_zoo.faces` makes them, which go through the network whole.

A folder's sub-folders and names are kept. Results of several inputs go into a folder, as does that of a file where -o
ends in "/". Pictures that cannot be read or are too large are listed with the reason, and the exit code is then 1.
"""

import time

from absl import flags

import deblur_zoo
from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.command_line_tools import UsageError, sources_and_target
from deblur_zoo.restoration.photo import BACKGROUNDS, FACES

FLAGS = flags.FLAGS


def define_flags():
    """Called by ``main`` and not on import, so that other programs may import this module beside their own flags."""
    flags.DEFINE_string("output", None, "file or folder to write; needed", short_name="o")
    flags.DEFINE_string("preset", "one_step_lite", "preset's name, a directory, or a URI")
    flags.DEFINE_integer("batch_size", 16, "pictures that go through the network at once", lower_bound=1)
    flags.DEFINE_integer("passes", 1, "how many times a picture goes through the network", lower_bound=1)
    flags.DEFINE_integer(
        "max_pixels",
        None,
        f"larger pictures are refused; {pictures.MAXIMUM_PIXELS:,} unless given, with --crops "
        f"{pictures.MAXIMUM_RESTORED_PIXELS:,}",
        lower_bound=1,
    )
    flags.DEFINE_bool("crops", False, "the pictures are aligned face crops")
    flags.DEFINE_enum("faces", "all", FACES, "which faces of a photo to restore; centre: large and near the middle")
    flags.DEFINE_float("min_confidence", None, "detector's confidence, 0 to 1, below which a face is ignored")
    flags.DEFINE_integer("min_size", None, "smallest face in pixels of the photo", lower_bound=1)
    flags.DEFINE_float("strength", 1.0, "0 leaves a photo as it is, 1 takes the network's result", 0, 1)
    flags.DEFINE_enum(
        "background", None, BACKGROUNDS, "restore the rest of a photo whose faces are blurred, or keep it as it is"
    )
    flags.DEFINE_bool("sharp_faces", False, "restore faces that look sharp as well")
    flags.DEFINE_bool("overwrite", False, "allow results to replace the pictures that they are made from")
    flags.DEFINE_bool("list", False, "show the trained presets and what they reach")
    flags.DEFINE_bool("version", False, "show the version")


def restore(arguments):
    """Check the arguments, restore, and say what was done. Returns the exit code."""
    if FLAGS.version:
        print(f"deblur-zoo {deblur_zoo.__version__}")
        return 0
    if FLAGS.list:
        _list_presets()
        return 0
    sources, target = sources_and_target(arguments, FLAGS.output)

    from deblur_zoo.restoration.folders import plan
    from deblur_zoo.restoration.restorer import Restorer
    from deblur_zoo.restoration.video_command import is_video, restore_videos

    if any(map(is_video, sources)):
        most = FLAGS.max_pixels or pictures.MAXIMUM_PIXELS
        return restore_videos(
            sources,
            target,
            FLAGS.overwrite,
            FLAGS.background,
            lambda: Restorer(FLAGS.preset, FLAGS.batch_size, FLAGS.passes, most, FLAGS.crops, _photo_options()),
        )

    try:
        options = _photo_options()
        # Faults of the input are told before Keras is imported, which takes seconds.
        most = FLAGS.max_pixels or (pictures.MAXIMUM_RESTORED_PIXELS if FLAGS.crops else pictures.MAXIMUM_PIXELS)
        jobs = plan(sources, target, FLAGS.overwrite, most)
        restorer = Restorer(FLAGS.preset, FLAGS.batch_size, FLAGS.passes, most, FLAGS.crops, options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    start = time.perf_counter()
    report = _restore(restorer, jobs)
    folder = target if len(sources) > 1 or sources[0].is_dir() else None
    report.tell(folder, restorer.model.name, time.perf_counter() - start)
    return 1 if report.failed else 0


def _photo_options():
    from deblur_zoo.restoration.photo import PhotoOptions

    given = {
        "faces": FLAGS.faces,
        "minimum_confidence": FLAGS.min_confidence,
        "minimum_size": FLAGS.min_size,
        "strength": FLAGS.strength,
        "background": FLAGS.background,
        "sharp_faces": FLAGS.sharp_faces,
    }
    return PhotoOptions(**{name: value for name, value in given.items() if value is not None})


def _restore(restorer, jobs):
    from tqdm import tqdm

    with tqdm(unit="picture", desc="deblurring", delay=0.5, disable=None) as bar:

        def progress(done, total):
            bar.total = total
            bar.update(done - bar.n)

        return restorer.restore_planned(jobs, progress)


def _list_presets():
    """A line for each trained preset, from the index alone."""
    from deblur_zoo.zoo import hub_folder, list_models
    from deblur_zoo.zoo.presets import read_json

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
