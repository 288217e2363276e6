"""Callbacks: progress, checkpoints, validation, event files, and a stop if the loss is not finite."""

import datetime
import math
import time

import keras

from deblur_zoo.files import pictures
from deblur_zoo.zoo.presets import BEST_WEIGHTS_FILE
from trainers.runs.checkpoint import save_checkpoint, save_weights, writing
from trainers.runs.errors import NonFiniteLoss
from trainers.runs.run_log import append_row

ADVICE = "the last good checkpoint is kept; a lower learning rate, a longer warm-up or float32 usually helps"


class StopOnNonFinite(keras.callbacks.Callback):
    """Raise NonFiniteLoss if a loss is not finite, before a checkpoint is written.

    A non-finite loss keeps the epoch's mean non-finite, so it is checked only at intervals and at the epoch's end, and
    an accelerator need not wait for the host after each step.
    """

    # Under JAX Keras calls such callbacks from a thread of its own. Without this it would fetch the losses after each
    # step before it starts the next. What is raised there is raised again by ``fit``, at the epoch's end at the latest.
    async_safe = True

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
                raise NonFiniteLoss(f"the {name} is not finite in epoch {self.epoch + 1}, {where}: {ADVICE}")


class Progress(keras.callbacks.Callback):
    """A line after each epoch: steps, losses, faces/s, and the time left of the stage and of the run.

    The remaining time includes measurements and checkpoints, and assumes that later stages are as fast as this one.

    Args:
        batch_size: faces per step.
        stage_steps: steps of the stage.
        epoch_steps: steps of every epoch but the last, which may be shorter.
        later_steps: steps of the stages after this one.
        clock: function that returns seconds.
    """

    def __init__(self, batch_size, stage_steps, epoch_steps, later_steps=0, clock=time.monotonic):
        super().__init__()
        self.batch_size = batch_size
        self.stage_steps = stage_steps
        self.epoch_steps = epoch_steps
        self.later_steps = later_steps
        self.clock = clock
        self.last_end, self.compiled, self.step_seconds = None, False, []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = self.clock()

    def on_epoch_end(self, epoch, logs=None):
        now, done = self.clock(), min((epoch + 1) * self.epoch_steps, self.stage_steps)
        steps = done - epoch * self.epoch_steps
        seconds = now - (self.begun if self.last_end is None else self.last_end)
        # The first epoch compiles: it counts only until there is another one.
        self.step_seconds = [*self.step_seconds[-8:], seconds / steps] if self.compiled else [seconds / steps]
        self.compiled = self.last_end is not None
        self.last_end = now
        rate = sum(self.step_seconds) / len(self.step_seconds)
        of_stage = self.stage_steps - done
        left = [_duration(rate * count) for count in (of_stage, of_stage + self.later_steps)]
        losses = "  ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        print(
            f"step {done:,} of {self.stage_steps:,}  {losses}  "
            f"{steps * self.batch_size / max(now - self.begun, 1e-9):.1f} faces/s  "
            f"left: {left[0]} of the stage, {left[1]} in all",
            flush=True,
        )


def _duration(seconds):
    return str(datetime.timedelta(seconds=round(seconds)))


class Checkpoint(keras.callbacks.Callback):
    """Write the run's checkpoint after every epoch."""

    def __init__(self, path, progress):
        super().__init__()
        self.path = path
        self.progress = progress

    def on_epoch_end(self, epoch, logs=None):
        self.progress["epochs_done"] = epoch + 1
        save_checkpoint(self.path, self.model, self.progress)


class Events(keras.callbacks.Callback):
    """Write every loss term of both players, their learning rates and loss scales to the event files, once an epoch.

    Args:
        event_log: see ``trainers.runs.event_log``.
    """

    def __init__(self, event_log):
        super().__init__()
        self.event_log = event_log

    def on_epoch_end(self, epoch, logs=None):
        values = {f"train/{name}": value for name, value in (logs or {}).items()}
        values |= {f"learning_rate/{name}": rate for name, rate in learning_rates(self.model).items()}
        for name, player in self.model.optimizer.players.items():
            if isinstance(player, keras.optimizers.LossScaleOptimizer):
                values[f"loss_scale/{name}"] = float(player.dynamic_scale)
        with writing("the folder of event files"):
            self.event_log.scalars(int(self.model.step.numpy()), values)


