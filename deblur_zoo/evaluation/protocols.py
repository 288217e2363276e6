"""The papers' protocols by name, as test sets: pictures, what blurs them, and what they stand beside."""

from dataclasses import dataclass, field

import numpy as np

from deblur_zoo.blur.kernels import SHEN_SIZES, make_bank
from deblur_zoo.evaluation.camera_protocol import REAL_MOTION, CameraProtocol
from deblur_zoo.evaluation.faces import name_of
from deblur_zoo.evaluation.given_pairs import GivenPairs
from deblur_zoo.evaluation.protocol import Batch, KernelSizes

SEED = 2020
# The part of the canonical crop that one_step takes: 112x96 pixels.
ONE_STEP_REGION = (slice(8, 120), slice(16, 112))


@dataclass(frozen=True)
class Option:
    """A protocol as it is offered.

    Attributes:
        meaning: in words, with the difference from the paper.
        make: function of (kernels per size or None, sigma or None) that gives the protocol; None: needs pairs.
        region: the part of the canonical crop, (rows, columns), or None for all of it.
    """

    meaning: str
    make: object
    region: tuple | None = None


class SharpFaces:
    """Sharp faces as they are, without blur or noise: a model should return them unchanged."""

    name, bank, groups = "sharp in", None, ["sharp"]

    def count(self, face_count):
        """Number of pairs for a number of faces."""
        return face_count

    def batches(self, faces, batch_size=16):
        """As ``KernelSizes.batches``."""
        for start in range(0, len(faces), batch_size):
            part = np.arange(start, min(start + batch_size, len(faces)))
            yield Batch(faces[part], faces[part], part, "sharp")

    def describe(self):
        """The protocol as a dictionary."""
        return {"name": self.name}


def _kernels(per_size, sigma, bank=None):
    def make(asked_per_size, asked_sigma):
        chosen = {} if bank is None else {"bank": bank()}
        return KernelSizes(
            kernels_per_size=asked_per_size or per_size, sigma=sigma if asked_sigma is None else asked_sigma, **chosen
        )

    return make


OPTIONS = {
    "kernel_sizes": Option("each face by one kernel of every size from 13 to 27, noise 0.01", _kernels(1, 0.01)),
    "shen": Option(
        "Shen et al. 2020: each face by all 80 kernels, 10 of every size from 13 to 27, noise 0.01. The kernels are "
        "ours, from random camera trajectories as theirs, and the faces are ours",
        _kernels(10, 0.01),
    ),
    "qi": Option(
        "Qi et al. 2020: 8 sizes of kernels, 13 to 27 pixels; without noise, which the paper does not mention. The "
        "kernels are ours, one of every size for each face, and crops are 128x128 instead of 150x150",
        _kernels(1, 0.0),
    ),
    "umsn": Option(
        "Yasarla et al. 2020: kernels of 13 to 29 pixels, noise 0.03, which the paper trains with; its tables are on "
        "Shen's pictures. The kernels are ours, one of every size for each face",
        _kernels(1, 0.03, lambda: make_bank("trajectory", 90, (*SHEN_SIZES, 29), SEED, split="test")),
    ),
    "one_step": Option(
        "the one-step paper: 112x96 pixels and eight kernels, each for every face; noise 0.01. In place of Levin's "
        "eight kernels, of 13 to 27 pixels, one of ours of every size",
        _kernels(1, 0.01, lambda: make_bank("trajectory", 8, SHEN_SIZES, SEED, split="test")),
        ONE_STEP_REGION,
    ),
    "chrysos": Option(
        "Chrysos et al. 2019: averages of 7 to 21 frames and of variable length, and synthetic blur of the same faces, "
        "from --pairs NAME=SHARDS",
        None,
    ),
    "camera": Option("blur as of cameras and moving people, a row for each kind; --pairs adds real motion", None),
    "pairs": Option("--pairs NAME=FOLDER, with blurred and sharp pictures of the same names in two folders", None),
    "sharp_in": Option("sharp faces without blur or noise, which should stay as they are", lambda *_: SharpFaces()),
}


