"""Make pairs from thousands of videos on Apache Beam, with the code of trainers.datasets.video_pairs for each video.

    python -m trainers.datasets.video_pairs.beam_pipeline --videos clips --out pairs -- --direct_num_workers=4
    python -m trainers.datasets.video_pairs.beam_pipeline --videos gs://B/clips --out gs://B/pairs -- \
        --runner=DataflowRunner ...

Options after -- are Beam's own; without --runner it runs on this machine, with --direct_num_workers processes. Places
other than local folders are URIs of Beam's file systems (gs://, s3://, hdfs://). The output in OUT is that of
trainers.datasets.video_pairs, and either command resumes the other's work. See docs/video.md for Flink, Spark and
Dataflow. Needs the extra [beam].
"""

import importlib.util
import sys

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.beam_files import join, read
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.resumable_folder import REPORT
from trainers.datasets.video_pairs.beam_jobs import run
from trainers.datasets.video_pairs.flags import define_flags, settings_from_flags

FLAGS = flags.FLAGS


def run_command(arguments):
    """Check the flags, then run the pipeline. Returns the exit code."""
    command_line_tools.require_flags([], "videos", "out")
    other = [argument for argument in arguments if not argument.startswith("-")]
    if other:
        raise UsageError(f"unexpected argument {other[0]!r}; Beam's options go after --, as --name=value")
    if importlib.util.find_spec("apache_beam") is None:
        raise UsageError("Apache Beam is not installed: pip install 'deblur-zoo[beam]'")
    try:
        run(FLAGS.videos, FLAGS.out, settings_from_flags(), arguments)
    except ValueError as error:
        raise UsageError(str(error)) from None
    rows = [line.split("\t") for line in read(join(FLAGS.out, REPORT)).splitlines()[1:]]
    pairs = sum(int(row[2]) for row in rows)
    print(f"{len(rows)} videos, {pairs} pairs, {sum(row[2] == '0' for row in rows)} videos without pairs; see {REPORT}")
    return 0 if pairs else 1


def main():
    define_flags(sys.argv[0] if __name__ == "__main__" else __name__)
    command_line_tools.run(run_command, "trainers.datasets.video_pairs.beam_pipeline")


if __name__ == "__main__":
    main()
