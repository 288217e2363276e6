"""Event files for TensorBoard, written with the tensorboard package, which does not need TensorFlow."""

import importlib.util
import io
import time

import numpy as np
from PIL import Image


def open_event_log(folder):
    """A writer of event files into a folder, which is created with the first value.

    Returns:
        an object with ``scalars(step, dict of floats)``, ``image(step, name, uint8 (H, W, 3))`` and ``close()``.

    Raises:
        ValueError: the package tensorboard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ValueError("--tensorboard needs the package tensorboard: pip install 'deblur_zoo[tensorboard]'")
    return EventLog(folder)


class EventLog:
    """See ``open_event_log``."""

    def __init__(self, folder):
        self._folder = folder
        self._writer = None

    def scalars(self, step, values):
        self._add(step, [{"tag": name, "simple_value": float(value)} for name, value in values.items()])

    def image(self, step, name, pixels):
        data = io.BytesIO()
        Image.fromarray(np.asarray(pixels)).save(data, "PNG")
        height, width, channels = pixels.shape
        picture = {"height": height, "width": width, "colorspace": channels, "encoded_image_string": data.getvalue()}
        self._add(step, [{"tag": name, "image": picture}])

    def close(self):
        if self._writer is not None:
            self._writer.close()

    def _add(self, step, values):
        # Optional packages.
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(str(self._folder))
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary={"value": values}))
        self._writer.flush()
