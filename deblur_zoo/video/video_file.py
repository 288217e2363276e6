"""Video files as frames, one at a time, as OpenCV's FFmpeg reads them."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deblur_zoo.files.folders import list_files

# By the name's ending; what is inside decides whether a file can be read.
ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp")
# Longer sides are shrunk to this when they are read, which bounds the memory of whoever holds some frames.
LONGEST_SIDE = 1920


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says.

    Attributes:
        frames: number of frames; an estimate in some formats, 0 where the header says nothing.
        frames_per_second: 0 where the header says nothing.
        height, width: of a frame in pixels, as it is stored.
    """

    frames: int
    frames_per_second: float
    height: int
    width: int


def list_videos(folder):
    """Paths of all video files (by ending) in a folder and its sub-folders, sorted; see ``folders.list_files``.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    return list_files(folder, ENDINGS)


def read_info(path):
    """A video's header.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no video that OpenCV reads.
    """
    import cv2

    capture = _open(path)
    try:
        frames, rate, height, width = (
            capture.get(key)
            for key in (
                cv2.CAP_PROP_FRAME_COUNT,
                cv2.CAP_PROP_FPS,
                cv2.CAP_PROP_FRAME_HEIGHT,
                cv2.CAP_PROP_FRAME_WIDTH,
            )
        )
    finally:
        capture.release()
    # Damaged headers give NaN and negative numbers.
    frames = int(frames) if 0 < frames < 2**31 else 0
    return VideoInfo(frames, float(rate) if 0 < rate < 1000 else 0.0, int(height), int(width))


def read_frames(path, wanted=None, longest_side=LONGEST_SIDE):
    """The frames of a video in their order, upright.

    Args:
        path: of the file.
        wanted: function of a frame's number; frames for which it is false are decoded and passed over.
        longest_side: larger frames are shrunk to this longer side.

    Yields:
        (number from 0, uint8 (H, W, 3) RGB).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no video that OpenCV reads, or its frames change their size.
    """
    import cv2

    capture = _open(path)
    number, shape = -1, None
    try:
        while True:
            try:
                if not capture.grab():
                    return
                number += 1
                if wanted is not None and not wanted(number):
                    continue
                taken, frame = capture.retrieve()
            except cv2.error:
                return
            if not taken or frame is None:
                return
            if shape is not None and frame.shape != shape:
                raise ValueError(f"{path} changes its size at frame {number}, from {shape[:2]} to {frame.shape[:2]}.")
            shape = frame.shape
            yield number, _as_rgb(frame, longest_side)
    finally:
        capture.release()


def _as_rgb(frame, longest_side):
    import cv2

    height, width = frame.shape[:2]
    scale = longest_side / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def _open(path):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    # Damage is told in our own sentences. FFmpeg's are silenced where OpenCV has not opened a video before.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        # FFmpeg alone: the other readers take picture files, or start other programs.
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    finally:
        logging.setLogLevel(level)
    if not capture.isOpened():
        capture.release()
        raise ValueError(f"{path} cannot be read as a video.")
    return capture
