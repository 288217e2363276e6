"""Rendered clips of one face whose motion is known.

Every frame carries what is true of it in three pixels of its upper left corner, so that a detector that reads them
knows where the face is, in whatever order and process frames come. The clips are written without loss (FFV1).
"""

from pathlib import Path

import numpy as np

from deblur_zoo.faces.detection import Face

# Eyes, nose and mouth in scikit-image's astronaut, and the window of it that a frame shows at rest.
POINTS = np.array([[204.0, 101.0], [247.0, 103.0], [225.0, 128.0], [203.0, 140.0], [246.0, 142.0]])
ORIGIN = np.array([130.0, 20.0])
HEIGHT, WIDTH = 190, 200
NO_FACE, SURE, UNSURE = 0, 1, 2
_MARK = 111


def points_at(x, y):
    """The true points of a face that has moved by (x, y) pixels."""
    return POINTS - ORIGIN + (x, y)


def frame_at(x=0.0, y=0.0, face=SURE, shown=None):
    """A frame.

    Args:
        x, y: how far the picture has moved, in pixels.
        face: NO_FACE, SURE or UNSURE: what the detector is to say.
        shown: (x, y) that the detector is to say, where it is not the truth.

    Returns:
        uint8 (HEIGHT, WIDTH, 3), RGB.
    """
    import cv2
    from skimage.data import astronaut

    matrix = np.array([[1, 0, x - ORIGIN[0]], [0, 1, y - ORIGIN[1]]], np.float64)
    frame = cv2.warpAffine(
        astronaut(), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return stamp(frame, *(shown or (x, y)), face)


def stamp(frame, x, y, face=SURE):
    """Write the detector's answer into a frame."""
    numbers = [int(round((value + 300) * 100)) for value in (x, y)]
    frame[0, 0] = _MARK, face, 255 - _MARK
    for column, number in enumerate(numbers, start=1):
        frame[0, column] = number >> 8, number & 255, 0
    return frame


def stamp_detector(frame):
    """A detector that reads what the frame says."""
    first = frame[0, 0].astype(int)
    if first[0] != _MARK or first[2] != 255 - _MARK or first[1] == NO_FACE:
        return []
    x, y = ((int(high) * 256 + int(low)) / 100 - 300 for high, low, _ in frame[0, 1:3])
    points = points_at(x, y)
    box = np.array([*(points.min(axis=0) - 25), *(points.max(axis=0) + 25)])
    return [Face(box, points, 0.99 if first[1] == SURE else 0.85)]


def noise_frame(seed=0):
    """A frame without a face."""
    generator = np.random.default_rng(seed)
    return np.kron(generator.integers(0, 256, (19, 20, 3), dtype=np.uint8), np.ones((10, 10, 1), np.uint8))


def write_clip(path, frames, codec="FFV1", rate=25.0):
    """Write frames, uint8 (H, W, 3) RGB, as a video file."""
    import cv2

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for frame in frames:
        if writer is None:
            size = frame.shape[1], frame.shape[0]
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, size)
            assert writer.isOpened(), f"OpenCV cannot write {codec} here"
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path
