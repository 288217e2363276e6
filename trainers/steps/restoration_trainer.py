"""Common to every backend's trainer: the networks, the moving average, the losses, the progress bar."""

import keras
from keras import ops

from trainers.methods.method import weighted_sum
from trainers.steps.optimizers import PlayersOptimizer

GENERATOR, CRITIC = "generator", "critic"


class RestorationTrainer(keras.Model):
    """A deblurring model in training, with a critic if the method has one.

    ``fit`` takes batches (blurred, sharp) or (blurred, sharp, labels), uint8 (N, H, W, 3) and (N, H, W). With two or
    more ``critic_steps`` it takes as many batches concatenated, so that each critic step sees different images.

    A step trains the generator on the first part of the batch, then the critic on each part. The first critic step
    reuses the estimates of the generator's step, which saves one pass through the model.

    Args:
        model: the model to train.
        average: a second model with the same configuration and the moving average of the weights, which is validated
            and published.
        decay: of the moving average, per step; lower at the start, so that the first steps are forgotten quickly.
        critic: keras.Model that judges images, or None.
        auxiliary: keras.Model that is trained with the generator but not published, or None.
    """

    def __init__(self, model, average, decay=0.999, critic=None, auxiliary=None, **kwargs):
        super().__init__(**kwargs)
        for network in (model, average):
            network.build()
        average.trainable = False
        for target, source in zip(average.weights, model.weights, strict=True):
            # A copy: JAX would share the buffer, which a compiled step donates.
            target.assign(ops.copy(source))
        self.model = model
        self.average = average
        self.decay = decay
        self.critic = critic
        self.auxiliary = auxiliary
        self.method = None
        self.trackers = {}
        self.critic_steps = 1
        # Counts over all stages, unlike the optimisers' own counts.
        self.step = keras.Variable(0, trainable=False, dtype="int32", name="step", aggregation="only_first_replica")
        self.built = True

    def start_stage(self, method, optimizer, schedule, critic_optimizer=None, critic_schedule=None, critic_steps=1,
                    train=None, loss_scaling=False):  # fmt: skip
        """Start a stage: set its losses, create new optimisers, and choose which parts of the model to train.

        Args:
            method: a Method.
            optimizer, schedule: the generator's.
            critic_optimizer, critic_schedule: the critic's, if ``method.critic_weights`` is not empty.
            critic_steps: critic steps per generator step.
            train: names of the model's parts to train in this stage, which may include "auxiliary"; None: everything.
            loss_scaling: scale losses against underflow, for float16.

        Raises:
            ValueError: an unknown part of the model, or adversarial losses without a critic.
        """
        if method.has_adversary and self.critic is None:
            raise ValueError("the stage has adversarial losses, but the recipe has no critic")
        self.method = method
        self.critic_steps = critic_steps if method.critic_weights else 1
        self._choose_parts(train)
        players, schedules = {GENERATOR: optimizer}, {GENERATOR: schedule}
        variables = {GENERATOR: self.generator_variables}
        if method.critic_weights:
            players[CRITIC], schedules[CRITIC] = critic_optimizer, critic_schedule
            variables[CRITIC] = self.critic.trainable_variables
        names = ["loss", *method.weights]
        if method.critic_weights:
            names += ["critic_loss", *method.critic_weights]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        composite = PlayersOptimizer(players, schedules, loss_scaling, self.replicas)
        # XLA is JAX's compiler, without which JAX runs op by op; under TensorFlow on a CPU it is slower.
        self.compile(optimizer=composite, jit_compile=keras.backend.backend() == "jax", auto_scale_loss=False)
        composite.build_players(variables)

    def _choose_parts(self, train):
        self.model.trainable = True
        if self.critic is not None:
            self.critic.trainable = True
        if self.auxiliary is not None:
            self.auxiliary.trainable = train is None or "auxiliary" in train
        if train is None:
            return
        chosen = []
        for name in train:
            part = getattr(self.model, name, None)
            if name != "auxiliary" and not _layers(part):
                raise ValueError(f"the model has no part {name!r} that a stage could train")
            chosen += _layers(part)
        for layer in self.model.layers:
            layer.trainable = layer in chosen

    @property
    def replicas(self):
        """Number of replicas that share each batch and sum their gradients. (JAX's data parallelism counts as one, with
        one step for the global batch.)
        """
        return 1

    @property
    def generator_variables(self):
        """The generator's trainable variables in this stage."""
        extra = self.auxiliary.trainable_variables if self.auxiliary is not None else []
        return [*self.model.trainable_variables, *extra]

    @property
    def metrics(self):
        return list(self.trackers.values())

    def call(self, images, training=False):
        return self.model(images, training=training)

    def batches_of(self, data, replica=0):
        """Split the data of a step into the dicts that a Method takes, one per critic step.

        Args:
            data: (blurred, sharp[, labels]), a replica's part of the global batch.
            replica: index of the part: int, or a scalar int32 tensor.
        """
        count = ops.shape(data[0])[0] // self.critic_steps
        # Counts from the run's first step; the two remainders keep int32 products from overflowing.
        numbers = ops.arange(count, dtype="int32") + replica * count + ops.mod(self.step, 65536) * 251
        parts = []
        for i in range(self.critic_steps):
            blurred, sharp = (
                ops.cast(pictures[i * count : (i + 1) * count], "float32") / 255.0 for pictures in data[:2]
            )
            # Multiples of the golden ratio, modulo 1: uniform, and the same on every backend and after a resume.
            share = ops.cast(ops.mod(ops.mod(numbers + 101 * i, 65536) * 25033, 65536), "float32") / 65536.0
            batch = {"blurred": blurred, "sharp": sharp, "share": share}
            if len(data) > 2:
                batch["labels"] = ops.cast(data[2][i * count : (i + 1) * count], "int32")
            parts.append(batch)
        return parts

    def generator_loss(self, batch):
        """The generator's loss on one batch, as (loss, terms, outputs)."""
        outputs = self.method.outputs(self.model, batch)
        terms = self.method.terms(batch, outputs, self)
        return weighted_sum(self.method.weights, terms), terms, outputs

    def critic_loss(self, batch, outputs, input_gradient):
        """The critic's loss on one batch and its estimates, as (loss, terms)."""
        outputs = {name: ops.stop_gradient(value) for name, value in outputs.items()}
        terms = self.method.critic_terms(batch, outputs, self.critic, input_gradient)
        return weighted_sum(self.method.critic_weights, terms), terms

    def halve_rates(self):
        """Halve every player's learning rate from now on."""
        for schedule in self.optimizer.schedules.values():
            schedule.halve()

    def update_average(self):
        """Move the average towards the model's weights, and count the step."""
        step = ops.cast(self.step, "float32")
        self.step.assign(self.step + 1)
        decay = ops.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for target, source in zip(self.average.weights, self.model.weights, strict=True):
            target.assign(target + (1.0 - decay) * (source - target))

    def update_trackers(self, values):
        """Update the running means of the step's losses and terms, for the progress bar.

        Args:
            values: dict from a tracker's name to a scalar; two players' terms of the same name share a tracker.
        """
        for name, value in values.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}


def _layers(part):
    """The layers of a part: itself, or the members of a list."""
    if isinstance(part, keras.layers.Layer):
        return [part]
    return [layer for layer in part if isinstance(layer, keras.layers.Layer)] if isinstance(part, list | tuple) else []
