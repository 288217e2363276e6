"""Weight files: Keras' ``.weights.h5``, stored as float16, checked before they are loaded."""

import collections
import io
import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from deblur_zoo.annotations import StrPath
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.checksum import sha256_of

if TYPE_CHECKING:
    import keras

# What a file has at most for each weight: float32 and the states of an optimiser; and beside them, names and groups.
_BYTES_PER_WEIGHT, _LARGEST_OVERHEAD = 32, 64 << 20
# A compiled model's file also has its optimiser, which is not part of the network.
_OPTIMIZER = "optimizer"
# Names of layers in older files to today's: PyTorch's modules have methods of the older names.
_RENAMED = {"half": "half_scale", "double": "doubling"}


class _Refused(ValueError):
    """A weight file is rejected; the text says why."""


class _Memory(io.BytesIO):
    """A file in memory for Keras, which looks at a file's name."""

    def __str__(self):
        return "memory.weights.h5"


def weight_bytes(model):
    """A model's weights as the bytes of a ``.weights.h5`` file.

    HDF5 ends the process with a segmentation fault if the disk is full, so it writes to memory, and the bytes are
    written to disk afterwards.
    """
    file = _Memory()
    model.save_weights(file)
    return file.getvalue()


def save_weights_float16(model: "keras.Model", path: StrPath) -> None:
    """Write a built model's weights with every float rounded to float16, atomically.

    The same weights give the same bytes, and ``load_weights`` or Keras' own reader takes the file. float16 rounds
    to 11 significant bits: half the size for an error of at most 0.05 % per weight.

    Args:
        model: a built ``keras.Model``.
        path: a path that ends in ``.weights.h5``.

    Raises:
        ValueError: another ending, a weight that is NaN, infinite, or too large for float16 (65,504), or one that
            Keras does not write.
    """
    path = Path(path)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"A weight file's name must end in .weights.h5, got {path.name!r}.")
    half = io.BytesIO()
    with h5py.File(io.BytesIO(weight_bytes(model)), "r") as source, h5py.File(half, "w") as target:
        expected, written = _count(model), _stored(_plain_datasets(source, path))
        if written != expected:
            # Lists of lists of layers, below Keras 3.15.
            raise ValueError(f"Keras wrote {written:,} of the {expected:,} weights of {model.name!r}.")

        def copy(name, item):
            if name.split("/")[0] == _OPTIMIZER:
                return
            if isinstance(item, h5py.Group):
                copied = target.create_group(name)
            else:
                values = item[()]
                if item.dtype.kind == "f":
                    with np.errstate(over="ignore"):
                        values = values.astype(np.float16)
                    if not np.isfinite(values).all():
                        raise ValueError(f"The weight {name} holds NaN, infinity or a value above 65,504.")
                copied = target.create_dataset(name, data=values)
            copied.attrs.update(item.attrs)

        source.visititems(copy)
    with atomic_path(path) as temporary:
        temporary.write_bytes(half.getvalue())


