"""Checkpoints: everything a killed run needs to go on, in one file that is whole or absent."""

import json
from pathlib import Path

import numpy as np
from keras import ops

from deblur_zoo.atomic_file import atomic_path


class OtherRun(ValueError):
    """The folder holds a run of another preset or recipe."""


def _variables(trainer):
    """Every variable of a run under a name of its own, in an order that does not change."""
    # ``variables``, not ``weights``: the random states of dropout are among them.
    groups = {
        "model": trainer.model.variables,
        "average": trainer.average.weights,
        "critic": trainer.critic.variables if trainer.critic is not None else [],
        "auxiliary": trainer.auxiliary.variables if trainer.auxiliary is not None else [],
        "optimizer": trainer.optimizer.variables,
        "step": [trainer.step],
    }
    return {f"{group}/{i}": variable for group, members in groups.items() for i, variable in enumerate(members)}


def save_checkpoint(path, trainer, progress):
    """Write all networks, the moving average, every player's optimiser, loss scale, schedule, random states, progress.

    Args:
        path: the file, ending in .npz.
        trainer: a RestorationTrainer within a stage.
        progress: dict that JSON can hold (stage, best score, ...).
    """
    arrays = {name: ops.convert_to_numpy(variable) for name, variable in _variables(trainer).items()}
    arrays["progress"] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def read_progress(path):
    """The progress dict of a checkpoint, or None where there is no file."""
    if not Path(path).is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return json.loads(arrays["progress"].tobytes().decode())


def restore_checkpoint(path, trainer):
    """Put a checkpoint's values into a trainer that has begun the same stage.

    Raises:
        OtherRun: the checkpoint is of another model, optimiser or stage.
    """
    variables = _variables(trainer)
    with np.load(path, allow_pickle=False) as arrays:
        for name, variable in variables.items():
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise OtherRun(
                    f"the checkpoint {path} does not fit this preset and recipe (at {name}); "
                    "continue with the ones that it was written with, or start in another folder"
                )
        for name, variable in variables.items():
            variable.assign(arrays[name])
