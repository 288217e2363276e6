"""Data parallelism under JAX: Keras's DataParallel over the devices of one machine."""

import os

import jax
import keras

from trainers.distribution.base import Distribution

HOST_DEVICES = "--xla_force_host_platform_device_count"


class DataParallel(Distribution):
    """Every device holds all weights and a part of each batch; XLA inserts the communication.

    The step is written for the global batch, so batch normalisation and shares of a batch apply to all of it.

    Args:
        replicas: number of devices; None: all.

    Raises:
        ValueError: fewer devices than replicas.
    """

    def __init__(self, replicas=None):
        flags = os.environ.get("XLA_FLAGS", "")
        if replicas and HOST_DEVICES not in flags:
            # Read when the first device is requested; it only sets the number of CPU devices.
            os.environ["XLA_FLAGS"] = f"{flags} {HOST_DEVICES}={replicas}".strip()
        devices = jax.devices()
        if replicas and len(devices) < replicas:
            raise ValueError(f"--replicas {replicas}: JAX sees only {len(devices)} devices")
        devices = devices[:replicas]
        self.replicas = len(devices)
        # Permanent: variables are placed on creation, and a stage creates its optimisers' long after the model's.
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
