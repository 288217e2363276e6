"""Training on several devices or machines: the interface for runs, and which faces each replica gets.

A recipe's batch is the global one: each of R replicas processes B / R faces, and together they take the step that one
device would take on the B faces.
"""

import contextlib

from deblur_zoo.data.synthesis import PairMaker
from trainers.steps.engines import training_batches


class WorkerLost(RuntimeError):
    """Another worker of a run on several machines has ended or cannot be reached."""


class Distribution:
    """One process on one device, and the base class of the other distributions.

    Attributes:
        replicas: int, number of parts of a batch.
        is_chief: whether this process writes checkpoints and logs.
    """

    replicas = 1
    is_chief = True

    def check(self, batch_size):
        """Check that a batch can be split among the replicas.

        Raises:
            ValueError: ``batch_size`` is not a multiple of the number of replicas.
        """
        if batch_size % self.replicas:
            raise ValueError(
                f"a batch of {batch_size} faces is not divisible by {self.replicas} replicas; "
                f"--batch_size must be a multiple of {self.replicas}"
            )

    def scope(self):
        """A context in which models, trainers and optimisers must be created."""
        return contextlib.nullcontext()

    def from_chief(self, content):
        """The chief's bytes, whatever the other processes pass. All processes must call it at the same point."""
        return content

    def start(self, trainer):
        """Copy the chief's weights and optimisers to all processes, at the start of a stage."""

    def batches(self, pair_maker, batch_size, critic_steps, first_step, place="auto"):
        """Endless batches for ``fit``.

        Args:
            pair_maker: a PairMaker.
            batch_size: faces of one part of the global batch.
            critic_steps: parts of the global batch, see ``RestorationTrainer``.
            first_step: the step to start at.
            place: where pairs are rendered, see ``trainers.steps.engines.training_batches``.
        """
        return training_batches(pair_maker, batch_size * critic_steps, first_step, place)

    def fit(self, trainer, batches, **arguments):
        """``trainer.fit`` with Keras's arguments (epochs, initial_epoch, steps_per_epoch, callbacks, verbose)."""
        trainer.fit(batches, shuffle=False, **arguments)


class ReplicaPairMaker(PairMaker):
    """A PairMaker whose samples are in the order in which some of the replicas take them.

    A step's samples are ``critic_steps`` parts of ``batch_size``; a replica takes its share of the first part, then of
    the second, and so on. Splitting the batch directly would give one replica the first parts and another the last.

    Args:
        pair_maker: the PairMaker to take samples from.
        batch_size, critic_steps: as in ``Distribution.batches``.
        replicas: number of all replicas.
        first: index of the first replica to serve.
        count: number of replicas to serve, one after the other; None: all.
    """

    def __init__(self, pair_maker, batch_size, critic_steps, replicas, first=0, count=None):
        self.__dict__.update(vars(pair_maker))
        self._source = pair_maker
        self._order = (batch_size, critic_steps, replicas, first, replicas if count is None else count)

    def plan(self, number):
        batch_size, critic_steps, replicas, first, count = self._order
        share = batch_size // replicas
        step, rest = divmod(int(number), count * critic_steps * share)
        replica, rest = divmod(rest, critic_steps * share)
        part, position = divmod(rest, share)
        return self._source.plan((step * critic_steps + part) * batch_size + (first + replica) * share + position)
