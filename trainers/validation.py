"""The small fixed measurement that training is watched and stopped by: development faces, unseen kernels.

Which one it is follows from the model's kind. All have ``score``, the name of the value that decides what is best;
``measure(model)``, a dict from names to values; and ``strip(model)``, a picture to look at.
"""

import numpy as np
from keras import ops

from deblur_zoo.alignment import CROP_SIZE
from deblur_zoo.data.face_store import central_crop
from deblur_zoo.data.synthesis import degrade
from deblur_zoo.metrics.identity import identity_cosine
from deblur_zoo.metrics.image_quality import SSIM_TAPS, psnr, ssim
from trainers.execution import compiled
from trainers.pictures import chosen_faces, strip

# More says nothing: the rounding of one picture to 8 bits alone is noise at 59 dB.
PSNR_CAP = 60.0


class DevelopmentSet:
    """Development faces blurred once by the test kernels, for models of kind "deblurrer".

    Args:
        faces: uint8 (N, S, S, 3), S >= ``crop_size``; the middle is used.
        bank: kernel bank; face i gets kernel i modulo the bank's length.
        crop_size: side in pixels.
        sigma: standard deviation of the noise, on the [0, 1] scale.
        batch_size: faces per forward pass.
        identity_network: function of float (N, crop_size, crop_size, 3) in [0, 1] that gives embeddings (N, D), or
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
        self._forward = ModelRunner()
        self._psnr = compiled(lambda truth, estimate: psnr(_as_float(truth), estimate))
        self._quality = compiled(self._measures)
        self._identity_network = identity_network
        self._embeddings = np.zeros((len(self.sharp), 1), np.float32)
        if identity_network is not None:
            embed = compiled(lambda images: identity_network(_as_float(images)))
            self._embeddings = in_batches(embed, batch_size, self.sharp)
        plain = in_batches(self._psnr, batch_size, self.sharp, self.blurred.astype(np.float32) / 255.0)
        self.psnr_blurred = _capped_mean(plain)

    def _measures(self, truth, embeddings, estimate):
        truth = _as_float(truth)
        values = {"psnr": psnr(truth, estimate)}
        if min(truth.shape[1:3]) >= SSIM_TAPS:
            values["ssim"] = ssim(truth, estimate)
        if self._identity_network is not None:
            values["identity_cosine"] = identity_cosine(embeddings, self._identity_network(estimate))
        return values

    def measure(self, model):
        """How well a model restores the blurred faces, and what it does to sharp ones.

        Args:
            model: a Deblurrer.

        Returns:
            dict with "psnr", "psnr_gain" over the blurred faces and "sharp_in_psnr" of sharp faces put in, in dB;
            "ssim" from 11 pixels up; "identity_cosine" with an identity network. Means over the faces.
        """
        restored = self._forward(model, self.blurred, self.batch_size)
        values = in_batches(self._quality, self.batch_size, self.sharp, self._embeddings, restored)
        scores = {"psnr": _capped_mean(values.pop("psnr"))}
        scores["psnr_gain"] = scores["psnr"] - self.psnr_blurred
        # A quarter of the faces is enough for the sharp-in check and keeps it cheap.
        sharp = self.sharp[: max(1, len(self.sharp) // 4)]
        unharmed = self._forward(model, sharp, self.batch_size)
        scores["sharp_in_psnr"] = _capped_mean(in_batches(self._psnr, self.batch_size, sharp, unharmed))
        return scores | {name: float(np.mean(value, dtype=np.float64)) for name, value in values.items()}

    def strip(self, model):
        """A few faces, blurred | restored | sharp: uint8 (H, W, 3)."""
        few = chosen_faces(len(self.sharp))
        restored = self._forward(model, self.blurred[few], self.batch_size)
        restored = np.rint(np.clip(restored, 0, 1) * 255).astype(np.uint8)
        return strip({"blurred": self.blurred[few], "restored": restored, "sharp": self.sharp[few]})


class ModelRunner:
    """Runs a model on uint8 faces of any number; compiled once a model, for one size of batch."""

    def __init__(self):
        self._model = self._run = None

    def __call__(self, model, faces, batch_size):
        """The model's output for uint8 (N, H, W, 3), as a NumPy array (N, ...)."""
        if self._model is not model:
            self._model = model
            self._run = compiled(lambda images: model(_as_float(images), training=False), model)
        return in_batches(self._run, batch_size, faces)


def in_batches(function, batch_size, *arrays):
    """A function of batches on arrays of any length N.

    The last batch is filled up with its first row, so that a compiled function sees one shape.

    Returns:
        the function's results, an array (N, ...) or a dict of them.
    """
    results = []
    for start in range(0, len(arrays[0]), batch_size):
        parts = [array[start : start + batch_size] for array in arrays]
        filling = batch_size - len(parts[0])
        result = function(*(np.concatenate([part, np.repeat(part[:1], filling, axis=0)]) for part in parts))
        cut = slice(0, batch_size - filling)
        results.append({k: v[cut] for k, v in result.items()} if isinstance(result, dict) else result[cut])
    if isinstance(results[0], dict):
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}
    return np.concatenate(results)


def identity_network(path, crop_size):
    """The identity network of a Keras file for the middle of the canonical crop; None without a path.

    Raises:
        FileNotFoundError, ValueError: no such file, or no identity network.
    """
    if not path:
        return None
    from deblur_zoo.features.identity import IdentityNetwork

    margin = (CROP_SIZE - crop_size) // 2
    return IdentityNetwork(path, region=(margin, margin, crop_size, crop_size))


def _as_float(images):
    return ops.cast(images, "float32") / 255.0


def _capped_mean(values):
    return float(np.mean(np.minimum(values, PSNR_CAP), dtype=np.float64))


def _deblurrer_set(store, bank, crop_size, identity_network):
    return DevelopmentSet(store.faces, bank, crop_size, identity_network=identity_network)


def _parser_set(store, bank, crop_size, identity_network):
    from trainers.parsing_validation import ParsingDevelopmentSet

    return ParsingDevelopmentSet(store.faces, store.labels, crop_size)


# Kind of model to a function of (FaceStore, kernel bank, crop size, identity network or None).
KINDS = {"deblurrer": _deblurrer_set, "parser": _parser_set}


def development_set(kind, store, bank, crop_size, identity_network=None):
    """The development set for models of a kind.

    Args:
        kind: a model class's ``kind``.
        store: FaceStore of development faces.
        bank: kernel bank that is not trained on.
        crop_size: side in pixels.
        identity_network: see ``DevelopmentSet``.

    Raises:
        ValueError: a kind without one, or faces without the labels that it needs.
    """
    if kind not in KINDS:
        raise ValueError(f"models of kind {kind!r} have no measure on development faces; accepted: {', '.join(KINDS)}")
    return KINDS[kind](store, bank, crop_size, identity_network)
