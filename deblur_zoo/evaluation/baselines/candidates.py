"""How the constants of classical methods were chosen: the mean PSNR of every candidate."""

from dataclasses import replace

import numpy as np
from tqdm import tqdm

from deblur_zoo.annotations import Array
from deblur_zoo.evaluation.baselines.classical import Baseline
from deblur_zoo.evaluation.protocol import KernelSizes, as_float


def candidates(
    baseline: Baseline, faces: Array, protocol: KernelSizes, progress: bool = False
) -> list[tuple[dict[str, float], float]]:
    """Mean PSNR of every candidate.

    Args:
        baseline: with its candidates.
        faces: uint8 (N, S, S, 3), sharp.
        protocol: what blurs them.
        progress: show a progress bar.

    Returns:
        list of (constants, mean PSNR in dB).

    Raises:
        ImportError: scikit-image or SciPy is not installed.
    """
    from deblur_zoo.metrics.image_quality import PSNR_CAP, psnr

    batches = list(protocol.batches(faces))
    found = []
    for constants in tqdm(baseline.candidates, desc=baseline.title, disable=None if progress else True):
        tried, scores = replace(baseline, constants=constants), []
        for batch in batches:
            restored = tried(batch.blurred, [protocol.bank.kernel(kernel) for kernel in batch.kernels])
            scores += np.minimum(psnr(as_float(batch.sharp), as_float(restored)), PSNR_CAP).tolist()
        found.append((constants, float(np.mean(scores))))
    return found
