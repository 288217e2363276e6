"""Training samples from (seed, number): their parameters are drawn here, and rendered on the host or a device."""

import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from deblur_zoo.data import camera_blur, host_blur, host_synthesis
from deblur_zoo.data.augmentation import Augmentation, warp_matrix
from deblur_zoo.data.camera_blur import CameraBlur
from deblur_zoo.data.kernel_mixture import KernelMixture

# Classes to swap when a face is mirrored: left and right brow, left and right eye.
LEFT_AND_RIGHT = ((2, 3), (4, 5))


@dataclass(frozen=True)
class Synthesis:
    """How blurred and sharp training pairs are drawn.

    Attributes:
        crop_size: side of the pairs in pixels.
        augmentation: the geometric warp's ranges.
        noise: largest standard deviation of the Gaussian noise, on the [0, 1] scale; drawn uniformly from 0.
        unblurred_share: probability that a sample is neither blurred nor noisy nor compressed, so that the model learns
            to keep sharp faces sharp.
        shares: probability of each kernel bank, by the bank's name; normalised.
        jpeg: (lowest, highest) quality, 1 to 100, of JPEG compression after the noise, drawn uniformly; None for none.
            Host only.
        pairs_share: share of samples in [0, 1] that are given pairs, already blurred. Every batch has exactly this
            share, see ``check_batch``. They are warped like faces, but get no kernel, noise or JPEG.
        camera: settings of camera-like blur for the other samples, or None. Host only.

    Raises:
        ValueError: a JPEG quality outside 1 to 100, or lowest above highest; a share outside [0, 1].
    """

    crop_size: int = 128
    augmentation: Augmentation = field(default_factory=Augmentation)
    noise: float = 0.01
    unblurred_share: float = 0.0
    shares: dict = field(default_factory=dict)
    jpeg: tuple | None = None
    pairs_share: float = 0.0
    camera: CameraBlur | None = None

    @property
    def needs_host(self):
        """The settings that only the host can render, in words; "" if there are none."""
        return "JPEG compression" if self.jpeg else "camera-like blur" if self.camera else ""

    def __post_init__(self):
        if not 0 <= self.pairs_share <= 1:
            raise ValueError(f"The share of pairs must be from 0 to 1, got {self.pairs_share}.")
        if self.jpeg is not None and not (len(self.jpeg) == 2 and 1 <= self.jpeg[0] <= self.jpeg[1] <= 100):
            raise ValueError(f"JPEG qualities must be (lowest, highest) from 1 to 100, got {self.jpeg}.")

    def check_batch(self, batch_size):
        """Raise ValueError if the share of pairs is not a whole number in a batch of this size."""
        if batch_size * self._fraction % 1:
            raise ValueError(
                f"a share of {self.pairs_share:g} pairs in a batch of {batch_size} is "
                f"{batch_size * self.pairs_share:g} pairs; it must be a whole number"
            )

    def pairs_before(self, number):
        """Number of given pairs among samples 0 to ``number`` - 1: they are spread as evenly as possible."""
        return int(number * self._fraction) if self.pairs_share else 0

    @cached_property
    def _fraction(self):
        return Fraction(self.pairs_share).limit_denominator(10_000)


class _Epochs:
    """Each epoch goes once through ``count`` items, in its own order."""

    def __init__(self, seed, stream, count):
        self._seed, self._stream, self._count = seed, stream, count
        self._epoch = (-1, None)

    def __call__(self, position):
        """The item at a position, counted over all epochs."""
        epoch, position = divmod(position, self._count)
        cached_epoch, order = self._epoch
        if epoch != cached_epoch:
            order = np.random.default_rng([self._seed, self._stream, epoch]).permutation(self._count)
            # A single assignment, so that threads never combine one epoch with another's order.
            self._epoch = (epoch, order)
        return order[position]