@dataclass(frozen=True)
class TestSet:
    """Pictures and the protocol that blurs them.

    Attributes:
        name: the option's.
        protocol: ``KernelSizes``, ``CameraProtocol``, ``GivenPairs`` or ``SharpFaces``.
        faces: uint8 (N, H, W, 3).
        stems: (N,) str, path of each face in its folder, without its ending.
        people: (N,) str, the sub-folder of each face, or its name in a flat folder.
        labels: uint8 (N, H, W), or None.
        data: folder, fingerprint and number of the faces.
    """

    __test__ = False  # no test of pytest's

    name: str
    protocol: object
    faces: np.ndarray
    stems: list
    people: list
    labels: np.ndarray | None
    data: dict = field(default_factory=dict)

    @property
    def names(self):
        """A name for each face that can be a file's."""
        return [name_of(stem) for stem in self.stems]

    @property
    def meaning(self):
        return OPTIONS[self.name].meaning

    def face_names(self, batch):
        """A name for the face of each pair; the faces of real motion are the pairs' own."""
        if batch.group == REAL_MOTION:
            return [f"pair{index:05d}" for index in batch.faces]
        return [self.names[face] for face in batch.faces]

    def units(self, batch):
        """What each pair belongs to and counts once with: its face; the clip of a pair from a video."""
        if batch.group == REAL_MOTION:
            return [self.protocol.clips[index] for index in batch.faces]
        if isinstance(self.protocol, GivenPairs):
            return [self.people[face] for face in batch.faces]
        return self.face_names(batch)

    def pair_names(self, batch):
        """A name for each pair, under which another method's output is looked up."""
        if self.name == "pairs":
            # As the person who made them called them.
            return self.face_names(batch)
        kernels = [""] * len(batch.faces) if batch.kernels is None else [f"_k{kernel:03d}" for kernel in batch.kernels]
        return [f"{face}_{batch.group}{kernel}" for face, kernel in zip(self.face_names(batch), kernels, strict=True)]


def make_test_set(name, faces=None, kernels_per_size=None, sigma=None, pairs=None, kinds=None, shards=()):
    """A test set by the name of its protocol.

    Args:
        name: one of ``OPTIONS``.
        faces: ``Faces``; not needed for "chrysos" and "pairs".
        kernels_per_size: for kernels, of each size and face; None: the option's.
        sigma: for kernels, noise on the [0, 1] scale; None: the option's.
        pairs: for "chrysos" and "pairs", sources of ``read_pairs`` by name of row.
        kinds: for "camera", the rows; None: all.
        shards: for "camera", shards of video pairs.

    Returns:
        TestSet.

    Raises:
        ValueError: an unknown name, missing faces or pairs, or as the protocol.
    """
    if name not in OPTIONS:
        raise ValueError(f"unknown protocol {name!r}; accepted: {', '.join(OPTIONS)}")
    if name in ("chrysos", "pairs"):
        if not pairs:
            raise ValueError(f"the protocol {name} needs --pairs NAME=SOURCE: {OPTIONS[name].meaning}")
        protocol = GivenPairs.of_sources(name, pairs, synthetic=name == "chrysos")
        data = {"pairs": protocol.count()}
        return TestSet(name, protocol, protocol.sharp, protocol.names, protocol.people, None, data)
    if faces is None:
        raise ValueError(f"the protocol {name} needs --faces")
    option = OPTIONS[name]
    protocol = CameraProtocol.of_shards(shards, kinds) if name == "camera" else option.make(kernels_per_size, sigma)
    rows, columns = option.region or (slice(None), slice(None))
    # Real motion has faces of its own, without labels.
    labels = None if faces.labels is None or name == "camera" else faces.labels[:, rows, columns]
    return TestSet(name, protocol, faces.faces[:, rows, columns], faces.stems, faces.people, labels, faces.data)
