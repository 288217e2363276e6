"""One optimiser that owns those of all players of an adversarial training."""

import keras

from trainers.steps.muon import Muon  # noqa: F401  Importing it registers it.

CLIPPINGS = ("clipnorm", "global_clipnorm", "clipvalue")


class PlayersOptimizer(keras.optimizers.Optimizer):
    """The optimisers of generator and critic as one, for ``compile`` and ``fit``.

    It applies no updates itself: a training step applies each player's own optimiser, ``players[name]``.

    Args:
        players: dict from the player's name to its optimiser, not built yet.
        schedules: dict from the player's name to its ``Schedule``.
        loss_scaling: wrap each optimiser in Keras's LossScaleOptimizer, as float16 requires. Each player has its own
            scale, since their gradients differ.
        replicas: number of replicas whose gradients are summed. Clipping happens before the sum, so the limits are
            divided by this number.
    """

    def __init__(self, players, schedules, loss_scaling=False, replicas=1):
        # Unused: each player has its own learning rate.
        super().__init__(learning_rate=0.0, name="players")
        for name, optimizer in players.items():
            optimizer.learning_rate = schedules[name]
            for clipping in CLIPPINGS:
                if getattr(optimizer, clipping):
                    setattr(optimizer, clipping, getattr(optimizer, clipping) / replicas)
        self.schedules = schedules
        self.inner = dict(players)
        self.players = {
            name: keras.optimizers.LossScaleOptimizer(optimizer) if loss_scaling else optimizer
            for name, optimizer in players.items()
        }

    def build_players(self, variables):
        """Create every player's state.

        Args:
            variables: dict from the player's name to the list of variables to train.
        """
        for name, optimizer in self.players.items():
            optimizer.build(variables[name])
            optimizer.built = True
            self.schedules[name].attach(self.inner[name])
        self.build([])

    @property
    def variables(self):
        return [*super().variables, *(variable for player in self.players.values() for variable in player.variables)]

    @property
    def learning_rate(self):
        """The generator's learning rate, for progress bars and TensorBoard."""
        return next(iter(self.inner.values())).learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        raise AttributeError("each player has its own learning rate: set it on its optimiser")


def optimizer_of(config):
    """Create the optimiser of a recipe: one of Keras's, or ``deblur_zoo>Muon``.

    Args:
        config: dict with "class_name" and "config".

    Raises:
        TypeError, ValueError: an unknown optimiser, or an invalid argument.
    """
    return keras.optimizers.get(config)
