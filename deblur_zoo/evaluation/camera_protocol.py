"""The protocol ``camera``: faces blurred as by cameras and moving people, with a row for each kind, and real motion.

The kinds are those of ``data.camera_blur``, with test kernels that training never uses, and fixed strengths or ranges.
"""

from dataclasses import asdict, dataclass

import numpy as np

from deblur_zoo.blur.kernels import SHEN_SIZES, make_bank
from deblur_zoo.data import camera_blur
from deblur_zoo.data.augmentation import warp_matrix
from deblur_zoo.data.camera_blur import KIND_CODES, CameraBlur
from deblur_zoo.data.kernel_mixture import KernelMixture
from deblur_zoo.data.pair_store import load_pairs
from deblur_zoo.evaluation.faces import clip_of
from deblur_zoo.evaluation.protocol import Batch
from deblur_zoo.faces.alignment import CROP_SIZE

REAL_MOTION = "real_motion"
_NOISE = (0.01, 0.01)
_STORED = {"linear_light": 0.0, "noise": _NOISE, "resize_share": 0.0, "jpeg_share": 0.0}
_HALF_LINEAR = {**_STORED, "linear_light": 0.5}


@dataclass(frozen=True)
class _Kind:
    """One row: its code in every pair's seed (never renumber), a kind of blur, its changes to the defaults of
    CameraBlur, its kernel sizes, and a description.
    """

    code: int
    blur: str
    settings: dict
    sizes: tuple
    meaning: str


KINDS = {
    "stored_values": _Kind(12, "kernel", _STORED, SHEN_SIZES, "kernels of 13 to 27 pixels in stored values"),
    "linear_light": _Kind(
        1, "kernel", {**_STORED, "linear_light": 1.0}, SHEN_SIZES,
        "kernels of 13 to 27 pixels in linear light, gain 1 to 1.2, highlights clipped",
    ),
    "turning": _Kind(2, "turning", _HALF_LINEAR, SHEN_SIZES, "the camera turns, zooms and shifts"),
    "moving_face": _Kind(3, "moving_face", _HALF_LINEAR, SHEN_SIZES, "the face moves in front of a still background"),
    "moving_background": _Kind(4, "moving_background", _HALF_LINEAR, SHEN_SIZES, "the camera follows the face"),
    "expression": _Kind(5, "expression", _HALF_LINEAR, SHEN_SIZES, "parts of the face move"),
    "defocus": _Kind(
        6, "defocus", _HALF_LINEAR, (3, 5, 7, 9, 11), "a disc, half of the time after a kernel of 3 to 11 pixels"
    ),
    "small_kernels": _Kind(7, "kernel", _STORED, (3, 5, 7, 9), "kernels of 3 to 9 pixels in stored values"),
    "large_kernels": _Kind(
        8, "kernel", _STORED, (31, 33, 35, 37, 39, 41), "kernels of 31 to 41 pixels in stored values"
    ),
    "jpeg": _Kind(
        9, "kernel", {**_STORED, "jpeg": (40, 40), "jpeg_share": 1.0}, SHEN_SIZES,
        "kernels of 13 to 27 pixels in stored values, then JPEG of quality 40",
    ),
    "noise": _Kind(
        10, "kernel", {**_HALF_LINEAR, "noise": (0.05, 0.05)}, SHEN_SIZES,
        "kernels of 13 to 27 pixels, then photon and read noise of 0.05 at middle grey",
    ),
    "resized": _Kind(
        11, "kernel", {**_STORED, "resize": (0.5, 0.5), "resize_share": 1.0}, SHEN_SIZES,
        "kernels of 13 to 27 pixels in stored values, then half the size and back",
    ),
}  # fmt: skip


