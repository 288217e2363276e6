"""What happens between steps: checkpoints, validation on other people's faces, a stop where the loss is not finite."""

import math
import time

import keras

from deblur_zoo.atomic_file import atomic_path
from trainers.checkpoint import save_checkpoint


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite; the last good checkpoint is kept."""


class StopOnNonFinite(keras.callbacks.Callback):
    """Raise NonFiniteLoss where a loss is not finite, before any checkpoint is written of it.

    The losses are means over the epoch, which stay not finite once they are: looking every so many steps, and at the
    epoch's end, misses nothing, and an accelerator is not made to wait for the host after each step.
    """

    def __init__(self, every=25):
        super().__init__()
        self.every = every

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % self.every == 0:
            self._check(logs, f"by step {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, "by its end")

    def _check(self, logs, where):
        for name in ("loss", "critic_loss"):
            if logs and name in logs and not math.isfinite(float(logs[name])):
                raise NonFiniteLoss(
                    f"the {name} is not finite in epoch {self.epoch + 1}, {where}: the last good checkpoint is kept; a "
                    "lower learning rate, a longer warm-up or float32 usually helps"
                )


class Checkpoint(keras.callbacks.Callback):
    """Write the run's checkpoint after every epoch."""

    def __init__(self, path, progress):
        super().__init__()
        self.path = path
        self.progress = progress

    def on_epoch_end(self, epoch, logs=None):
        self.progress["epochs_done"] = epoch + 1
        save_checkpoint(self.path, self.model, self.progress)


class Validation(keras.callbacks.Callback):
    """Measure the moving average on development faces, log it, and keep the best weights.

    Args:
        measure: maps a Deblurrer to a dict with "psnr", "psnr_gain" and "sharp_in_psnr".
        every: epochs between measurements.
        run: the run's folder; gets ``log.tsv`` and ``best.weights.h5``.
        progress: the run's progress dict; "best" is kept there.
        halve_after: halve the learning rate after so many measurements without a better one; 0: never.
    """

    def __init__(self, measure, every, run, progress, halve_after=0):
        super().__init__()
        self.measure = measure
        self.every = every
        self.run = run
        self.progress = progress
        self.halve_after = halve_after
        self.started = time.time()

    def on_epoch_end(self, epoch, logs=None):
        self.progress["seconds"] = self.progress.get("seconds", 0.0) + time.time() - self.started
        self.started = time.time()
        if (epoch + 1) % self.every and epoch + 1 != self.params["epochs"]:
            return
        scores = self.measure(self.model.average)
        best = self.progress.get("best")
        if best is None or scores["psnr"] > best:
            self.progress["best"] = scores["psnr"]
            self.progress["best_step"] = int(self.model.step)
            self.progress["waited"] = 0
            save_weights(self.model.average, self.run / "best.weights.h5")
        else:
            self.progress["waited"] = self.progress.get("waited", 0) + 1
            if self.halve_after and self.progress["waited"] >= self.halve_after:
                self.progress["waited"] = 0
                self.model.halve_rates()
        row = {
            "stage": self.progress["stage"],
            "step": int(self.model.step),
            "seconds": round(self.progress["seconds"]),
        }
        row |= {name: f"{value:.5f}" for name, value in {**(logs or {}), **scores}.items()}
        with open(self.run / "log.tsv", "a", encoding="utf-8") as log:
            log.write("\t".join(f"{name}={value}" for name, value in row.items()) + "\n")
        print("\n" + "  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def save_weights(model, path):
    """Write a model's weights as float32 ``.weights.h5``, whole or not at all."""
    with atomic_path(path) as temporary:
        model.save_weights(temporary)
