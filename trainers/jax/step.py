"""The training step under JAX (``KERAS_BACKEND=jax``)."""

import jax
import keras

from trainers.restoration_trainer import RestorationTrainer


class JaxTrainer(RestorationTrainer):
    """RestorationTrainer with a stateless step that ``fit`` compiles once.

    The state is what Keras hands from step to step: trainable, non-trainable, optimiser's and metrics' variables. The
    moving average and the step count are non-trainable; the schedule's plateau factor is the optimiser's.
    """

    def train_step(self, state, data):
        """One step on a batch (blurred, sharp).

        Args:
            state: the four lists of values.
            data: uint8 (N, H, W, 3) twice.

        Returns:
            (running means for the progress bar, the new state).
        """
        trainable, non_trainable, optimizer_values, metric_values = state
        blurred, sharp = data

        def loss_and_terms(trainable):
            with self._scope(trainable, non_trainable):
                return self.loss_and_terms(blurred, sharp)

        (loss, terms), gradients = jax.value_and_grad(loss_and_terms, has_aux=True)(trainable)
        trainable, optimizer_values = self.optimizer.stateless_apply(optimizer_values, gradients, trainable)
        with self._scope(trainable, non_trainable, metric_values) as scope:
            self.update_average()
            logs = self.update_trackers(loss, terms)
        return logs, (
            trainable,
            _values(scope, self.non_trainable_variables, non_trainable),
            optimizer_values,
            _values(scope, self.metrics_variables, metric_values),
        )

    def _scope(self, trainable, non_trainable, metric_values=()):
        """A scope in which the trainer's variables have these values."""
        mapping = [
            *zip(self.trainable_variables, trainable, strict=True),
            *zip(self.non_trainable_variables, non_trainable, strict=True),
        ]
        if metric_values:
            mapping += zip(self.metrics_variables, metric_values, strict=True)
        return keras.StatelessScope(state_mapping=mapping)


def _values(scope, variables, before):
    """The variables' values at the end of a scope."""
    after = [scope.get_current_value(variable) for variable in variables]
    return [old if new is None else new for old, new in zip(before, after, strict=True)]
