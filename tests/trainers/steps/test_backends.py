"""The same steps under TensorFlow and JAX: losses, weights and moving averages agree."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parents[1]


def run_on(backend, script, folder, *arguments):
    """The arrays that a script leaves when it runs on a backend, on the batch in the folder."""
    result = folder / f"{backend}.npz"
    command = [sys.executable, str(HERE / script), *arguments, str(folder / "batch.npz"), str(result)]
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    with np.load(result) as arrays:
        return dict(arrays)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_steps_agree_between_tensorflow_and_jax(tmp_path):
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (4, 12, 16, 3), dtype=np.uint8) for name in ("blurred", "sharp")}
    # The shapes of step_on_backend's model: first, reductions, branches, gains, merge, last.
    shapes = [(6, 6, 3, 6), (6,), (1, 1, 6, 4), (4,), (1, 1, 6, 4), (4,), (1, 1, 4, 4), (4,), (3, 3, 4, 4), (4,)]
    shapes += [(8, 8), (8,), (1, 1, 8, 6), (6,), (2, 2, 3, 6), (3,)]
    weights = {f"weight_{i}": rng.normal(scale=0.3, size=shape).astype("float32") for i, shape in enumerate(shapes)}
    np.savez(tmp_path / "batch.npz", **batch, **weights)
    one, other = (run_on(backend, "step_on_backend.py", tmp_path) for backend in ("tensorflow", "jax"))
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


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.parametrize("kind", ["wasserstein", "sigmoid"])
def test_adversarial_steps_agree_between_tensorflow_and_jax(kind, tmp_path):
    rng = np.random.default_rng(1)
    # Two critic steps for one of the generator: two batches of three.
    batch = {name: rng.integers(0, 256, (6, 12, 16, 3), dtype=np.uint8) for name in ("blurred", "sharp")}
    np.savez(tmp_path / "batch.npz", **batch)
    one, other = (run_on(backend, "adversarial_on_backend.py", tmp_path, kind) for backend in ("tensorflow", "jax"))
    assert one["step"] == other["step"] == 3
    assert sorted(one) == sorted(other)
    for name in one:
        if name.startswith(("history", "gradient")):
            # Relative to the largest: single entries of a gradient may be sums that cancel.
            scale = np.abs(one[name]).max()
            np.testing.assert_allclose(one[name], other[name], atol=1e-4 * scale, err_msg=name)
            assert scale > 1e-6, f"{name} is zero"
        else:
            np.testing.assert_allclose(one[name], other[name], atol=1e-5, err_msg=name)
    # Frozen means weights and moving statistics; everything else moved.
    for name in one:
        if name.startswith("before_") and "average" not in name:
            after = one[name.removeprefix("before_")]
            assert np.array_equal(after, one[name]) == name.startswith("before_model.frozen"), name
