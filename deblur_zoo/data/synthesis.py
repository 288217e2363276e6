"""One training sample from (seed, number): a warped face, a drawn kernel, noise. The same on every machine and run."""

from dataclasses import dataclass, field, replace

import numpy as np

from deblur_zoo.data import host_blur
from deblur_zoo.data.augmentation import Augmentation, warp


@dataclass(frozen=True)
class Synthesis:
    """How blurred and sharp training pairs are drawn.

    Attributes:
        crop_size: side of the pairs in pixels.
        augmentation: the geometric warp's ranges.
        noise: largest standard deviation of the gaussian noise, on the [0, 1] scale; drawn uniformly from 0 up.
        unblurred_share: probability that a sample is neither blurred nor noisy, so that sharp faces stay sharp.
        shares: probability of each kernel bank, by the bank's name; normalised.
    """

    crop_size: int = 128
    augmentation: Augmentation = field(default_factory=Augmentation)
    noise: float = 0.01
    unblurred_share: float = 0.0
    shares: dict = field(default_factory=dict)


def degrade(face, kernel, sigma, generator):
    """Blur a face and add gaussian noise, as a camera would give it: 8 bits, clipped.

    Args:
        face: uint8 (H, W, 3).
        kernel: float32 (K, K), summing to 1.
        sigma: the noise's standard deviation on the [0, 1] scale.
        generator: numpy.random.Generator that the noise is drawn from.

    Returns:
        uint8 (H, W, 3).
    """
    noise = generator.standard_normal(face.shape, dtype=np.float32)
    blurred = host_blur.blur(face[None].astype(np.float32), [kernel], threads=1)[0]
    return np.clip(np.rint(blurred + 255.0 * sigma * noise), 0, 255).astype(np.uint8)


class PairMaker:
    """Makes the pairs of a training run; sample ``number`` depends on nothing but the seed and itself.

    Args:
        faces: uint8 (N, S, S, 3).
        banks: kernel banks by name; the names are the keys of ``synthesis.shares``.
        synthesis: how pairs are drawn.
        seed: int.
    """

    def __init__(self, faces, banks, synthesis, seed):
        self.faces = faces
        self.synthesis = synthesis
        self.seed = seed
        self.banks = [banks[name] for name in synthesis.shares]
        shares = np.array(list(synthesis.shares.values()), np.float64)
        self.thresholds = np.cumsum(shares / shares.sum())
        self._epoch = (-1, None)

    def with_augmentation(self, augmentation):
        """A pair maker of the same faces, kernels and seed with other ranges of the geometric warp."""
        banks = dict(zip(self.synthesis.shares, self.banks, strict=True))
        return PairMaker(self.faces, banks, replace(self.synthesis, augmentation=augmentation), self.seed)

    def face_index(self, number):
        """Every epoch shows each face once, in an order of its own."""
        epoch, position = divmod(number, len(self.faces))
        cached_epoch, order = self._epoch
        if epoch != cached_epoch:
            order = np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.faces))
            # One assignment, so that threads never see an epoch with another's order.
            self._epoch = (epoch, order)
        return order[position]

    def pair(self, number):
        """Sample ``number`` as (blurred, sharp), uint8 (crop_size, crop_size, 3)."""
        settings = self.synthesis
        generator = np.random.default_rng([self.seed, 2, number])
        face = self.faces[self.face_index(number)]
        sharp = warp(face, settings.crop_size, *settings.augmentation.draw(generator))
        if generator.uniform() < settings.unblurred_share:
            return sharp, sharp
        chosen = int(np.searchsorted(self.thresholds, generator.uniform(), side="right"))
        bank = self.banks[min(chosen, len(self.banks) - 1)]
        kernel = bank.kernel(int(generator.integers(len(bank.kernels))))
        return degrade(sharp, kernel, settings.noise * generator.uniform(), generator), sharp
