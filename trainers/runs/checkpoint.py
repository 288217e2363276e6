"""Checkpoints: everything needed to resume a killed run, written atomically with a checksum.

The last two are kept: the older one is used if the newest is damaged.
"""

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keras import ops

from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.zoo.weights import weight_bytes
from trainers.runs.errors import CannotWrite, DamagedCheckpoint, NonFiniteLoss, OtherRun

_CHECKSUM = "sha256"


@contextlib.contextmanager
def writing(path):
    """A context that reports a failure to write as ``CannotWrite``.

    Raises:
        CannotWrite: the block raised OSError.
    """
    try:
        yield
    except OSError as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise CannotWrite(
            f"{path} cannot be written ({reason}); the last good checkpoint is kept: free some space and run the same "
            "command to resume from it"
        ) from error


@contextlib.contextmanager
def whole_file(path):
    """``atomic_path`` for a file of a run; raises CannotWrite as ``writing`` does."""
    with writing(path), atomic_path(path) as temporary:
        yield temporary


def save_weights(model, path):
    """Write a model's weights as float32 ``.weights.h5``, atomically.

    Raises:
        CannotWrite: for example on a full disk.
    """
    content = weight_bytes(model)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def _variables(trainer):
    """Every variable of a run under a unique name, in a fixed order."""
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


def previous_path(path):
    """Path of the second newest checkpoint: checkpoint.previous.npz beside checkpoint.npz."""
    return Path(path).with_suffix(".previous.npz")


def save_checkpoint(path, trainer, progress):
    """Write all networks, the moving average, every player's optimiser, loss scale, schedule, random states, progress.

    Samples are numbered, so the position in the data follows from the progress.

    Args:
        path: the file, ending in .npz. The previous checkpoint is kept at ``previous_path``.
        trainer: a RestorationTrainer within a stage.
        progress: dict that JSON can hold (stage, best score, ...).

    Raises:
        NonFiniteLoss: a variable has NaN or infinite values; no file is written.
        CannotWrite: for example on a full disk; existing files stay.
    """
    path = Path(path)
    arrays = {name: ops.convert_to_numpy(variable) for name, variable in _variables(trainer).items()}
    # A gradient may overflow in the last step before a checkpoint, before any loss shows it.
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise NonFiniteLoss(
            f"a weight or an optimiser's state is not finite after step {int(trainer.step.numpy())}: the last good "
            "checkpoint is kept; a lower learning rate, a longer warm-up or float32 usually helps"
        )
    arrays["progress"] = np.frombuffer(json.dumps(progress).encode(), np.uint8)
    arrays[_CHECKSUM] = np.frombuffer(_checksum(arrays), np.uint8)
    with whole_file(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.replace(path, previous_path(path))


@dataclass(frozen=True)
class StoredState:
    """A verified checkpoint.

    Attributes:
        path: the file.
        arrays: dict from a variable's name to its value.
        progress: the dict that was saved with it.
    """

    path: Path
    arrays: dict
    progress: dict

    @property
    def step(self):
        """The number of steps at the checkpoint."""
        return int(self.arrays["step/0"])

    def restore(self, trainer):
        """Put the values into a trainer that has begun the same stage.

        Raises:
            OtherRun: the checkpoint is of another model, optimiser or stage; nothing is changed.
        """
        variables = _variables(trainer)
        for name, variable in variables.items():
            if name not in self.arrays or self.arrays[name].shape != tuple(variable.shape):
                raise OtherRun(
                    f"the checkpoint {self.path} does not fit this preset and recipe (at {name}); "
                    "continue with the original ones, or use another folder"
                )
        for name, variable in variables.items():
            variable.assign(self.arrays[name])


def read_checkpoint(path):
    """The newest intact checkpoint of a run.

    If the newest is damaged, the one before it is used, with a message on standard error.

    Args:
        path: as for ``save_checkpoint``.

    Returns:
        StoredState, or None if there is no checkpoint.

    Raises:
        DamagedCheckpoint: all checkpoints are damaged.
    """
    newest, problem = Path(path), None
    for path in (newest, previous_path(newest)):
        if not path.exists():
            continue
        try:
            stored = _read(path)
        except DamagedCheckpoint as error:
            problem = problem or error
            continue
        if problem:
            print(f"{problem}; resuming from the one before it, after step {stored.step}.", file=sys.stderr, flush=True)
            # Now: the next checkpoint would replace the previous one with the damaged one.
            os.replace(path, newest)
        return stored
    if problem:
        raise DamagedCheckpoint(f"{problem}, and there is no other to resume from: remove it to start from scratch")
    return None


def _read(path):
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            checksum = arrays.pop(_CHECKSUM).tobytes()
            if checksum != _checksum(arrays):
                raise ValueError("another checksum")
            progress = json.loads(arrays.pop("progress").tobytes().decode())
        # Whatever the readers of zip files and arrays raise on invalid bytes.
        except Exception as error:
            raise DamagedCheckpoint(f"the checkpoint {path} is truncated or was altered") from error
    return StoredState(path, arrays, progress)


def _checksum(arrays):
    """sha256 over names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.digest()
