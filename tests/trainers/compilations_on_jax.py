"""What JAX compiles and moves over two epochs of five steps: ``python compilations_on_jax.py RESULT.npz``.

Run by test_distribution.py in a process of its own, with KERAS_BACKEND=jax.
"""

import contextlib
import sys
import threading
from pathlib import Path

import adversarial_on_backend as networks
import jax
import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from trainers.runs.callbacks import NonFiniteLoss, StopOnNonFinite  # noqa: E402

STEPS, EPOCHS = 5, 2


class Watch(keras.callbacks.Callback):
    """Counts compilations after each step, and forbids implicit transfers within a step where it is told to."""

    def __init__(self, guard):
        super().__init__()
        self.guard = guard
        self.compiled = 0
        self.after_steps = []
        self.within = contextlib.ExitStack()

    def on_compilation(self, event, seconds, **_):
        self.compiled += event == "/jax/core/compile/backend_compile_duration"

    def on_train_batch_begin(self, batch, logs=None):
        self.before = self.compiled
        if self.guard:
            self.within.enter_context(jax.transfer_guard("disallow"))

    def on_train_batch_end(self, batch, logs=None):
        self.within.close()
        self.after_steps.append(self.compiled - self.before)


class WatchedStop(StopOnNonFinite):
    """Says whether it is called by the thread that starts the steps, which then waits for each of them."""

    waited_for = False
    epochs_ended = 0

    def on_train_batch_end(self, batch, logs=None):
        self.waited_for |= threading.current_thread() is threading.main_thread()
        super().on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.epochs_ended += 1


def counted(trainer):
    """Let the trainer count how often its step is traced."""
    step, traced = trainer.train_step, []

    def train_step(state, data):
        traced.append(None)
        return step(state, data)

    trainer.train_step = train_step
    return traced


def main(result_path):
    rng = np.random.default_rng(4)
    pictures = [rng.integers(0, 256, (2, 6, 12, 16, 3), dtype=np.uint8) for _ in range(STEPS * EPOCHS)]
    results = {}
    # Numbers from the host under the guard: what a transfer looks like.
    for name, on_device, guard in (("device", True, True), ("host", False, True)):
        trainer = networks.build_trainer("wasserstein")
        traced = counted(trainer)
        watch = Watch(guard)
        jax.monitoring.register_event_duration_secs_listener(watch.on_compilation)
        batches = [tuple(jax.device_put(p) if on_device else p for p in pair) for pair in pictures]
        error = ""
        try:
            trainer.fit(
                (batch for batch in batches), steps_per_epoch=STEPS, epochs=EPOCHS, verbose=0, shuffle=False,
                callbacks=[watch],
            )  # fmt: skip
        except Exception as caught:
            watch.within.close()
            error = str(caught)
        results |= {
            f"{name}_traced": len(traced), f"{name}_compiled": watch.after_steps, f"{name}_error": error,
            f"{name}_step": trainer.step.numpy() if not error else -1,
        }  # fmt: skip
    stop = WatchedStop(every=2)
    trainer = networks.build_trainer("wasserstein")
    weights = trainer.critic.get_weights()
    for number in (1.0, np.nan):
        trainer.critic.set_weights([weight * number for weight in weights])
        try:
            trainer.fit(
                (tuple(pair) for pair in pictures), steps_per_epoch=STEPS, epochs=1, verbose=0,
                shuffle=False, callbacks=[stop],
            )  # fmt: skip
        except NonFiniteLoss as caught:
            results["stop_error"] = str(caught)
    results |= {"stop_waited_for": stop.waited_for, "stop_epochs_ended": stop.epochs_ended}
    np.savez(result_path, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
