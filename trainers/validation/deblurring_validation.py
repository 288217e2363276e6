"""Validation of models of kind "deblurrer": development faces, blurred by unseen kernels."""

import numpy as np

from deblur_zoo.data.face_store import central_crop
from deblur_zoo.data.synthesis import degrade
from deblur_zoo.execution import compiled
from deblur_zoo.files.batches import in_batches
from deblur_zoo.metrics.identity import identity_cosine
from deblur_zoo.metrics.image_quality import SSIM_TAPS, psnr, ssim
from trainers.validation.model_runner import as_float, capped_mean, run_on_faces
from trainers.validation.pictures import chosen_faces, strip


class DevelopmentSet:
    """Development faces blurred once by the test kernels, for models of kind "deblurrer".

    Args:
        faces: uint8 (N, S, S, 3), S >= ``crop_size``; the centre is used.
        bank: kernel bank; face i gets kernel i modulo the bank's length.
        crop_size: side in pixels.
        sigma: standard deviation of the noise, on the [0, 1] scale.
        batch_size: faces per forward pass.
        identity_network: function of float (N, crop_size, crop_size, 3) in [0, 1] that returns embeddings (N, D), or
            None.

    Attributes:
        sharp, blurred: uint8 (N, crop_size, crop_size, 3).
        psnr_blurred: mean PSNR of the blurred faces, in dB.
    """

    score = "psnr"

    def __init__(self, faces, bank, crop_size=128, sigma=0.01, batch_size=16, identity_network=None):
        self.sharp = central_crop(faces, crop_size)
        self.blurred = np.stack(
            [
                degrade(face, bank.kernel(i % len(bank.kernels)), sigma, np.random.default_rng([2021, i]))
                for i, face in enumerate(self.sharp)
            ]
        )
        self.batch_size = batch_size
        self._psnr = compiled(lambda truth, estimate: psnr(as_float(truth), estimate))
        self._quality = compiled(self._measures)
        self._identity_network = identity_network
        self._embeddings = np.zeros((len(self.sharp), 1), np.float32)
        if identity_network is not None:
            embed = compiled(lambda images: identity_network(as_float(images)))
            self._embeddings = in_batches(embed, batch_size, self.sharp, fill=True)
        self._plain = in_batches(self._psnr, batch_size, self.sharp, self.blurred.astype(np.float32) / 255.0, fill=True)
        self.psnr_blurred = capped_mean(self._plain)

    def _measures(self, truth, embeddings, estimate):
        truth = as_float(truth)
        values = {"psnr": psnr(truth, estimate)}
        if min(truth.shape[1:3]) >= SSIM_TAPS:
            values["ssim"] = ssim(truth, estimate)
        if self._identity_network is not None:
            values["identity_cosine"] = identity_cosine(embeddings, self._identity_network(estimate))
        return values

    def measure(self, model):
        """Measure how well a model restores blurred faces and preserves sharp ones.

        Args:
            model: a Deblurrer.

        Returns:
            dict with "psnr", "psnr_gain" over the blurred faces and "sharp_in_psnr" of the output for sharp faces, in
            dB; "made_worse", the share of faces whose PSNR fell; "ssim" from 11 pixels up; "identity_cosine" with an
            identity network. Means over the faces.
        """
        restored = run_on_faces(model, self.blurred, self.batch_size)
        values = in_batches(self._quality, self.batch_size, self.sharp, self._embeddings, restored, fill=True)
        psnr_restored = values.pop("psnr")
        scores = {"psnr": capped_mean(psnr_restored)}
        scores["psnr_gain"] = scores["psnr"] - self.psnr_blurred
        scores["made_worse"] = float(np.mean(psnr_restored < self._plain))
        # A quarter of the faces keeps the sharp-in check cheap.
        sharp = self.sharp[: max(1, len(self.sharp) // 4)]
        unharmed = run_on_faces(model, sharp, self.batch_size)
        scores["sharp_in_psnr"] = capped_mean(in_batches(self._psnr, self.batch_size, sharp, unharmed, fill=True))
        return scores | {name: float(np.mean(value, dtype=np.float64)) for name, value in values.items()}

    def strip(self, model):
        """A few faces, blurred | restored | sharp: uint8 (H, W, 3)."""
        few = chosen_faces(len(self.sharp))
        restored = run_on_faces(model, self.blurred[few], self.batch_size)
        restored = np.rint(np.clip(restored, 0, 1) * 255).astype(np.uint8)
        return strip({"blurred": self.blurred[few], "restored": restored, "sharp": self.sharp[few]})
