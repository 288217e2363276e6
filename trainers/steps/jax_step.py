"""The training step under JAX (``KERAS_BACKEND=jax``)."""

import jax
import keras
from jax import numpy as jnp

from trainers.steps.restoration_trainer import CRITIC, GENERATOR, RestorationTrainer


class JaxTrainer(RestorationTrainer):
    """RestorationTrainer with a stateless step that ``fit`` compiles once.

    The state is what Keras passes from step to step: trainable, non-trainable, optimisers' and metrics' variables. The
    moving average and the step count are non-trainable; a schedule's plateau factor belongs to its optimiser.
    """

    def train_step(self, state, data):
        """One step on a batch (blurred, sharp[, labels]).

        Args:
            state: the four lists of values.
            data: uint8 (N, H, W, 3) twice, and labels (N, H, W), if any.

        Returns:
            (running means for the progress bar, the new state).
        """
        groups = (self.trainable_variables, self.non_trainable_variables, self.optimizer.variables,
                  self.metrics_variables)  # fmt: skip
        values = _Values(groups, state)
        with values.scope():
            batches = self.batches_of(data)
        (loss, terms), outputs = self._player_step(values, GENERATOR, self.generator_variables,
                                                   lambda: _split(self.generator_loss(batches[0])))  # fmt: skip
        logs = {"loss": loss, **terms}
        if self.method.critic_weights:
            for i, batch in enumerate(batches):
                if i > 0:
                    with values.scope():
                        outputs = self.method.outputs(self.model, batch)
                (loss, terms), _ = self._player_step(
                    values,
                    CRITIC,
                    self.critic.trainable_variables,
                    lambda batch=batch, outputs=outputs: (self.critic_loss(batch, outputs, _input_gradient), None),
                )
                logs |= {"critic_loss": loss, **terms}
        with values.scope():
            self.update_average()
            logs = self.update_trackers(logs)
        return logs, tuple(values.of(group) for group in groups)

    def _player_step(self, values, player, variables, losses):
        """Take a gradient step for one player; updates ``values``.

        Args:
            losses: function without arguments that returns ((loss, terms), anything).
        """
        optimizer = self.optimizer.players[player]

        def scaled_loss(trained):
            inner = values.copy()
            inner.put(variables, trained)
            with inner.scope():
                (loss, terms), extra = losses()
                scaled = optimizer.scale_loss(loss)
            # Batch normalisation updates its averages in the forward pass.
            return scaled, ((loss, terms), extra, inner.of(self.non_trainable_variables))

        gradients, (result, extra, moved) = jax.grad(scaled_loss, has_aux=True)(values.of(variables))
        values.put(self.non_trainable_variables, moved)
        trained, state = optimizer.stateless_apply(values.of(optimizer.variables), gradients, values.of(variables))
        values.put(variables, trained)
        values.put(optimizer.variables, state)
        return result, extra


class _Values:
    """Values of variables within a step, by variable."""

    def __init__(self, groups=(), state=()):
        self._values = {}
        self._variables = {}
        for group, values in zip(groups, state, strict=True):
            self.put(group, values)

    def put(self, variables, values):
        for variable, value in zip(variables, values, strict=True):
            self._variables[id(variable)] = variable
            self._values[id(variable)] = value

    def of(self, variables):
        return [self._values[id(variable)] for variable in variables]

    def copy(self):
        copied = _Values()
        copied._variables, copied._values = dict(self._variables), dict(self._values)
        return copied

    def scope(self):
        return _Scope(self)


class _Scope:
    """A scope in which variables have these values; assignments in it update the values."""

    def __init__(self, values):
        self._owner = values

    def __enter__(self):
        mapping = [(variable, self._owner._values[key]) for key, variable in self._owner._variables.items()]
        self._scope = keras.StatelessScope(state_mapping=mapping)
        self._scope.__enter__()

    def __exit__(self, *error):
        self._scope.__exit__(*error)
        for key, variable in self._owner._variables.items():
            value = self._scope.get_current_value(variable)
            if value is not None:
                self._owner._values[key] = value


def _split(result):
    loss, terms, outputs = result
    return (loss, terms), outputs


def _input_gradient(function, images):
    return jax.grad(lambda pictures: jnp.sum(function(pictures)))(images)
