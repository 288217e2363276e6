"""The learning rate as a function of the step: warm-up, then constant, cosine or exponential decay."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("deblur_zoo")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to ``peak``, then the decay, times a factor that is halved on a plateau.

    Args:
        peak: learning rate after the warm-up.
        steps: steps of the whole stage, at whose end the cosine ends.
        warmup: steps of linear increase from 0.
        decay: "constant", "cosine" (to ``final`` at the last step) or "exponential" (a factor of ``rate`` every
            ``every`` steps, as in the one-step paper).
        final: the cosine's end, as a fraction of ``peak``.
        rate, every: the exponential decay's factor and its interval in steps.

    Raises:
        ValueError: an unknown decay or a rate out of range.
    """

    def __init__(self, peak, steps, warmup=0, decay="cosine", final=0.01, rate=0.96, every=1000):
        if decay not in ("constant", "cosine", "exponential"):
            raise ValueError(f"unknown decay {decay!r}; accepted: constant, cosine, exponential")
        if not (peak > 0 and 0 < rate <= 1 and 0 <= warmup <= steps):
            raise ValueError("a schedule needs peak > 0, 0 < rate <= 1 and 0 <= warmup <= steps")
        self.settings = {
            "peak": peak, "steps": steps, "warmup": warmup, "decay": decay, "final": final, "rate": rate, "every": every
        }  # fmt: skip
        self.factor = None

    def attach(self, optimizer):
        """Make a built optimiser own the plateau's factor, so that every backend carries it from step to step.

        Call it once, before the first step; without it the factor is 1.
        """
        self.factor = optimizer.add_variable((), initializer="ones", dtype="float32", name="plateau_factor")

    def __call__(self, step):
        peak, steps, warmup, decay, final, rate, every = self.settings.values()
        step = ops.cast(step, "float32")
        rise = ops.minimum((step + 1.0) / max(warmup, 1), 1.0)
        after = ops.maximum(step - warmup, 0.0)
        if decay == "cosine":
            progress = ops.minimum(after / max(steps - warmup, 1), 1.0)
            value = final + (1.0 - final) * 0.5 * (1.0 + ops.cos(math.pi * progress))
        elif decay == "exponential":
            value = ops.exp(math.log(rate) * after / every)
        else:
            value = ops.ones_like(after)
        factor = 1.0 if self.factor is None else self.factor
        return peak * factor * rise * value

    def halve(self):
        """Halve the rate from now on; called when the loss stops falling."""
        self.factor.assign(self.factor * 0.5)

    def get_config(self):
        return dict(self.settings)
