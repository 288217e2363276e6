"""The same steps under TensorFlow and JAX: losses, weights and moving averages agree."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_steps_agree_between_tensorflow_and_jax(tmp_path):
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (4, 12, 16, 3), dtype=np.uint8) for name in ("blurred", "sharp")}
    # The shapes of step_on_backend's model: first, reductions, branches, gains, merge, last.
    shapes = [(6, 6, 3, 6), (6,), (1, 1, 6, 4), (4,), (1, 1, 6, 4), (4,), (1, 1, 4, 4), (4,), (3, 3, 4, 4), (4,)]
    shapes += [(8, 8), (8,), (1, 1, 8, 6), (6,), (2, 2, 3, 6), (3,)]
    weights = {f"weight_{i}": rng.normal(scale=0.3, size=shape).astype("float32") for i, shape in enumerate(shapes)}
    np.savez(tmp_path / "batch.npz", **batch, **weights)
    results = {}
    for backend in ("tensorflow", "jax"):
        command = [
            sys.executable,
            str(HERE / "step_on_backend.py"),
            tmp_path / "batch.npz",
            tmp_path / f"{backend}.npz",
        ]
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert finished.returncode == 0, finished.stderr
        with np.load(tmp_path / f"{backend}.npz") as arrays:
            results[backend] = dict(arrays)
    one, other = results["tensorflow"], results["jax"]
    assert one["step"] == other["step"] == 3
    assert sorted(one) == sorted(other)
    for name in one:
        if name.startswith("history"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4)
        else:
            np.testing.assert_allclose(one[name], other[name], atol=1e-5)
    # The steps did something, and the average lags behind.
    assert np.abs(one["model_15"] - weights["weight_15"]).max() > 1e-3
    assert np.abs(one["model_15"] - one["average_15"]).max() > 1e-5
