"""Weight files: Keras' ``.weights.h5``, stored as float16, checked before anything is taken from them."""

import math
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np

from deblur_zoo.files.atomic_file import atomic_path

# A compiled model's file also holds its optimiser, which is no part of the network.
_OPTIMIZER = "optimizer"
# Names of layers in older files to today's: PyTorch's modules have methods of the older names.
_RENAMED = {"half": "half_scale", "double": "doubling"}


def save_weights_float16(model, path):
    """Write a built model's weights with every float rounded to float16; complete or not at all.

    The same weights give the same bytes, and ``load_weights`` or Keras' own reader takes the file. float16 rounds
    to 11 significant bits: half the size for an error of at most 0.05 % a weight.

    Args:
        model: a built ``keras.Model``.
        path: a path that ends in ``.weights.h5``.

    Raises:
        ValueError: another ending, a weight that is NaN, infinite, or too large for float16 (65,504), or one that
            Keras does not write.
    """
    path = Path(path)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"A weight file's name ends in .weights.h5, unlike {path.name!r}.")
    with tempfile.TemporaryDirectory() as folder, atomic_path(path) as temporary:
        full = Path(folder, "full.weights.h5")
        model.save_weights(full)
        with h5py.File(full, "r") as source, h5py.File(temporary, "w") as target:
            expected, written = _count(model), _stored(_plain_datasets(source, full))
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


def load_weights(model, path):
    """Fill a built model from a ``.weights.h5`` file of float16 or float32.

    Before Keras reads it, the file is searched for what could reach outside it (soft and external links, virtual
    datasets, external storage), for data that are no plain numbers, and for NaN; and its floats are counted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a weight file, damaged, of another network, with NaN or infinite weights, or one that Keras does
            not take as a whole.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weight file {path}.")
    expected, power = _count(model), 0.0
    try:
        with h5py.File(path, "r") as file:
            datasets = _plain_datasets(file, path)
            # Counting reads no data, so a file that declares terabytes is refused before they are asked for.
            found = _stored(datasets)
            if found != expected:
                raise ValueError(
                    f"{path} holds {found:,} weights, the network {model.name!r} has {expected:,}: "
                    "the file belongs to another network or other arguments."
                )
            for dataset in datasets:
                if dataset.dtype.kind == "f":
                    values = dataset[()]
                    if not np.isfinite(values).all():
                        raise ValueError(f"{path} holds NaN or infinite weights (in {dataset.name}).")
                    power += _power(values)
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} is not a weight file that can be read: it is damaged or no HDF5.") from error
    try:
        with tempfile.TemporaryDirectory(prefix="deblur_zoo_") as folder:
            copy = Path(shutil.copyfile(path, Path(folder, "copy.weights.h5")))
            _rename_layers(copy)
            model.load_weights(copy)
    except (ValueError, KeyError, OSError) as error:
        reason = str(error).strip("'\"").split("\n")[0]
        raise ValueError(f"{path} does not fit the network {model.name!r}: {reason}") from error
    # Keras below 3.15 leaves the layers of lists of lists as they were and says nothing.
    if not math.isclose(sum(_power(weight.numpy()) for weight in _floats(model)), power, rel_tol=1e-4, abs_tol=1e-12):
        raise ValueError(f"Keras did not take all weights of {path} into the network {model.name!r}.")


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
                raise ValueError(f"{path} holds a link ({name}), which a weight file must not.")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ValueError(f"{path} holds {name} twice, which a weight file must not.")
            seen.add(address)
            if isinstance(item, h5py.Group):
                if item.name != f"/{_OPTIMIZER}":
                    groups.append(item)
            elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub" or item.shape is None:
                raise ValueError(f"{path} holds something that is not numbers ({name}).")
            elif item.is_virtual or item.external:
                raise ValueError(f"{path} keeps data outside itself ({name}), which a weight file must not.")
            else:
                datasets.append(item)
    return datasets
