"""Restore folders of photos on Apache Beam, each photo as deblur-zoo does.

    deblur-zoo-beam photos -o restored -- --direct_num_workers=4
    deblur-zoo-beam gs://B/photos -o gs://B/restored -- --runner=DataflowRunner ...

Options after -- are Beam's own; without --runner it runs on this machine, in --direct_num_workers processes. Folders
are local, with the same path on every worker, or URIs of Beam's file systems (gs://, s3://, hdfs://). Existing results
are skipped: run the same command to resume after an interruption. Each run writes a report beside the results,
deblur-zoo-TIME.jsonl, with a line for each photo. docs/photos_at_scale.md has Flink, Spark and Dataflow. Exit
codes: 0; 1 if some photos could not be restored; 2 for invalid arguments. Needs the extra [beam].
"""

import importlib.util

from absl import flags

from deblur_zoo.beam.pipeline import PhotoJob, counts, run
from deblur_zoo.files import command_line_tools, pictures
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.restoration.folders import FORMATS
from deblur_zoo.restoration.photo import BACKGROUNDS, DEFAULT_PRESET, FACES, PhotoOptions

FLAGS = flags.FLAGS


def define_flags():
    """Called by ``main`` and not on import, so that other programs may import this module beside their own flags."""
    flags.DEFINE_string("output", None, "folder to write; required", short_name="o")
    flags.DEFINE_string("preset", DEFAULT_PRESET, "name of a preset, or a folder that every worker sees")
    flags.DEFINE_enum("faces", "all", FACES, "which faces of a photo to restore")
    flags.DEFINE_float("strength", 1.0, "0: the photo unchanged, 1: the network's result", 0, 1)
    flags.DEFINE_enum(
        "background", "restore", BACKGROUNDS, "restore the rest of a photo with blurred faces, or keep it unchanged"
    )
    flags.DEFINE_enum("ext", None, FORMATS, "format of the results; default: the photo's, JPEG for HEIC and AVIF")
    flags.DEFINE_integer("quality", None, "of JPEG (default: 95) and WebP (default: lossless)", 1, 100)
    flags.DEFINE_integer("max_pixels", pictures.MAXIMUM_PIXELS, "reject larger photos", lower_bound=1)


def restore(arguments):
    """Check the flags, run the pipeline and print a summary. Returns the exit code."""
    places = [argument for argument in arguments if not argument.startswith("-")]
    if len(places) != 1:
        raise UsageError("Pass one folder of photos, and Beam's options after --, as --name=value; see --help.")
    if not FLAGS.output:
        raise UsageError("The output is missing: pass -o FOLDER.")
    if importlib.util.find_spec("apache_beam") is None:
        raise UsageError('Apache Beam is not installed: pip install "deblur-zoo[beam]".')
    options = PhotoOptions(faces=FLAGS.faces, strength=FLAGS.strength, background=FLAGS.background)
    job = PhotoJob(places[0], FLAGS.output, FLAGS.preset, options, FLAGS.quality, FLAGS.max_pixels)
    beam_arguments = [argument for argument in arguments if argument.startswith("-")]
    try:
        report = run(job, beam_arguments, f".{FLAGS.ext}" if FLAGS.ext else None)
    except ValueError as error:
        raise UsageError(str(error)) from None
    found = counts(report)
    print(f"{', '.join(f'{count} {what}' for what, count in found.items())}; see {report}")
    return 1 if found["failed"] else 0


def main():
    define_flags()
    command_line_tools.run(restore, "deblur-zoo-beam")


if __name__ == "__main__":
    main()
