"""Event files for TensorBoard by TensorFlow."""

import tensorflow as tf


class TensorFlowEventLog:
    """See ``trainers.event_log.open_event_log``."""

    def __init__(self, folder):
        self._folder = str(folder)
        self._writer = None

    def scalars(self, step, values):
        with self._at(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def image(self, step, name, pixels):
        with self._at(step):
            tf.summary.image(name, pixels[None])
        self._writer.flush()

    def close(self):
        if self._writer is not None:
            self._writer.close()

    def _at(self, step):
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(self._folder)
        tf.summary.experimental.set_step(step)
        return self._writer.as_default()
