"""Adversarial steps on whatever backend KERAS_BACKEND names; see steps_on_backend.py.

The networks are tiny, and have what makes adversarial steps go wrong: batch normalisation and a frozen part in the
model, an auxiliary network, a critic with a gradient penalty, two critic steps on pictures of their own.
"""

import operator
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deblur_zoo.losses import adversarial, content  # noqa: E402
from deblur_zoo.models.deblurrer import Deblurrer  # noqa: E402
from trainers.methods.method import Method  # noqa: E402
from trainers.steps.engines import trainer_class  # noqa: E402
from trainers.steps.schedule import Schedule  # noqa: E402

STEPS = 3
PARTS = ("model.first", "model.second", "model.frozen", "average", "critic", "auxiliary")


def part(trainer, name):
    """A network of the trainer or a part of one, by its dotted name."""
    return operator.attrgetter(name)(trainer)


class Small(Deblurrer):
    """Two parts, one of which the stage freezes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.Sequential(
            [layers.Conv2D(4, 3, padding="same", use_bias=False), layers.BatchNormalization()]
        )
        self.second = layers.Conv2D(3, 3, padding="same")
        self.frozen = keras.Sequential([layers.Conv2D(3, 1), layers.BatchNormalization()])

    def restore(self, images, training=False):
        change = self.second(ops.tanh(self.first(images, training=training))) + self.frozen(images)
        return images + ops.cast(change, images.dtype)


class Critic(keras.Model):
    """No bias at the end: a Wasserstein loss is a difference, in which it would cancel."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convolutions = [
            layers.Conv2D(4, 4, strides=2, padding="same"),
            layers.Conv2D(1, 3, padding="same", use_bias=False),
        ]

    def call(self, images, training=False):
        return ops.cast(self.convolutions[1](ops.tanh(self.convolutions[0](images))), "float32")


class Confidence(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(1)

    def call(self, images, training=False):
        return ops.sigmoid(self.dense(ops.mean(images, axis=(1, 2))))


class AdversarialMethod(Method):
    accepted = ("l1", "confident", "adversarial")
    critic_accepted = ("critic", "gradient_penalty")
    defaults = {"kind": "wasserstein"}

    def terms(self, batch, outputs, trainer):
        truth, estimate = batch["sharp"], outputs["restored"]
        confidence = ops.cast(trainer.auxiliary(estimate)[:, 0], "float32")
        scores = trainer.critic(estimate, training=True)
        loss = getattr(adversarial, f"{self.options['kind']}_generator")
        return {
            "l1": ops.mean(content.l1(truth, estimate)),
            "confident": ops.mean(confidence * content.l1(truth, estimate) - 0.1 * ops.log(confidence)),
            "adversarial": ops.mean(loss(None, scores)),
        }

    def critic_terms(self, batch, outputs, critic, input_gradient):
        truth, estimate = batch["sharp"], outputs["restored"]
        loss = {"wasserstein": adversarial.wasserstein_critic, "sigmoid": adversarial.sigmoid_discriminator}
        scores = critic(truth, training=True), critic(estimate, training=True)
        terms = {"critic": ops.mean(loss[self.options["kind"]](*scores))}
        if "gradient_penalty" in self.critic_weights:
            points = adversarial.between(truth, estimate, batch["share"])
            # The mean over patches, as the penalty asks for.
            gradients = input_gradient(lambda images: ops.mean(critic(images, training=True), axis=(1, 2, 3)), points)
            terms["gradient_penalty"] = ops.mean(adversarial.gradient_penalty(gradients))
        return terms


class RecordingSGD(keras.optimizers.SGD):
    """SGD that keeps the last gradient of each variable among its own variables."""

    def build(self, variables):
        super().build(variables)
        self.gradients = self.add_optimizer_variables(variables, "gradient")

    def update_step(self, gradient, variable, learning_rate):
        self.assign(self.gradients[self._get_variable_index(variable)], gradient)
        super().update_step(gradient, variable, learning_rate)


def build_trainer(kind, precision="float32"):
    """A trainer at the start of a stage, from weights that depend on nothing but NumPy."""
    critic_losses = {"wasserstein": {"critic": 1.0, "gradient_penalty": 10.0}, "sigmoid": {"critic": 1.0}}[kind]
    keras.config.set_dtype_policy(precision)
    networks = [Small(), Critic(), Confidence()]
    keras.config.set_dtype_policy("float32")
    average = Small()
    networks[0].build()
    for network in networks[1:]:
        network(np.zeros((1, 16, 16, 3), "float32"))
    rng = np.random.default_rng(5)
    for network in networks:
        network.set_weights([rng.uniform(0.1, 0.5, w.shape) * rng.choice([-1, 1], w.shape) if "variance" not in w.path
                             else np.ones(w.shape) for w in network.weights])  # fmt: skip
    trainer = trainer_class()(networks[0], average, decay=0.9, critic=networks[1], auxiliary=networks[2])
    method = AdversarialMethod({"l1": 1.0, "confident": 0.5, "adversarial": 0.1}, critic_losses, kind=kind)
    rates = {"peak": 0.02, "steps": 10, "decay": "exponential", "rate": 0.5, "every": 2}
    trainer.start_stage(
        method,
        RecordingSGD(),
        Schedule(**rates),
        RecordingSGD(),
        Schedule(**{**rates, "peak": 0.05}),
        critic_steps=2,
        train=["first", "second", "auxiliary"],
        loss_scaling=precision == "mixed_float16",
    )
    return trainer


def main(kind, batch_path, result_path):
    trainer = build_trainer(kind)
    before = {name: part(trainer, name).get_weights() for name in PARTS}
    with np.load(batch_path) as batch:
        pictures = batch["blurred"], batch["sharp"]
    history = trainer.fit(
        (pictures for _ in range(STEPS)), steps_per_epoch=1, epochs=STEPS, verbose=0, shuffle=False
    ).history
    results = {f"history_{name}": values for name, values in history.items()}
    for name in PARTS:
        for i, value in enumerate(part(trainer, name).get_weights()):
            results[f"{name}_{i}"] = value
            results[f"before_{name}_{i}"] = before[name][i]
    for player, optimizer in trainer.optimizer.players.items():
        for i, gradient in enumerate(optimizer.gradients):
            results[f"gradient_{player}_{i}"] = ops.convert_to_numpy(gradient)
    np.savez(result_path, step=int(trainer.step), **results)
