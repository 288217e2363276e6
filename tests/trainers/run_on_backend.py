"""``python -m trainers`` with tiny adversarial networks and an accident: ``run_on_backend.py ACCIDENT OUT [flags]``.

Run by test_resume.py in processes of their own, on whatever backend KERAS_BACKEND names. ACCIDENT is

- none: no accident;
- half_written: SIGKILL in the middle of writing the second checkpoint;
- full_disk_then_between: the second checkpoint meets a full disk; the command is given again, and SIGKILL comes when
  the old checkpoint has been put aside and the new one has not taken its place.
"""

import os
import resource
import signal
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from adversarial_on_backend import AdversarialMethod, Confidence, Critic, Small  # noqa: E402

from trainers import __main__, register_method  # noqa: E402

ACCIDENTS = ("none", "half_written", "full_disk_then_between")


class Noisy(Small):
    """With dropout, whose random state a checkpoint must hold."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dropout = keras.layers.Dropout(0.3, seed=1)

    def restore(self, images, training=False):
        features = self.dropout(ops.tanh(self.first(images, training=training)), training=training)
        return images + ops.cast(self.second(features) + self.frozen(images), "float32")


def train():
    """The command; gives its exit code."""
    try:
        __main__.main()
    except SystemExit as error:
        return error.code


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_writing(number):
    savez, calls = np.savez, []

    def half(file, **arrays):
        calls.append(1)
        savez(file, **arrays)
        if len(calls) == number:
            file.truncate(file.tell() // 2)
            file.flush()
            die()

    np.savez = half


def kill_between_renames():
    replace = os.replace

    def replace_and_die(source, target):
        replace(source, target)
        if str(target).endswith("checkpoint.previous.npz"):
            die()

    os.replace = replace_and_die


def fill_disk(number):
    """No file may grow further, from the checkpoint of this number on."""
    savez, calls, limit = np.savez, [], resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited(file, **arrays):
        calls.append(1)
        if len(calls) == number:
            # Without the signal that would end the process, writing fails as it does on a full disk.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
        savez(file, **arrays)

    np.savez = limited
    code = train()
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    np.savez = savez
    return code


def main(accident, out, *flags):
    sys.argv = ["trainers", "--out", out, *flags]
    register_method("tiny")(AdversarialMethod)
    for network in (Noisy, Critic, Confidence):
        keras.saving.register_keras_serializable("tests")(network)
    if accident == "half_written":
        kill_while_writing(2)
    if accident == "full_disk_then_between":
        code = fill_disk(2)
        print("full disk:", code, flush=True)
        kill_between_renames()
    return train()


if __name__ == "__main__":
    assert sys.argv[1] in ACCIDENTS
    sys.exit(main(*sys.argv[1:]))
