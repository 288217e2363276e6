"""The distribution that a flag names."""

from trainers.distribution.base import Distribution
from trainers.steps.engines import check_backend

# The kinds of distribution and the backend that each needs; None: any.
KINDS = {"none": None, "mirrored": "tensorflow", "multi_worker": "tensorflow", "data_parallel": "jax"}


def make_distribution(kind="none", replicas=None):
    """The distribution that a flag names. Called before anything else touches the backend's devices.

    Args:
        kind: a key of ``KINDS``.
        replicas: number of devices; None: all GPUs. Where there is no GPU: that many parts of the processor, to try a
            distribution out.

    Raises:
        ValueError: an unknown kind, another backend than it needs, devices that are not there, or no TF_CONFIG.
    """
    backend = check_backend()
    if kind not in KINDS:
        raise ValueError(f"distribution {kind!r} is not known; accepted: {', '.join(KINDS)}")
    if KINDS[kind] not in (None, backend):
        raise ValueError(f"--distribution {kind} needs KERAS_BACKEND={KINDS[kind]}; the backend is {backend}")
    if kind == "none":
        if replicas not in (None, 1):
            raise ValueError("--replicas needs --distribution: mirrored, or data_parallel under JAX")
        return Distribution()
    if kind == "data_parallel":
        from trainers.distribution.jax import DataParallel

        return DataParallel(replicas)
    from trainers.distribution import tensorflow as distribution

    return distribution.Mirrored(replicas) if kind == "mirrored" else distribution.MultiWorker(replicas)
