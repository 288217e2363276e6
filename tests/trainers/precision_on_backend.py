"""Steps in mixed precision on the backend that KERAS_BACKEND names: ``python precision_on_backend.py RESULT.npz``.

Run by test_precision.py in a process of its own.
"""

import sys
import tempfile
from pathlib import Path

import adversarial_on_backend as networks
import keras
import numpy as np
from keras import ops

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from trainers.runs.checkpoint import read_checkpoint, save_checkpoint  # noqa: E402
from trainers.steps.schedule import Schedule  # noqa: E402

# The gradients that enter the networks are these over 1728 values and over 144 scores: 6e-9 and 7e-9, where float16
# ends at 6e-8. Times the first scale of 32768 they are well within its range.
LOSSES, CRITIC_LOSSES = {"l1": 1e-5}, {"critic": 1e-6}
SCALES = {"generator": 2.0**40, "critic": 2.0**15}


class Content(networks.AdversarialMethod):
    def terms(self, batch, outputs, trainer):
        return {"l1": super().terms(batch, outputs, trainer)["l1"]}


def build(precision, loss_scaling, momentum=0.0):
    trainer = networks.build_trainer("wasserstein", precision)
    rates = {"peak": 0.1, "steps": 10, "decay": "constant"}
    trainer.start_stage(
        Content(LOSSES, CRITIC_LOSSES),
        networks.RecordingSGD(momentum=momentum),
        Schedule(**rates),
        networks.RecordingSGD(momentum=momentum),
        Schedule(**rates),
        train=["first", "second"],
        loss_scaling=loss_scaling,
    )
    return trainer


def step(trainer):
    rng = np.random.default_rng(2)
    batch = tuple(rng.integers(0, 256, (2, 3, 12, 16, 3), dtype=np.uint8))
    trainer.fit((batch for _ in range(1)), steps_per_epoch=1, epochs=1, verbose=0, shuffle=False)


def state(trainer):
    """Weights of the players, their inner optimisers' variables and their scales."""
    found = {"step": trainer.step.numpy()}
    for name in networks.PARTS:
        found |= {f"{name}_{i}": value for i, value in enumerate(networks.part(trainer, name).get_weights())}
    for player, optimizer in trainer.optimizer.inner.items():
        found |= {f"inner_{player}_{i}": ops.convert_to_numpy(v) for i, v in enumerate(optimizer.variables)}
    for player, optimizer in trainer.optimizer.players.items():
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            found[f"scale_{player}"] = ops.convert_to_numpy(optimizer.dynamic_scale)
    return {name: np.array(value) for name, value in found.items()}


def main(result_path):
    results = {}
    for precision, loss_scaling in (
        ("float32", False), ("mixed_bfloat16", False), ("mixed_float16", True), ("mixed_float16", False)
    ):  # fmt: skip
        trainer = build(precision, loss_scaling)
        step(trainer)
        case = f"{precision}{'_unscaled' if precision == 'mixed_float16' and not loss_scaling else ''}"
        for player, optimizer in trainer.optimizer.inner.items():
            results |= {f"{case}/{player}_{i}": ops.convert_to_numpy(g) for i, g in enumerate(optimizer.gradients)}

    trainer = build("mixed_float16", True, momentum=0.9)
    step(trainer)
    for player, scale in SCALES.items():
        trainer.optimizer.players[player].dynamic_scale.assign(scale)
    results |= {f"before/{name}": value for name, value in state(trainer).items()}
    step(trainer)
    results |= {f"overflow/{name}": value for name, value in state(trainer).items()}
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "checkpoint.npz", trainer, {})
        resumed = build("mixed_float16", True, momentum=0.9)
        read_checkpoint(Path(folder) / "checkpoint.npz").restore(resumed)
    results |= {f"resumed/{name}": value for name, value in state(resumed).items()}
    # With a scale at which steps are taken again, the resumed training goes the same way.
    for name, either in (("went_on", trainer), ("resumed_went_on", resumed)):
        either.optimizer.players["generator"].dynamic_scale.assign(2.0**15)
        step(either)
        results |= {f"{name}/{what}": value for what, value in state(either).items()}
    np.savez(result_path, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