def load_weights(model: "keras.Model", path: StrPath, sha256: str | None = None) -> None:
    """Fill a built model from a ``.weights.h5`` file of float16 or float32.

    Before Keras reads it, the file is searched for what could reach outside it (soft and external links, virtual
    datasets, external storage), for data that are not plain numbers or are compressed, and for NaN; and its shapes are
    compared with the network's. Keras reads a private copy of the file, so that it cannot change in between.

    Args:
        model: a built ``keras.Model``.
        path: the file.
        sha256: expected digest in lower-case hexadecimal; None: any.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not a weight file, damaged, of another network, with NaN or infinite weights, or one that Keras does
            not take as a whole.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weight file {path}.")
    expected = _count(model)
    if path.stat().st_size > _LARGEST_OVERHEAD + _BYTES_PER_WEIGHT * expected:
        raise ValueError(f"{path} is larger than any weight file of the network {model.name!r}.")
    with tempfile.TemporaryDirectory(prefix="deblur_zoo_") as folder:
        copy = Path(shutil.copyfile(path, Path(folder, "copy.weights.h5")))
        if sha256 is not None and sha256_of(copy) != sha256:
            raise ValueError(f"The weight file {path} is damaged or was altered: its sha256 is not the recorded one.")
        _load_copy(model, copy, path)


def _load_copy(model, copy, path):
    """As ``load_weights``, from a file that nobody else changes; ``path`` is what messages call it."""
    expected, power = _count(model), 0.0
    try:
        with h5py.File(copy, "r") as file:
            datasets = _plain_datasets(file, path)
            # Counting reads no data, so a file that declares terabytes is refused before they are asked for.
            found = _stored(datasets)
            if found != expected:
                raise _Refused(
                    f"{path} holds {found:,} weights, the network {model.name!r} has {expected:,}: "
                    "the file belongs to another network or other arguments."
                )
            _check_shapes(model, datasets, path)
            for dataset in datasets:
                if dataset.dtype.kind == "f":
                    values = dataset[()]
                    if not np.isfinite(values).all():
                        raise _Refused(f"{path} holds NaN or infinite weights (in {dataset.name}).")
                    power += _power(values)
    except _Refused:
        raise
    # h5py raises about ten kinds of exceptions on invalid bytes.
    except Exception as error:
        raise ValueError(f"{path} is not a weight file that can be read: it is damaged, or not HDF5.") from error
    try:
        _rename_layers(copy)
        model.load_weights(copy)
    except Exception as error:
        reason = str(error).strip("'\"").split("\n")[0]
        raise ValueError(f"{path} does not fit the network {model.name!r}: {reason}") from error
    # Keras below 3.15 leaves the layers of lists of lists as they were and says nothing.
    if not math.isclose(sum(_power(weight.numpy()) for weight in _floats(model)), power, rel_tol=1e-4, abs_tol=1e-12):
        raise ValueError(f"Keras did not take all weights of {path} into the network {model.name!r}.")


def _check_shapes(model, datasets, path):
    """Refuse other shapes than the network's, which Keras would read before it found them wrong."""
    floats = collections.Counter(dataset.shape for dataset in datasets if dataset.dtype.kind == "f")
    if floats != collections.Counter(tuple(weight.shape) for weight in _floats(model)):
        raise _Refused(f"{path} does not fit the network {model.name!r}: it holds weights of other shapes.")
    # Counters and the states of random generators.
    others = {tuple(variable.shape) for variable in model.variables if "float" not in str(variable.dtype)}
    for dataset in datasets:
        if dataset.dtype.kind != "f" and dataset.shape not in others:
            raise _Refused(
                f"{path} does not fit the network {model.name!r}: {dataset.name} holds {dataset.dtype} of shape "
                f"{dataset.shape}."
            )


def _rename_layers(copy):
    """Give the layers of an older file today's names; ``copy`` is a file of our own."""
    with h5py.File(copy, "r+") as file:
        names = []
        file.visit(names.append)
        # The deepest first, so that the names of the others still hold.
        for name in sorted(names, key=len, reverse=True):
            parent, _, last = name.rpartition("/")
            if last in _RENAMED and isinstance(file[name], h5py.Group):
                file.move(name, f"{parent}/{_RENAMED[last]}")


def _floats(model):
    return [weight for weight in model.weights if "float" in str(weight.dtype)]


def _count(model):
    return sum(int(np.prod(weight.shape)) for weight in _floats(model))


def _stored(datasets):
    """How many floats datasets hold; reads none of them."""
    return sum(dataset.size for dataset in datasets if dataset.dtype.kind == "f")


def _power(values):
    """The sum of squares; rounding to bfloat16, random as it is, changes it by far less than 1e-4."""
    return float(np.square(values.astype(np.float64)).sum())


def _plain_datasets(file, path):
    """All datasets outside the optimiser; raises ValueError on whatever is not plain numbers in this file."""
    datasets, groups, seen = [], [file], set()
    while groups:
        group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _Refused(f"{path} holds a link ({name}), which a weight file must not.")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise _Refused(f"{path} holds {name} twice, which a weight file must not.")
            seen.add(address)
            if isinstance(item, h5py.Group):
                if item.name != f"/{_OPTIMIZER}":
                    groups.append(item)
            elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub" or item.shape is None:
                raise _Refused(f"{path} holds something that is not numbers ({name}).")
            elif item.is_virtual or item.external:
                raise _Refused(f"{path} keeps data outside itself ({name}), which a weight file must not.")
            elif item.chunks is not None or item.id.get_create_plist().get_nfilters():
                # A few bytes could become gigabytes; Keras writes neither.
                raise _Refused(f"{path} holds chunked or compressed data ({name}), which a weight file must not.")
            else:
                datasets.append(item)
    return datasets
