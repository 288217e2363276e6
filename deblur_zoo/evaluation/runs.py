"""Measure methods on test sets, one row for each picture; what an earlier run measured is read, not measured again."""

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from deblur_zoo.evaluation.methods import BLURRED_INPUT, Method, inputs
from deblur_zoo.evaluation.protocols import TestSet
from deblur_zoo.files import pictures
from deblur_zoo.files.folder_lock import only_process
from deblur_zoo.files.resumable_folder import SETTINGS, ResumableFolder

FORMAT_VERSION = 3
KEYS = ("pair", "face", "group")
COLUMNS = (*KEYS, "numbers")
INPUTS = inputs()


@dataclass(frozen=True)
class Result:
    """A method on a test set.

    Attributes:
        method, test_set: as given.
        pictures: a row for each pair: "pair", "face" (of video, the clip) and "group", and a column for each number of
            ``measures``.
    """

    method: Method
    test_set: TestSet
    pictures: pd.DataFrame


def kernels_of(protocol, batch):
    """The kernels of a batch, a list of (K, K) float32, or None if the protocol has none."""
    return None if protocol.bank is None else [protocol.bank.kernel(kernel) for kernel in batch.kernels]


def run_all(methods, test_sets, measures, folder, batch_size=16, progress=False, beside=INPUTS):
    """Measure every method, and the blurred and sharp input, on every test set.

    Oracles are left out where a protocol has no kernels.

    Args:
        methods: list of ``Method``.
        test_sets: list of ``TestSet``.
        measures: list of the classes of ``measures``.
        folder: where rows are kept as they are measured; a run that breaks off is resumed from there.
        batch_size: pictures per forward pass.
        progress: show progress bars.
        beside: methods that are measured too.

    Returns:
        list of ``Result``: for each test set those of ``beside``, then those of ``methods``.

    Raises:
        ValueError: two methods of one name, a folder in use by another run, or as a method.
    """
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two methods are called {twice}: give one of them as NAME=PATH")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    with only_process(folder, ValueError(f"another run is measuring into {folder}")):
        for test_set in test_sets:
            fitting = [method for method in methods if not method.oracle or test_set.protocol.bank is not None]
            for name in set(names) - {method.name for method in fitting}:
                logging.getLogger(__name__).warning("%s: left out, as %s has no kernels", name, test_set.name)
            found += run([*beside, *fitting], test_set, measures, folder, batch_size, progress)
    return found


def run(methods, test_set, measures, folder, batch_size=16, progress=False):
    """Measure methods on one test set; see ``run_all``.

    Returns:
        list of ``Result``.
    """
    of = {
        "labels": _digest(test_set.labels),
        "measures": {measure.name: measure.of for measure in measures},
    }
    kept = {method.name: journal(folder, method, test_set, of) for method in methods}
    count = test_set.protocol.count(len(test_set.faces))
    missing = [method for method in methods if len(kept[method.name]) < count]
    # Each batch is blurred once for all methods, which takes as long as a small network.
    batches = test_set.protocol.batches(test_set.faces, batch_size) if missing else ()
    with tqdm(
        total=count * len(missing), unit="picture", desc=test_set.name, disable=None if progress else True
    ) as bar:
        for batch in batches:
            names = test_set.pair_names(batch)
            for method in missing:
                bar.set_postfix_str(method.name, refresh=False)
                if not kept[method.name].has(names):
                    restored = method.restore(batch, names, kernels_of(test_set.protocol, batch))
                    columns = {"pair": names, "face": test_set.units(batch), "group": [batch.group] * len(names)}
                    for measure in measures:
                        columns |= measure(test_set, batch, restored)
                    kept[method.name].add(columns)
                bar.update(len(names))
    return [Result(method, test_set, kept[method.name].read()) for method in methods]