class CameraProtocol:
    """Every face is blurred once with every kind; real motion comes from given pairs.

    Args:
        pairs: PairStore of video pairs of 128x128 or larger, or None for no row of real motion.
        kinds: names of rows, in this order; None: all that are available.
        seed: a pair depends only on this, its kind and the face's index.

    Raises:
        ValueError: an unknown kind, or real motion without pairs.
    """

    name, bank = "camera", None

    def __init__(self, pairs=None, kinds=None, seed=2026):
        known = [*KINDS, REAL_MOTION]
        unknown = [kind for kind in kinds or () if kind not in known]
        if unknown:
            raise ValueError(f"unknown kind of camera blur {unknown[0]!r}; accepted: {', '.join(known)}")
        if kinds and REAL_MOTION in kinds and pairs is None:
            raise ValueError(f"{REAL_MOTION} needs pairs, as written by `python -m trainers.datasets.video_pairs`")
        self.groups = list(dict.fromkeys(kinds) if kinds else (known if pairs is not None else KINDS))
        self._pairs, self._seed = pairs, seed
        self._mixtures = {}

    @classmethod
    def of_shards(cls, sources, kinds=None):
        """The protocol with pairs from shards, as in ``load_pairs``; without shards, no real motion."""
        return cls(load_pairs(sources, CROP_SIZE) if sources else None, kinds or None)

    @property
    def clips(self):
        """The clip of each pair of real motion."""
        return [clip_of(name) for name in self._pairs.names]

    def count(self, face_count):
        """Number of pairs for a number of faces."""
        real = len(self._pairs) if REAL_MOTION in self.groups else 0
        return face_count * len([group for group in self.groups if group != REAL_MOTION]) + real

    def batches(self, faces, batch_size=16):
        """Blurred and sharp faces, one kind after the other.

        Args:
            faces: uint8 (N, S, S, 3), RGB, S at least 128; blur may mix pixels around the middle 128x128 into it.
            batch_size: the largest batch.

        Yields:
            ``Batch``.
        """
        for group in self.groups:
            count = len(self._pairs) if group == REAL_MOTION else len(faces)
            for start in range(0, count, batch_size):
                indices = np.arange(start, min(start + batch_size, count))
                sharp, blurred = (np.stack(pictures) for pictures in zip(
                    *(self.pair(faces, group, index) for index in indices), strict=True
                ))  # fmt: skip
                yield Batch(sharp, blurred, indices, group)

    def pair(self, faces, group, index):
        """One pair: (sharp, blurred), uint8 (128, 128, 3); of real motion pair ``index``, else of face ``index``."""
        if group == REAL_MOTION:
            return self._pairs.sharp[index], self._pairs.blurred[index]
        kind = KINDS[group]
        blurred, sharp = camera_blur.render(
            faces[index],
            warp_matrix(faces.shape[1:3], CROP_SIZE),
            KIND_CODES[kind.blur],
            np.random.default_rng([self._seed, kind.code, int(index)]),
            CameraBlur(share=1.0, kinds={kind.blur: 1.0}, **kind.settings),
            self._mixture(kind.sizes),
            CROP_SIZE,
        )
        return sharp, blurred

    def _mixture(self, sizes):
        if sizes not in self._mixtures:
            bank = make_bank("trajectory", 20 * len(sizes), sizes, self._seed, split="test")
            self._mixtures[sizes] = KernelMixture({"trajectory": bank}, {"trajectory": 1.0})
        return self._mixtures[sizes]

    def describe(self):
        """The protocol as a dictionary for metrics.json."""
        kinds = {name: kind for name, kind in KINDS.items() if name in self.groups}
        described = {
            "name": self.name,
            "seed": self._seed,
            "kernels": "trajectory, test split, 20 of each size",
            "kinds": {name: kind.meaning for name, kind in kinds.items()},
            "settings": {name: _settings(kind) for name, kind in kinds.items()},
        }
        if REAL_MOTION in self.groups:
            described["kinds"][REAL_MOTION] = "averages of video frames, the truth the middle one"
            described["pairs"] = {"count": len(self._pairs), "fingerprint": self._pairs.fingerprint}
        return described


def _settings(kind):
    settings = asdict(CameraBlur(share=1.0, kinds={kind.blur: 1.0}, **kind.settings))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
