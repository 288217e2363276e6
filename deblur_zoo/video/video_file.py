"""Read frames of video files one at a time, with OpenCV's FFmpeg."""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deblur_zoo.files.folders import list_files

# Candidates by suffix; the contents decide whether a file can be read.
ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp")
# Frames with longer sides are downscaled to this, which bounds memory.
LONGEST_SIDE = 1920


@dataclass(frozen=True)
class VideoInfo:
    """A video's header.

    Attributes:
        frames: number of frames; an estimate in some formats, 0 if the header does not say.
        frames_per_second: 0 if the header does not say.
        height, width: of a frame in pixels, as it is stored.
    """

    frames: int
    frames_per_second: float
    height: int
    width: int


def list_videos(folder):
    """Paths of all video files (by ending) in a folder and its sub-folders, sorted; see ``folders.list_files``.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder does not exist.
    """
    return list_files(folder, ENDINGS)


def read_info(path):
    """A video's header.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: OpenCV cannot read it as a video.
    """
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
    """The frames of a video in order, upright.

    Args:
        path: of the file.
        wanted: function of a frame's number; frames for which it is false are decoded but skipped.
        longest_side: larger frames are downscaled to this longer side.

    Yields:
        (number from 0, uint8 (H, W, 3) RGB).

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: OpenCV cannot read it as a video, or its frames change size.
    """
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
                raise ValueError(f"{path} changes size at frame {number}, from {shape[:2]} to {frame.shape[:2]}.")
            shape = frame.shape
            yield number, _as_rgb(frame, longest_side)
    finally:
        capture.release()


def _as_rgb(frame, longest_side):
    height, width = frame.shape[:2]
    scale = longest_side / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def _open(path):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Video {path} does not exist.")
    # Report damage in our own messages. FFmpeg's are silenced unless OpenCV has already opened a video.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        # Only FFmpeg: the other readers accept image files, or start other programs.
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    finally:
        logging.setLogLevel(level)
    if not capture.isOpened():
        capture.release()
        raise ValueError(f"{path} cannot be read as a video.")
    return capture