def degrade(face, kernel, sigma, generator):
    """Blur a face and add Gaussian noise, clipped and rounded to 8 bits.

    Args:
        face: uint8 (H, W, 3).
        kernel: float32 (K, K) of sum 1.
        sigma: the noise's standard deviation on the [0, 1] scale.
        generator: numpy.random.Generator for the noise.

    Returns:
        uint8 (H, W, 3).
    """
    noise = generator.standard_normal(face.shape, dtype=np.float32)
    blurred = host_blur.blur(face[None].astype(np.float32), [kernel], threads=1)[0]
    return np.clip(np.rint(blurred + 255.0 * sigma * noise), 0, 255).astype(np.uint8)


class PairMaker:
    """Draws the samples of a training run; sample ``number`` depends only on the seed and its number.

    Args:
        faces: uint8 (F, H, W, 3).
        banks: kernel banks by name; the names are the keys of ``synthesis.shares``.
        synthesis: how pairs are drawn.
        seed: int.
        labels: uint8 (F, H, W), classes of the faces' pixels, or None. They are warped with the faces.
        left_and_right: pairs of classes to swap in a mirrored face.
        pairs: given pairs for ``synthesis.pairs_share`` of the samples, with "blurred" and "sharp", uint8
            (P, H, W, 3) of the faces' size, such as a PairStore; or None. Their labels are unknown, 255.
        camera_kernels: KernelMixture of the camera-like samples; required with ``synthesis.camera``.
        outlines: uint8 (F, H, W), labels used only to separate a face from its background; None: ``labels``.

    Attributes:
        kernels: float32 (M, K, K), the kernels of all banks, in their order, zero-padded to the largest.
        mirrored_classes: uint8 (256,), the class that each class becomes in a mirrored face.
        device_cache: dict in which ``device_synthesis`` keeps its arrays in device memory.

    Raises:
        ValueError: labels or pairs of another size than the faces; a share of pairs without pairs; camera-like samples
            without kernels.
    """

    def __init__(
        self, faces, banks, synthesis, seed, labels=None, left_and_right=LEFT_AND_RIGHT, pairs=None,
        camera_kernels=None, outlines=None,
    ):  # fmt: skip
        if labels is not None and labels.shape != faces.shape[:3]:
            raise ValueError(f"Labels of shape {labels.shape} do not match faces of shape {faces.shape}.")
        if pairs is not None and not pairs.blurred.shape == pairs.sharp.shape == (len(pairs.sharp), *faces.shape[1:]):
            raise ValueError(f"Pairs of shape {pairs.sharp.shape} do not match faces of shape {faces.shape}.")
        if synthesis.camera is not None and camera_kernels is None:
            raise ValueError("Camera-like samples need camera_kernels.")
        self.faces = faces
        self.labels = labels
        self.pairs = pairs
        self._camera_kernels = camera_kernels
        self._outlines = labels if outlines is None else outlines
        self.seed = seed
        self.synthesis = self._checked(synthesis)
        self.face_index = _Epochs(seed, 1, len(faces))
        self._pair_index = None if pairs is None else _Epochs(seed, 3, len(pairs.sharp))
        self.mirrored_classes = np.arange(256, dtype=np.uint8)
        for left, right in left_and_right:
            self.mirrored_classes[[left, right]] = right, left
        self._mixture = KernelMixture(banks, synthesis.shares)
        self.kernel, self.kernels = self._mixture.kernel, self._mixture.kernels
        self.device_cache = {}

    def _checked(self, synthesis):
        if synthesis.pairs_share and self.pairs is None:
            raise ValueError(f"The share of given pairs is {synthesis.pairs_share:g}, but no pairs were given.")
        return synthesis

    def with_augmentation(self, augmentation, pairs_share=None):
        """A pair maker with the same faces, kernels, pairs and seed but different ranges of the geometric warp.

        Args:
            augmentation: the ranges.
            pairs_share: another share of given pairs; None for the same.
        """
        changes = {} if pairs_share is None else {"pairs_share": pairs_share}
        other = copy.copy(self)
        other.synthesis = self._checked(replace(self.synthesis, augmentation=augmentation, **changes))
        return other

    def plan(self, number):
        """The parameters of sample ``number``, before rendering.

        Returns:
            dict of NumPy values: "face" int32, index into ``faces``; "matrix" int32 (2, 3), see
            ``augmentation.warp_matrix``; "mirrored" bool; "unblurred" bool; "kernel" int32, index into ``kernels``;
            "sigma" float32, the noise's standard deviation on the [0, 1] scale; "key" uint32 (2,), of the noise, see
            ``random_normal``; with ``synthesis.jpeg`` "jpeg_quality" int32; with a share of given pairs "pair" bool,
            whether the sample is one of them and "face" its index; with ``synthesis.camera`` "camera" int32, the code
            of its kind of camera-like blur, or 0.
        """
        number = int(number)
        settings = self.synthesis
        generator = np.random.default_rng([self.seed, 2, number])
        warp = settings.augmentation.draw(generator)
        unblurred, chosen, sigma = generator.uniform(size=3).tolist()
        kernel = self._mixture.index(chosen, generator)
        pairs_before = settings.pairs_before(number)
        is_pair = settings.pairs_before(number + 1) > pairs_before
        face = self._pair_index(pairs_before) if is_pair else self.face_index(number - pairs_before)
        plan = {
            "face": np.int32(face),
            "matrix": warp_matrix(self.faces.shape[1:3], settings.crop_size, *warp),
            "mirrored": np.bool_(warp[-1]),
            "unblurred": np.bool_(unblurred < settings.unblurred_share),
            "kernel": np.int32(kernel),
            "sigma": np.float32(settings.noise * sigma),
            "key": generator.integers(0, 2**32, 2, dtype=np.uint32),
        }
        if settings.jpeg is not None:
            plan["jpeg_quality"] = np.int32(generator.integers(settings.jpeg[0], settings.jpeg[1], endpoint=True))
        if settings.pairs_share:
            plan["pair"] = np.bool_(is_pair)
        if settings.camera is not None:
            plan["camera"] = np.int32(settings.camera.kind_code(np.random.default_rng([self.seed, 4, 0, number])))
        return plan

    def plans(self, first, count):
        """The plans of ``count`` samples from ``first``: the dict of ``plan`` with a leading axis on each array."""
        single = [self.plan(number) for number in range(int(first), int(first) + int(count))]
        return {name: np.stack([plan[name] for plan in single]) for name in single[0]}

    def pair(self, number):
        """Render sample ``number`` on the host.

        Returns:
            (blurred, sharp), uint8 (crop_size, crop_size, 3), or with labels (blurred, sharp, labels), the labels uint8
            (crop_size, crop_size).
        """
        plan = self.plan(number)
        face = plan["face"]
        if plan.get("pair"):
            return host_synthesis.render_given(
                self.pairs.blurred[face], self.pairs.sharp[face], plan, self.synthesis.crop_size,
                with_labels=self.labels is not None,
            )  # fmt: skip
        labels = None if self.labels is None else self.labels[face]
        if plan.get("camera") and not plan["unblurred"]:
            blurred, sharp = self._camera_pair(plan)
            if labels is None:
                return blurred, sharp
            return blurred, sharp, host_synthesis.labels_of(labels, plan, len(sharp), self.mirrored_classes)
        return host_synthesis.render(
            self.faces[face],
            self.kernel(plan["kernel"]),
            plan,
            self.synthesis.crop_size,
            labels,
            self.mirrored_classes,
        )

    def _camera_pair(self, plan):
        face, code = plan["face"], int(plan["camera"])
        return camera_blur.render(
            self.faces[face],
            plan["matrix"],
            code,
            np.random.default_rng([self.seed, 4, code, *plan["key"].tolist()]),
            self.synthesis.camera,
            self._camera_kernels,
            self.synthesis.crop_size,
            None if self._outlines is None else self._outlines[face],
        )