def journal(folder, method, test_set, of, kind=""):
    """The rows of a method on a test set in a folder, to be read and added to.

    Args:
        folder, method, test_set: as for ``run``.
        of: what else the rows depend on.
        kind: begins the name of the rows' folder.

    Returns:
        ``_Rows``.
    """
    of = {
        "format_version": FORMAT_VERSION,
        "method": method.of,
        "protocol": test_set.protocol.describe(),
        "size": list(test_set.faces.shape[1:3]),
        # The data's fingerprint does not depend on names, but rows have them.
        "data": {**test_set.data, "names": hashlib.sha256("\n".join(test_set.stems).encode()).hexdigest()},
        **of,
    }
    return _Rows(Path(folder) / f"{kind and kind + '_'}{_folder_name(method, test_set)}", of)


def write_inputs(test_set, folder, batch_size=16, progress=False):
    """Write the blurred and sharp pictures of a test set, for another method to restore.

    Args:
        test_set: ``TestSet``.
        folder: gets ``blurred`` and ``sharp``, with PNG files of the pairs' names.

    Returns:
        number of pairs.
    """

    total = test_set.protocol.count(len(test_set.faces))
    with tqdm(total=total, unit="picture", disable=None if progress else True) as bar:
        for batch in test_set.protocol.batches(test_set.faces, batch_size):
            for name, *pair in zip(test_set.pair_names(batch), batch.blurred, batch.sharp, strict=True):
                for part, pixels in zip(("blurred", "sharp"), pair, strict=True):
                    path = Path(folder, part, f"{name}.png")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    pictures.write(path, pixels)
            bar.update(len(batch.faces))
    return total


class _Rows:
    """Rows that are kept as they are measured; those that depend on something else are deleted."""

    def __init__(self, path, of):
        self._folder = ResumableFolder(path, "measurements", of, COLUMNS)
        try:
            self._folder.open()
            rows = self._folder.read_report()
        except ValueError:
            # Never delete a folder that is not ours.
            if not (self._folder.path / SETTINGS).is_file():
                raise
            shutil.rmtree(self._folder.path)
            self._folder.open()
            rows = []
        self._folder.write_report(rows)
        self._rows = {row[0]: row for row in rows}

    def __len__(self):
        return len(self._rows)

    def has(self, names):
        return self._rows.keys() >= set(names)

    def add(self, columns):
        """Add rows.

        Args:
            columns: dict of column to a value for each row: those of ``KEYS``, which are text, and numbers.
        """
        numbers = {
            name: np.asarray(values, np.float64).tolist() for name, values in columns.items() if name not in KEYS
        }
        new = []
        for index, keys in enumerate(zip(*(columns[name] for name in KEYS), strict=True)):
            if keys[0] not in self._rows:
                new.append([*keys, json.dumps({name: values[index] for name, values in numbers.items()})])
        self._folder.append(new)
        self._rows |= {row[0]: row for row in new}

    def read(self):
        """The rows as a frame."""
        return pd.DataFrame([dict(zip(KEYS, row, strict=False)) | json.loads(row[-1]) for row in self._rows.values()])


def _folder_name(method, test_set):
    """A folder name that no other method has, whatever its characters."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in method.name)[:60]
    return f"{test_set.name}_{plain}_{hashlib.sha256(method.name.encode()).hexdigest()[:8]}"


def _digest(labels):
    return None if labels is None else hashlib.sha256(np.ascontiguousarray(labels)).hexdigest()


def frame_of(results):
    """All rows of results with the columns "method" and "protocol", and the gain over the blurred input in dB."""
    parts = []
    for result in results:
        parts.append(result.pictures.assign(method=result.method.name, protocol=result.test_set.name))
    frame = pd.concat(parts, ignore_index=True)
    blurred = frame[frame["method"] == BLURRED_INPUT].set_index(["protocol", "pair"])["psnr"]
    keys = pd.MultiIndex.from_frame(frame[["protocol", "pair"]])
    frame["gain"] = frame["psnr"].to_numpy() - blurred.reindex(keys).to_numpy()
    frame["made_worse"] = (frame["gain"] < 0).astype(float)
    return frame
