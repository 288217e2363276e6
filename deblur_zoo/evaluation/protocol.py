"""Which faces are blurred by which kernels, with which noise: the same on every machine."""

from dataclasses import dataclass, field

import numpy as np

from deblur_zoo.blur.kernels import KernelBank, standard_test_bank
from deblur_zoo.data.synthesis import degrade


def as_float(images):
    """uint8 to float32 in [0, 1]."""
    return images.astype(np.float32) / 255


@dataclass(frozen=True)
class Batch:
    """Blurred and sharp faces.

    Attributes:
        sharp, blurred: uint8 (N, S, S, 3), RGB.
        faces: int (N,), index of each face.
        group: the table row that the batch belongs to, such as the kernel size.
        kernels: int (N,), index of each kernel in the bank, or None if the protocol has no bank.
    """

    sharp: np.ndarray
    blurred: np.ndarray
    faces: np.ndarray
    group: str
    kernels: np.ndarray | None = None


@dataclass(frozen=True)
class KernelSizes:
    """Every face is blurred by kernels of every size in the bank, noise is added, and the result rounded to 8 bits.

    True convolution, mirrored border (REFLECT_101), then Gaussian noise, clipping and rounding, as a camera would.
    Face i gets kernels i, i + 1, ..., i + kernels_per_size - 1, modulo their number, of every size.

    Attributes:
        kernels_per_size: kernels of each size per face.
        sigma: standard deviation of the noise on the [0, 1] scale.
        noise_seed: the noise of a pair depends only on this, the face's index and the kernel's index.
        bank: the kernels.

    Raises:
        ValueError: fewer kernels of a size than ``kernels_per_size``, or a sigma below 0.
    """

    kernels_per_size: int = 1
    sigma: float = 0.01
    noise_seed: int = 2020
    bank: KernelBank = field(default_factory=standard_test_bank)

    name = "kernel sizes"

    def __post_init__(self):
        fewest = min(len(self.bank.of_size(size)) for size in self.sizes)
        if not 1 <= self.kernels_per_size <= fewest:
            raise ValueError(f"kernels_per_size must be between 1 and {fewest}, got {self.kernels_per_size}")
        if not 0 <= self.sigma <= 1:
            raise ValueError(f"sigma must be between 0 and 1, got {self.sigma}")

    @property
    def sizes(self):
        """The bank's kernel sizes in ascending order."""
        return [int(size) for size in np.unique(self.bank.sizes)]

    @property
    def groups(self):
        """The kernel sizes as names of table rows."""
        return list(map(str, self.sizes))

    def count(self, face_count):
        """Number of pairs for a number of faces."""
        return face_count * len(self.sizes) * self.kernels_per_size

    def batches(self, faces, batch_size=16):
        """Blurred and sharp faces, ordered by kernel size.

        Args:
            faces: uint8 (N, S, S, 3), RGB.
            batch_size: the largest batch; a batch has only one kernel size.

        Yields:
            ``Batch``.
        """
        for size in self.sizes:
            of_size = self.bank.of_size(size)
            face_indices = np.tile(np.arange(len(faces)), self.kernels_per_size)
            turns = np.repeat(np.arange(self.kernels_per_size), len(faces))
            kernel_indices = of_size[(face_indices + turns) % len(of_size)]
            for start in range(0, len(face_indices), batch_size):
                part = slice(start, start + batch_size)
                chosen = face_indices[part], kernel_indices[part]
                yield Batch(faces[chosen[0]], self.blur(faces, *chosen), chosen[0], str(size), chosen[1])

    def pair(self, faces, group, index):
        """Pair ``index`` of the kernel size ``group``: (sharp, blurred), uint8 (S, S, 3)."""
        of_size = self.bank.of_size(int(group))
        turn, face = divmod(index, len(faces))
        return faces[face], self.blur(faces, [face], [of_size[(face + turn) % len(of_size)]])[0]

    def blur(self, faces, face_indices, kernel_indices):
        """Blurred faces of some pairs.

        Args:
            faces: uint8 (N, S, S, 3), all faces.
            face_indices, kernel_indices: int (M,).

        Returns:
            uint8 (M, S, S, 3).
        """
        # The noise of a pair does not depend on the batch.
        return np.stack(
            [
                degrade(
                    faces[face],
                    self.bank.kernel(kernel),
                    self.sigma,
                    np.random.default_rng([self.noise_seed, face, kernel]),
                )
                for face, kernel in zip(face_indices, kernel_indices, strict=True)
            ]
        )

    def describe(self):
        """The protocol as a dictionary for metrics.json."""
        return {
            "name": self.name,
            "kernel_kind": self.bank.kind,
            "kernel_split": self.bank.split,
            "kernel_seed": self.bank.seed,
            "kernels": len(self.bank),
            "kernel_sizes": self.sizes,
            "kernels_per_size_and_face": self.kernels_per_size,
            "convolution": "true convolution, border mirrored (REFLECT_101)",
            "noise_sigma": self.sigma,
            "noise_seed": self.noise_seed,
            "input_bits": 8,
        }