def learning_rates(trainer):
    """Dict from each player's name to its learning rate now."""
    return {name: float(optimizer.learning_rate) for name, optimizer in trainer.optimizer.inner.items()}


class Validation(keras.callbacks.Callback):
    """Measure the moving average on development faces, log it, and keep the best weights.

    The first measurement of a run comes before its first step, so that the log shows the gain from training.

    Args:
        development: an object as ``trainers.validation.deblurring_validation`` describes it.
        every: epochs between measurements.
        epochs: number of epochs in the stage; the last one ends with a measurement.
        folder: the run's folder; gets ``log.tsv``, ``best.weights.h5``, and ``strip.png`` (the newest) and
            ``best_strip.png`` to look at.
        progress: the run's progress dict; "best", and "before" the first step, are kept there.
        halve_after: halve the learning rate after this many measurements without improvement; 0: never.
        event_log: see ``trainers.runs.event_log``, or None.
        shown: print each measurement.

    Raises:
        NonFiniteLoss: a measurement that is not finite.
        CannotWrite: for example on a full disk.
    """

    def __init__(self, development, every, epochs, folder, progress, halve_after=0, event_log=None, shown=True):
        super().__init__()
        self.development = development
        self.every = every
        self.epochs = epochs
        self.folder = folder
        self.progress = progress
        self.halve_after = halve_after
        self.event_log = event_log
        self.shown = shown
        self.started = time.time()

    def on_train_begin(self, logs=None):
        if int(self.model.step.numpy()) == 0 and "before" not in self.progress:
            self._measure({})
            self.progress["before"] = self.progress["best"]

    def on_epoch_end(self, epoch, logs=None):
        self.progress["seconds"] = self.progress.get("seconds", 0.0) + time.time() - self.started
        self.started = time.time()
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.epochs:
            self._measure(logs or {})

    def _measure(self, logs):
        scores = self.development.measure(self.model.average)
        score = scores[self.development.score]
        if not math.isfinite(score):
            raise NonFiniteLoss(f"{self.development.score} on the development faces is not finite: {ADVICE}")
        picture = self.development.strip(self.model.average)
        self._write_picture("strip.png", picture)
        if self.progress.get("best") is None or score > self.progress["best"]:
            self.progress.update(best=score, best_step=int(self.model.step.numpy()), waited=0)
            save_weights(self.model.average, self.folder / BEST_WEIGHTS_FILE)
            self._write_picture("best_strip.png", picture)
        else:
            self.progress["waited"] = self.progress.get("waited", 0) + 1
            if self.halve_after and self.progress["waited"] >= self.halve_after:
                self.progress["waited"] = 0
                self.model.halve_rates()
        if self.event_log is not None:
            with writing("the folder of event files"):
                step = int(self.model.step.numpy())
                self.event_log.scalars(step, {f"validation/{name}": value for name, value in scores.items()})
                self.event_log.image(step, "validation/strip", picture)
        self._log(logs, scores)

    def _write_picture(self, name, picture):
        with writing(self.folder / name):
            pictures.write(self.folder / name, picture)

    def _log(self, logs, scores):
        row = {
            "stage": self.progress["stage"],
            "step": int(self.model.step.numpy()),
            "seconds": round(self.progress.get("seconds", 0)),
        }
        # Losses and rates may be tiny: digits, not places.
        row |= {name: f"{value:.6g}" for name, value in logs.items()}
        row |= {f"learning_rate_{name}": f"{rate:.6g}" for name, rate in learning_rates(self.model).items()}
        row |= {name: f"{value:.5f}" for name, value in scores.items()}
        append_row(self.folder / "log.tsv", row)
        if self.shown:
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
