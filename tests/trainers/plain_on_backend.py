"""Training steps without a critic on whatever backend KERAS_BACKEND names; see steps_on_backend.py."""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deblur_zoo.models.one_step import OneStep  # noqa: E402
from trainers.methods.one_step import OneStepMethod  # noqa: E402
from trainers.steps.engines import trainer_class  # noqa: E402
from trainers.steps.schedule import Schedule  # noqa: E402

ARGUMENTS = {
    "width": 6,
    "reduced_width": 4,
    "modules": 1,
    "kernel_sizes": (1, 3),
    "scale": 2,
    "channel_attention": True,
}
STEPS = 3


def features(images):
    """Stands for an identity network: a fixed, smooth function of the image."""
    return ops.concatenate([ops.mean(images, axis=(1, 2)), ops.mean(ops.square(images), axis=(1, 2))], axis=-1)


def main(batch_path, result_path):
    with np.load(batch_path) as batch:
        blurred, sharp = batch["blurred"], batch["sharp"]
        weights = [batch[f"weight_{i}"] for i in range(len(batch.files) - 2)]
    trainer = trainer_class()(OneStep(**ARGUMENTS), OneStep(**ARGUMENTS), decay=0.9)
    trainer.model.set_weights(weights)
    trainer.average.set_weights(weights)
    losses = {"l2": 1.0, "total_variation": 0.1, "facial": 0.05}
    method = OneStepMethod(losses, networks={"identity": features}, facial_share=0.5)
    schedule = Schedule(peak=0.1, steps=10, decay="exponential", rate=0.5, every=2)
    trainer.start_stage(method, keras.optimizers.SGD(), schedule)
    history = trainer.fit(
        ((blurred, sharp) for _ in range(STEPS)), steps_per_epoch=1, epochs=STEPS, verbose=0, shuffle=False
    ).history
    results = {f"history_{name}": values for name, values in history.items()}
    for name, model in (("model", trainer.model), ("average", trainer.average)):
        results |= {f"{name}_{i}": value for i, value in enumerate(model.get_weights())}
    np.savez(result_path, step=int(trainer.step), **results)
