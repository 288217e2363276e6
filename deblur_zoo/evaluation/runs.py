"""Measure methods on test sets, one row for each picture; what an earlier run measured is read, not measured again."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from deblur_zoo.evaluation.methods import BLURRED_INPUT, Method, inputs
from deblur_zoo.evaluation.protocols import TestSet
from deblur_zoo.files.atomic_file import atomic_path

FORMAT_VERSION = 1
KEYS = ("pair", "face", "group")


@dataclass(frozen=True)
class Result:
    """A method on a test set.

    Attributes:
        method, test_set: as given.
        pictures: a row for each pair: "pair", "face" and "group", and a column for each number of ``measures``.
    """

    method: Method
    test_set: TestSet
    pictures: pd.DataFrame


def kernels_of(protocol, batch):
    """The kernels of a batch, a list of (K, K) float32, or None if the protocol has none."""
    return None if protocol.bank is None else [protocol.bank.kernel(kernel) for kernel in batch.kernels]


def run_all(methods, test_sets, measures, folder, batch_size=16, progress=False):
    """Measure every method, and the blurred and sharp input, on every test set.

    Oracles are left out where a protocol has no kernels.

    Args:
        methods: list of ``Method``.
        test_sets: list of ``TestSet``.
        measures: list of the classes of ``measures``.
        folder: where rows are kept as they are measured; a run that breaks off is resumed from there.
        batch_size: pictures per forward pass.
        progress: show progress bars.

    Returns:
        list of ``Result``.

    Raises:
        ValueError: two methods of one name, a folder in use by another run, or as a method.
    """
    names = [method.name for method in methods]
    if len(set(names)) < len(names):
        raise ValueError(f"two methods are called {next(name for name in names if names.count(name) > 1)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"another run is measuring into {folder}") from None
    with lock:
        for test_set in test_sets:
            for method in [*inputs(), *methods]:
                if method.of.get("method") in ("wiener", "richardson_lucy") and test_set.protocol.bank is None:
                    logging.getLogger(__name__).warning(
                        "%s: left out, as %s has no kernels", method.name, test_set.name
                    )
                    continue
                found.append(run(method, test_set, measures, folder, batch_size, progress))
    return found


def run(method, test_set, measures, folder, batch_size=16, progress=False):
    """Measure one method on one test set; see ``run_all``.

    Returns:
        ``Result``.
    """
    from tqdm import tqdm

    of = {
        "labels": _digest(test_set.labels),
        "measures": {measure.name: measure.of for measure in measures},
    }
    rows = journal(folder, method, test_set, of)
    total = test_set.protocol.count(len(test_set.faces))
    title = f"{test_set.name}: {method.name}"
    with tqdm(total=total, unit="picture", desc=title, disable=None if progress else True) as bar:
        for batch in test_set.protocol.batches(test_set.faces, batch_size):
            names = test_set.pair_names(batch)
            if not rows.has(names):
                restored = method.restore(batch, names, kernels_of(test_set.protocol, batch))
                columns = {"pair": names, "face": test_set.face_names(batch), "group": [str(batch.group)] * len(names)}
                for measure in measures:
                    columns |= measure(test_set, batch, restored)
                rows.add(pd.DataFrame(columns))
            bar.update(len(names))
    return Result(method, test_set, rows.read())


def journal(folder, method, test_set, of, kind=""):
    """The rows of a method on a test set in a folder, to be read and added to.

    Args:
        folder, method, test_set: as for ``run``.
        of: what else the rows depend on.
        kind: begins the file's name.

    Returns:
        ``_Rows``.
    """
    of = {
        "format_version": FORMAT_VERSION,
        "method": method.of,
        "protocol": test_set.protocol.describe(),
        "size": list(test_set.faces.shape[1:3]),
        "data": test_set.data,
        **of,
    }
    return _Rows(Path(folder) / f"{kind and kind + '_'}{_file_name(method, test_set)}", json.loads(json.dumps(of)))


def write_inputs(test_set, folder, batch_size=16, progress=False):
    """Write the blurred and sharp pictures of a test set, for another method to restore.

    Args:
        test_set: ``TestSet``.
        folder: gets ``blurred`` and ``sharp``, with PNG files of the pairs' names.

    Returns:
        number of pairs.
    """
    from tqdm import tqdm

    from deblur_zoo.files import pictures

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
    """Rows in a CSV file that grows by batches; a new file if the old one depends on something else."""

    def __init__(self, path, of):
        self._path, about = path, path.with_suffix(".json")
        if not self._path.is_file() or not about.is_file() or _read_json(about) != of:
            self._path.unlink(missing_ok=True)
            with atomic_path(about) as temporary:
                temporary.write_text(json.dumps(of, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            self._known = set()
            return
        # A run that broke off may have left half a row.
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with atomic_path(self._path) as temporary:
                temporary.write_bytes(whole)
        self._known = set(self.read()["pair"]) if whole else set()

    def _written(self):
        return self._path.is_file() and self._path.stat().st_size > 0

    def has(self, names):
        return self._known.issuperset(names)

    def add(self, frame):
        frame = frame[~frame["pair"].isin(self._known)]
        frame.to_csv(self._path, mode="a", header=not self._written(), index=False)
        self._known.update(frame["pair"])

    def read(self):
        # Names such as "nan" stay names; other empty cells are missing numbers.
        frame = pd.read_csv(self._path, dtype=str, keep_default_na=False)
        return frame.apply(
            lambda column: column if column.name in KEYS else column.replace("", "nan").astype(np.float64)
        )


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _file_name(method, test_set):
    """A file name that no other method has, whatever its characters."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in method.name)[:60]
    return f"{test_set.name}_{plain}_{hashlib.sha256(method.name.encode()).hexdigest()[:8]}.csv"


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
