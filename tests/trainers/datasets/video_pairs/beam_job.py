"""Run the Beam pipeline with a detector that notes where it looked.

PYTHONPATH=ROOT:tests/trainers/datasets/video_pairs LOOKS=FILE python beam_job.py VIDEOS OUT STAGED BEAM_OPTIONS...
"""

import os
import sys

from tests import rendered_clips as clips


def noting_detector():
    """A detector that appends its process id to the file LOOKS at each look."""

    def detect(frame):
        with open(os.environ["LOOKS"], "a") as file:
            file.write(f"{os.getpid()}\n")
        return clips.stamp_detector(frame)

    return detect


if __name__ == "__main__":
    # By its module's name, so that workers import it.
    import beam_job

    from tests.trainers.datasets.video_pairs.test_beam_pipeline import SMALL
    from trainers.datasets.video_pairs.beam_jobs import run

    videos, out, staged, *arguments = sys.argv[1:]
    run(videos, out, SMALL, arguments, beam_job.noting_detector, bool(int(staged)))
