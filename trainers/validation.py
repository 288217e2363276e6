"""The small fixed measurement that training is watched and stopped by: development faces, unseen kernels."""

import numpy as np
from keras import ops

from deblur_zoo.data.face_store import central_crop
from deblur_zoo.data.synthesis import degrade
from deblur_zoo.metrics.image_quality import psnr


class DevelopmentSet:
    """Development faces blurred once by the test kernels.

    Args:
        faces: uint8 (N, S, S, 3), S >= ``crop_size``; the middle is used.
        bank: kernel bank; face i gets kernel i modulo the bank's length.
        crop_size: side in pixels.
        sigma: standard deviation of the noise, on the [0, 1] scale.
        batch_size: faces per forward pass.
    """

    def __init__(self, faces, bank, crop_size=128, sigma=0.01, batch_size=16):
        self.sharp = central_crop(faces, crop_size)
        self.blurred = np.stack(
            [
                degrade(face, bank.kernel(i % len(bank.kernels)), sigma, np.random.default_rng([2021, i]))
                for i, face in enumerate(self.sharp)
            ]
        )
        self.batch_size = batch_size
        self.psnr_blurred = float(np.mean(self._psnr(None, self.blurred)))

    def _psnr(self, model, inputs):
        values = []
        for start in range(0, len(inputs), self.batch_size):
            part = slice(start, start + self.batch_size)
            batch = inputs[part].astype(np.float32) / 255.0
            if model is not None:
                batch = model(batch, training=False)
            truth = self.sharp[: len(inputs)][part].astype(np.float32) / 255.0
            values.append(ops.convert_to_numpy(psnr(truth, batch)))
        return np.concatenate(values)

    def measure(self, model):
        """PSNR of the restored faces, its gain over the blurred ones, and PSNR of sharp faces put in.

        Args:
            model: a Deblurrer.

        Returns:
            dict with "psnr", "psnr_gain", "sharp_in_psnr", in dB.
        """
        restored = float(np.mean(self._psnr(model, self.blurred)))
        # A quarter of the faces is enough for the sharp-in check and keeps it cheap.
        sharp = self.sharp[: max(1, len(self.sharp) // 4)]
        sharp_in = float(np.mean(np.minimum(self._psnr(model, sharp), 60.0)))
        return {"psnr": restored, "psnr_gain": restored - self.psnr_blurred, "sharp_in_psnr": sharp_in}
