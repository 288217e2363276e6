"""Run a model over a protocol and keep the numbers of every image, from which tables are made.

All measures compare 8-bit images, as a user gets them: the model's output is first rounded to 8 bits. PSNR and SSIM are
those of ``deblur_zoo.metrics.image_quality`` on RGB in [0, 1] over the whole crop. An image's PSNR is capped at 60 dB,
because rounding one image to 8 bits already limits it to 59 dB.
"""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from deblur_zoo import execution
from deblur_zoo.evaluation.protocol import KernelSizes
from deblur_zoo.files.batches import in_batches
from deblur_zoo.metrics.identity import identity_cosine
from deblur_zoo.metrics.image_quality import PSNR_CAP, psnr, ssim


@dataclass(frozen=True)
class Scores:
    """Measures of N images against their sharp versions.

    Attributes:
        psnr: (N,) in dB, capped at 60.
        ssim: (N,).
        colour: (N, 3): mean over the pixels of estimate minus truth, for each channel, in percent of the full range.
        identity: (N,) cosine of the identity embeddings, or None without an identity network.
    """

    psnr: np.ndarray
    ssim: np.ndarray
    colour: np.ndarray
    identity: np.ndarray | None

    @classmethod
    def concatenate(cls, parts):
        def joined(name):
            values = [getattr(part, name) for part in parts]
            return None if values[0] is None else np.concatenate(values)

        return cls(*(joined(name) for name in ("psnr", "ssim", "colour", "identity")))

    def select(self, chosen):
        """The scores of some images, selected by mask or indices."""
        values = (self.psnr, self.ssim, self.colour, self.identity)
        return Scores(*(None if value is None else value[chosen] for value in values))


@dataclass(frozen=True)
class Measurement:
    """The result of ``evaluate``.

    Attributes:
        protocol: the protocol.
        face_count: number of faces.
        faces: (M,) the face of each pair.
        groups: (M,) str, the table row of each pair, such as its kernel size.
        kernels: (M,) the kernel of each pair, or None if the protocol has no bank.
        rows: ``Scores`` of the M pairs by name: "blurred" (the unchanged input), "restored" (the model's output).
        sharp_in: ``Scores`` of the model's output for the sharp faces, or None if not requested.
    """

    protocol: KernelSizes
    face_count: int
    faces: np.ndarray
    groups: np.ndarray
    kernels: np.ndarray | None
    rows: dict
    sharp_in: Scores | None

    @property
    def psnr(self):
        return float(np.mean(self.rows["restored"].psnr))

    @property
    def psnr_gain(self):
        """Mean PSNR of the restored faces minus that of the blurred ones, in dB."""
        return self.psnr - float(np.mean(self.rows["blurred"].psnr))

    @property
    def gains(self):
        """PSNR of each restored face minus that of the blurred one, in dB: (M,)."""
        return self.rows["restored"].psnr - self.rows["blurred"].psnr

    @property
    def sharp_in_psnr(self):
        return None if self.sharp_in is None else float(np.mean(self.sharp_in.psnr))


