"""Steps on one device and on two, on the backend of KERAS_BACKEND: ``python distributed_steps.py RESULT.npz CASE...``.

Run by test_distribution.py in a process of its own, since devices are divided before anything is put on them.
"""

import sys
from pathlib import Path

import adversarial_on_backend as networks
import keras
import numpy as np
from keras import layers, ops

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from trainers.distribution.base import ReplicaPairMaker  # noqa: E402
from trainers.distribution.factory import make_distribution  # noqa: E402
from trainers.steps.schedule import Schedule  # noqa: E402

STEPS, BATCH_SIZE = 3, 4


class Plain(networks.Small):
    """Without batch normalisation, whose statistics are each replica's own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Conv2D(4, 3, padding="same")


class Synchronized(networks.Small):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.Sequential(
            [layers.Conv2D(4, 3, padding="same", use_bias=False), layers.BatchNormalization(synchronized=True)]
        )


class ContentMethod(networks.AdversarialMethod):
    """The same without the critic."""

    def terms(self, batch, outputs, trainer):
        terms = super().terms(batch, outputs, trainer)
        return {name: terms[name] for name in self.weights}


class Numbers:
    """Stands for a PairMaker: a sample is its number."""

    def plan(self, number):
        return number


def pictures(critic_steps, replicas):
    """The pictures of all steps, each step's in the order in which the replicas take them."""
    count = BATCH_SIZE * critic_steps
    rng = np.random.default_rng(11)
    both = rng.integers(0, 256, (2, STEPS * count, 12, 16, 3), dtype=np.uint8)
    order = ReplicaPairMaker(Numbers(), BATCH_SIZE, critic_steps, replicas)
    numbers = [order.plan(number) for number in range(STEPS * count)]
    return both[0][numbers], both[1][numbers]


def optimizer(name, limit):
    """A fresh optimiser that clips: the limit is a fraction of the gradients' norm."""
    clipping = {"global_clipnorm": limit}
    if name == "adam":
        return keras.optimizers.AdamW(weight_decay=0.01, **clipping)
    return keras.optimizers.SGD(momentum=0.9, **clipping)


def start_stage(trainer, optimizer_name, adversarial, precision, critic_steps):
    losses, critic_losses = {"l1": 1.0, "confident": 0.5}, {}
    if adversarial:
        losses["adversarial"], critic_losses = 0.1, {"critic": 1.0, "gradient_penalty": 10.0}
    rates = {"peak": 0.01, "steps": 10, "decay": "exponential", "rate": 0.5, "every": 2}
    trainer.start_stage(
        ContentMethod(losses, critic_losses),
        optimizer(optimizer_name, 0.05),
        Schedule(**rates),
        optimizer(optimizer_name, 0.5),
        Schedule(**rates),
        critic_steps=critic_steps,
        train=["first", "second", "auxiliary"],
        loss_scaling=precision == "mixed_float16",
    )


def train(distribution, network, optimizer_name, adversarial, precision="float32", scale=None, critic_steps=2):
    """Three steps; gives losses of each step, weights, step count and whatever the optimisers hold."""
    networks.Small, original = network, networks.Small
    with distribution.scope():
        trainer = networks.build_trainer("wasserstein", precision)
    networks.Small = original
    with distribution.scope():
        start_stage(trainer, optimizer_name, adversarial, precision, critic_steps)
    if scale:
        for player in trainer.optimizer.players.values():
            player.dynamic_scale.assign(scale)
    before = trainer.model.second.get_weights()[0]
    count = BATCH_SIZE * trainer.critic_steps
    replicas = trainer.replicas
    blurred, sharp = pictures(trainer.critic_steps, replicas)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        batches = tf.data.Dataset.from_tensor_slices((blurred, sharp)).batch(count, drop_remainder=True)
    else:
        batches = ((blurred[i : i + count], sharp[i : i + count]) for i in range(0, STEPS * count, count))
    history = keras.callbacks.History()
    distribution.fit(trainer, batches, steps_per_epoch=1, epochs=STEPS, initial_epoch=0, callbacks=[history], verbose=0)
    results = {f"history_{name}": values for name, values in history.history.items()}
    for name in networks.PARTS:
        results |= {f"{name}_{i}": w for i, w in enumerate(networks.part(trainer, name).get_weights())}
    results |= {f"optimizer_{i}": ops.convert_to_numpy(v) for i, v in enumerate(trainer.optimizer.variables)}
    results["step"] = int(trainer.step.numpy())
    results["moved"] = np.abs(trainer.model.second.get_weights()[0] - before).max()
    results["devices"] = distribution.replicas
    return results


def main(result_path, *names):
    on_jax = keras.backend.backend() == "jax"
    two = make_distribution("data_parallel" if on_jax else "mirrored", 2)
    # JAX's step is written for the global batch: batch normalisation sees all of it.
    cases = {
        "sgd": (networks.Small if on_jax else Plain, "sgd", False),
        "adam": (networks.Small if on_jax else Plain, "adam", False),
        "adversarial": (networks.Small if on_jax else Plain, "adam", True),
        # A scale at which neither half of a batch overflows: near the limit one of them may, where the whole does not.
        "float16": (Plain, "sgd", True, "mixed_float16", 2.0**8),
        # Every step overflows: the scale is halved three times, and nothing else happens.
        "overflow": (Plain, "sgd", False, "mixed_float16", 2.0**40, 1),
        # TensorFlow alone.
        "synchronized": (Synchronized, "sgd", True),
    }
    results = {}
    in_use = keras.distribution.distribution()
    for name in names:
        case = cases[name]
        if on_jax:
            keras.distribution.set_distribution(None)
        one_device = train(make_distribution(), *case)
        if on_jax:
            keras.distribution.set_distribution(in_use)
        for devices, values in (("one", one_device), ("two", train(two, *case))):
            results |= {f"{name}/{devices}/{what}": value for what, value in values.items()}
    np.savez(result_path, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
