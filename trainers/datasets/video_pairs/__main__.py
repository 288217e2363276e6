"""Make pairs of blurred and sharp faces from a folder of videos, by averaging successive frames.

    python -m trainers.datasets.video_pairs --videos clips --out pairs
    python -m trainers.datasets.video_pairs --videos clips --out pairs7 --average 7 --response identity

For each video NAME the folder OUT gets NAME.tfrecord with the pairs and NAME.json with their number and the reasons for
unused frames; report.tsv has a row per video. Run the same command to resume after an interruption. To train on the
pairs, use `python -m trainers --pairs OUT --pairs_share 0.5`. See docs/video.md, also for thousands of videos.
"""

import os
import sys

from absl import flags
from tqdm import tqdm

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.files.resumable_folder import REPORT
from deblur_zoo.video.video_file import read_info
from trainers.datasets.video_pairs.flags import define_flags, settings_from_flags
from trainers.datasets.video_pairs.folder import make_folder

FLAGS = flags.FLAGS


def run_command(arguments):
    """Check the flags, then make pairs. Returns the exit code."""
    command_line_tools.require_flags(arguments, "videos", "out")
    try:
        settings = settings_from_flags()
        # The detector's code is TensorFlow's; what is written here is for every backend.
        os.environ["KERAS_BACKEND"] = "tensorflow"

        def frames_bar(path):
            try:
                total = 2 * read_info(path).frames or None
            except (ValueError, OSError):
                total = None
            return tqdm(total=total, unit="frame", desc=path.name[-24:], leave=False, delay=0.5, disable=None)

        reports = make_folder(
            FLAGS.videos, FLAGS.out, settings, progress=lambda paths: tqdm(paths, unit="video", disable=None),
            clip_progress=frames_bar,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(summary(reports))
    print(f"Details: {FLAGS.out}/{REPORT} has a row per video, NAME.json beside each shard the full report.")
    return 0 if any(report["pairs"] for report in reports) else 1


def summary(reports):
    """Summary of a run, in several lines."""
    earlier = sum(bool(report.get("earlier")) for report in reports)
    pairs, frames = (sum(report[key] for report in reports) for key in ("pairs", "frames"))
    lines = [
        f"{len(reports)} videos{f' ({earlier} done by an earlier run)' if earlier else ''}, {pairs} pairs "
        f"({sum(report['reversed'] for report in reports)} of the reversed pass) from "
        f"{sum(report['frames_used'] for report in reports)} of {frames} frames"
    ]
    dropped = {}
    for report in reports:
        for reason, count in report["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + count
    if dropped:
        lines.append("Unused frames:")
        lines += [f"  {dropped[reason]:6d}  {reason}" for reason in sorted(dropped, key=dropped.get, reverse=True)]
    without = [(report["video"], report["reason"]) for report in reports if report["reason"]]
    if without:
        lines.append(f"Videos skipped or damaged: {len(without)}")
        lines += command_line_tools.first_of(without)
    return "\n".join(lines)


def main():
    define_flags(sys.argv[0] if __name__ == "__main__" else __name__)
    command_line_tools.run(run_command, "trainers.datasets.video_pairs")


if __name__ == "__main__":
    main()
