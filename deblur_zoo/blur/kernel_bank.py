"""A bank of blur kernels and its file."""

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np

from deblur_zoo.files.atomic_file import atomic_path

FORMAT_VERSION = 1
SPLITS = ("train", "test")


class KernelBank:
    """Blur kernels of several sizes in one array.

    Attributes:
        kernels: (N, K, K) float32, K odd; kernel i of size s starts at row and column K // 2 - s // 2, surrounded by
            zeros, so that its centre pixel s // 2 coincides with the middle pixel K // 2.
        sizes: (N,) int32, each kernel's own size before padding.
        kind: the motion model.
        seed: the random seed.
        split: "train" or "test".
    """

    def __init__(self, kernels, sizes, kind, seed, split):
        """Raises ValueError if shapes disagree, K is even, a size exceeds K, or a kernel does not sum to 1 (1e-4)."""
        kernels = np.asarray(kernels, np.float32)
        sizes = np.asarray(sizes, np.int32)
        if kernels.ndim != 3 or len(kernels) == 0 or kernels.shape[1] != kernels.shape[2] or kernels.shape[1] % 2 == 0:
            raise ValueError(
                f"A kernel bank needs kernels of shape (N, K, K) with N >= 1 and K odd, got {kernels.shape}."
            )
        if sizes.shape != (len(kernels),):
            raise ValueError(f"A kernel bank of {len(kernels)} kernels needs as many sizes, got shape {sizes.shape}.")
        if sizes.min() < 1 or sizes.max() > kernels.shape[1]:
            raise ValueError(f"Kernel sizes must be between 1 and the padded size {kernels.shape[1]}.")
        # Written so that NaN fails too.
        if not (np.abs(kernels.sum(axis=(1, 2), dtype=np.float64) - 1) <= 1e-4).all():
            raise ValueError("Every kernel of a bank must sum to 1.")
        if split not in SPLITS:
            raise ValueError(f"A kernel bank's split must be one of {', '.join(SPLITS)}, got {split!r}.")
        self.kernels, self.sizes = kernels, sizes
        self.kind, self.seed, self.split = str(kind), int(seed), str(split)

    def __len__(self):
        return len(self.kernels)

    def kernel(self, index):
        """Kernel ``index`` without its padding: (s, s) float32."""
        size = int(self.sizes[index])
        start = self.kernels.shape[1] // 2 - size // 2
        return self.kernels[index, start : start + size, start : start + size]

    def of_size(self, size):
        """Indices of the kernels of a given size, (M,) int64."""
        return np.flatnonzero(self.sizes == size)

    def save(self, path):
        """Write an .npz file atomically."""
        path = Path(path)
        if path.suffix != ".npz":
            raise ValueError(f"The file name of a kernel bank must end in .npz, got {path.name!r}.")
        with atomic_path(path) as temporary:
            np.savez_compressed(
                temporary,
                format_version=np.int64(FORMAT_VERSION),
                kernels=self.kernels,
                sizes=self.sizes,
                kind=np.array(self.kind),
                seed=np.int64(self.seed),
                split=np.array(self.split),
            )

    def describe(self):
        """Sizes and shapes of the kernels in a few lines, with 10th, 50th and 90th percentiles."""
        spans, touched, brightest = [], [], []
        for index, size in enumerate(self.sizes.tolist()):
            kernel = self.kernel(index)
            rows, columns = np.nonzero(kernel)
            spans.append((max(np.ptp(rows), np.ptp(columns)) + 1) / size)
            touched.append(len(rows) / size)
            brightest.append(kernel.max())
        sizes = ", ".join(map(str, sorted(set(self.sizes.tolist()))))
        lines = [f"{len(self)} kernels ({self.kind}, {self.split}, seed {self.seed}) of sizes {sizes}"]
        for name, values in (
            ("longer side / size", spans),
            ("pixels touched / size", touched),
            ("brightest pixel's weight", brightest),
        ):
            lines.append(f"{name}: " + ", ".join(f"{value:.2f}" for value in np.percentile(values, [10, 50, 90])))
        return "\n".join([*lines, f"digest: {self.digest()}"])

    def digest(self):
        """SHA-256 of the kernels and their sizes, in hexadecimal; the same for equal banks on every machine."""
        content = self.sizes.astype("<i4").tobytes() + self.kernels.astype("<f4").tobytes()
        return hashlib.sha256(content).hexdigest()

    @classmethod
    def load(cls, path):
        """Read a bank written by ``save``; nothing is unpickled.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: it is not a kernel bank, is damaged, or has a newer format.
        """
        if not os.path.isfile(path):
            raise FileNotFoundError(f"Kernel bank {path} does not exist; make one with python -m deblur_zoo.blur.")
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {name: file[name] for name in file.files}
            version = int(content.pop("format_version"))
            kind, seed, split = str(content["kind"]), int(content["seed"]), str(content["split"])
            kernels, sizes = content["kernels"], content["sizes"]
        except (AttributeError, EOFError, KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged or was not written by python -m deblur_zoo.blur.") from error
        if version > FORMAT_VERSION:
            raise ValueError(f"{path} has format {version}; this version of deblur_zoo reads up to {FORMAT_VERSION}.")
        return cls(kernels, sizes, kind, seed, split)

    @classmethod
    def from_kernels(cls, kernels, kind, seed, split):
        """A bank of square kernels (s, s) of any sizes, padded to the smallest odd size that fits them all."""
        sizes = np.array([len(kernel) for kernel in kernels], np.int32)
        padded_size = int(sizes.max()) // 2 * 2 + 1
        padded = np.zeros((len(kernels), padded_size, padded_size), np.float32)
        for index, kernel in enumerate(kernels):
            start = padded_size // 2 - len(kernel) // 2
            padded[index, start : start + len(kernel), start : start + len(kernel)] = kernel
        return cls(padded, sizes, kind, seed, split)


def count_shared(first, second):
    """How many kernels of one bank also occur in another (all weights equal, ignoring padding)."""
    known = {second.kernel(index).tobytes() for index in range(len(second))}
    return sum(first.kernel(index).tobytes() in known for index in range(len(first)))