def evaluate(
    model,
    faces,
    protocol=None,
    batch_size=16,
    identity_network=None,
    sharp_in=True,
    batches=None,
    progress=False,
    knows_kernels=False,
):
    """Measure a model.

    Args:
        model: a ``Deblurrer`` or any function of float (N, S, S, 3) in [0, 1] that returns the same shape.
        faces: uint8 (N, S, S, 3): sharp RGB faces in canonical alignment.
        protocol: ``KernelSizes`` or ``CameraProtocol``; None: one kernel of each size, noise 0.01.
        batch_size: faces per forward pass.
        identity_network: ``deblur_zoo.features.identity.IdentityNetwork`` for faces of this size, or None.
        sharp_in: also run the model on the sharp faces and compare its output with them.
        batches: ``list(protocol.batches(faces))`` of an earlier call, so that repeated measurements blur only once.
        progress: show a progress bar.
        knows_kernels: call the model with a second argument, a list of each image's blur kernel, (K, K) float32, to
            measure an oracle; a sharp face's kernel is a single 1. Needs a protocol with a bank.

    Returns:
        ``Measurement``.

    Raises:
        TypeError: the faces are not uint8.
        ValueError: faces that are not (N, H, W, 3), or none.
    """
    faces = np.asarray(faces)
    if faces.dtype != np.uint8:
        raise TypeError(f"faces must be uint8, got {faces.dtype}")
    if faces.ndim != 4 or faces.shape[-1] != 3 or not len(faces):
        raise ValueError(f"faces must be RGB images (N, H, W, 3) with N at least 1, got shape {faces.shape}")
    protocol = protocol or KernelSizes()
    embed = _embedder(identity_network)
    rows = {"blurred": [], "restored": []}
    seen = []
    bar = _progress_bar(progress, protocol.count(len(faces)) + len(faces) * sharp_in)

    def run(images, kernels):
        return _run(model, images, *([kernels] if knows_kernels else []))

    with bar:
        for batch in protocol.batches(faces, batch_size) if batches is None else batches:
            kernels = [protocol.bank.kernel(kernel) for kernel in batch.kernels] if knows_kernels else None
            restored = run(batch.blurred, kernels)
            embeddings = embed(batch.sharp) if embed else None
            rows["blurred"].append(_score(batch.sharp, batch.blurred, embed, embeddings))
            rows["restored"].append(_score(batch.sharp, restored, embed, embeddings))
            seen.append(batch)
            bar.update(len(batch.faces))
        unharmed = []
        for start in range(0, len(faces) if sharp_in else 0, batch_size):
            part = np.arange(start, min(start + batch_size, len(faces)))
            restored = run(faces[part], [np.ones((1, 1), np.float32)] * len(part))
            unharmed.append(_score(faces[part], restored, embed, embed(faces[part]) if embed else None))
            bar.update(len(part))
    return Measurement(
        protocol=protocol,
        face_count=len(faces),
        faces=np.concatenate([batch.faces for batch in seen]),
        groups=np.concatenate([np.repeat(batch.group, len(batch.faces)) for batch in seen]),
        kernels=None if seen[0].kernels is None else np.concatenate([batch.kernels for batch in seen]),
        rows={name: Scores.concatenate(parts) for name, parts in rows.items()},
        sharp_in=Scores.concatenate(unharmed) if unharmed else None,
    )


def restore(model, faces, batch_size=16):
    """A model's output for uint8 faces (N, H, W, 3), rounded to uint8."""
    return in_batches(lambda part: _run(model, part), batch_size, faces)


def _run(model, images, *kernels):
    function = partial(execution.run, model) if isinstance(model, keras.Model) else model
    restored = ops.convert_to_numpy(function(_as_float(images), *kernels))
    return np.rint(np.clip(restored, 0, 1) * 255).astype(np.uint8)


def _as_float(images):
    return images.astype(np.float32) / 255


def _embedder(identity_network):
    if identity_network is None:
        return None
    return lambda images: ops.convert_to_numpy(identity_network(_as_float(images)))


def _score(sharp, estimate, embed, sharp_embeddings):
    truth_float, estimate_float = _as_float(sharp), _as_float(estimate)
    return Scores(
        psnr=np.minimum(ops.convert_to_numpy(psnr(truth_float, estimate_float)), PSNR_CAP),
        ssim=ops.convert_to_numpy(ssim(truth_float, estimate_float)),
        colour=100 * np.mean(estimate_float - truth_float, axis=(1, 2), dtype=np.float64),
        identity=embed and ops.convert_to_numpy(identity_cosine(sharp_embeddings, embed(estimate))),
    )


def _progress_bar(shown, total):
    return tqdm(total=total, unit="face", disable=None if shown else True)
