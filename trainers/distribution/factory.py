"""Create a distribution by name."""

from trainers.distribution.base import Distribution
from trainers.steps.engines import check_backend

# The kinds of distribution and their backends; None: any.
KINDS = {"none": None, "mirrored": "tensorflow", "multi_worker": "tensorflow", "data_parallel": "jax"}


def make_distribution(kind="none", replicas=None):
    """Create a distribution. Must be called before the backend's devices are used.

    Args:
        kind: a key of ``KINDS``.
        replicas: number of devices; None: all GPUs. Without a GPU the CPU is split into that many devices, for trying
            a distribution out.

    Raises:
        ValueError: an unknown kind, the wrong backend, missing devices, or no TF_CONFIG.
    """
    backend = check_backend()
    if kind not in KINDS:
        raise ValueError(f"unknown distribution {kind!r}; accepted: {', '.join(KINDS)}")
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
