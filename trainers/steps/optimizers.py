"""One optimiser that owns those of all players of an adversarial training."""

import keras

from trainers.steps.muon import Muon  # noqa: F401  Importing it registers it.

CLIPPINGS = ("clipnorm", "global_clipnorm", "clipvalue")


class PlayersOptimizer(keras.optimizers.Optimizer):
    """The optimisers of generator and critic as one: what ``compile`` takes and ``fit`` carries from step to step.

    It applies nothing itself: a training step applies each player's own optimiser, ``players[name]``.

    Args:
        players: dict from the player's name to its optimiser, not built yet.
        schedules: dict from the player's name to its ``Schedule``.
        loss_scaling: wrap each optimiser in Keras' LossScaleOptimizer, as float16 needs it. Each player has a scale of
            its own, since their gradients differ.
        replicas: number of replicas whose gradients are summed. Clipping happens before the sum, so the limits are
            divided by it.
    """

    def __init__(self, players, schedules, loss_scaling=False, replicas=1):
        # The learning rate is the players' own; this one is not used.
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
            variables: dict from the player's name to the list of variables that it trains.
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
        raise AttributeError("each player has a learning rate of its own: set it on its optimiser")


def optimizer_of(config):
    """The optimiser that a recipe names: one of Keras', or ``deblur_zoo>Muon``.

    Args:
        config: dict with "class_name" and "config".

    Raises:
        TypeError, ValueError: no such optimiser, or an argument that it does not take.
    """
    return keras.optimizers.get(config)
