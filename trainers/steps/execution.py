"""Compiled functions and device names for the current backend."""

import platform
from pathlib import Path

from trainers.steps.engines import check_backend


def _backend():
    if check_backend() == "jax":
        from trainers.steps import jax_execution as execution
    else:
        from trainers.steps import tensorflow_execution as execution
    return execution


def compiled(function, model=None):
    """Compile a function of arrays; see ``trainers.steps.tensorflow_execution.compiled``."""
    return _backend().compiled(function, model)


def device_names():
    """Names of the accelerators that a run uses, or of the CPU."""
    return _backend().device_names() or [_processor()]


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor() or platform.machine()
