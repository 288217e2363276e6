"""The same steps under TensorFlow and JAX: losses, weights and moving averages agree."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from tests.commands import run_python

if importlib.util.find_spec("jax") is None:
    pytest.skip("JAX is not installed", allow_module_level=True)
SCRIPT = Path(__file__).parents[1] / "steps_on_backend.py"
BACKENDS = ("tensorflow", "jax")


def plain_batch():
    """A batch, and weights of plain_on_backend's model."""
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (4, 12, 16, 3), dtype=np.uint8) for name in ("blurred", "sharp")}
    # The shapes of first, reductions, branches, gains, merge, last.
    shapes = [(6, 6, 3, 6), (6,), (1, 1, 6, 4), (4,), (1, 1, 6, 4), (4,), (1, 1, 4, 4), (4,), (3, 3, 4, 4), (4,)]
    shapes += [(8, 8), (8,), (1, 1, 8, 6), (6,), (2, 2, 3, 6), (3,)]
    weights = {f"weight_{i}": rng.normal(scale=0.3, size=shape).astype("float32") for i, shape in enumerate(shapes)}
    return batch, weights


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The arrays of every case on each backend: a dict of case to two dicts."""
    folder = tmp_path_factory.mktemp("steps")
    batch, weights = plain_batch()
    np.savez(folder / "plain.npz", **batch, **weights)
    rng = np.random.default_rng(1)
    # Two critic steps for one of the generator: two batches of three.
    batch = {name: rng.integers(0, 256, (6, 12, 16, 3), dtype=np.uint8) for name in ("blurred", "sharp")}
    np.savez(folder / "adversarial.npz", **batch)
    for backend in BACKENDS:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
        finished = run_python(SCRIPT, folder, env=environment, timeout=500)
        assert finished.returncode == 0, finished.stderr
    cases = ("plain", "wasserstein", "sigmoid")
    return {case: [dict(np.load(folder / f"{backend}_{case}.npz")) for backend in BACKENDS] for case in cases}


def test_steps_agree_between_tensorflow_and_jax(results):
    _, weights = plain_batch()
    one, other = results["plain"]
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


@pytest.mark.parametrize("kind", ["wasserstein", "sigmoid"])
def test_adversarial_steps_agree_between_tensorflow_and_jax(kind, results):
    one, other = results[kind]
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
