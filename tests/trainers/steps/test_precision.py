"""bfloat16 and float16 with loss scaling in the custom step, under TensorFlow and under JAX."""

import functools
import importlib.util
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.commands import run_python

SCRIPT = Path(__file__).parents[1] / "precision_on_backend.py"
BACKENDS = [
    "tensorflow",
    pytest.param(
        "jax", marks=pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
    ),
]


@functools.cache
def results(backend):
    """What the script leaves on a backend, as a dict of dicts by case."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.npz"
        finished = run_python(SCRIPT, path, env=environment)
        assert finished.returncode == 0, finished.stderr
        found = {}
        with np.load(path) as arrays:
            for name in arrays.files:
                case, _, what = name.partition("/")
                found.setdefault(case, {})[what] = arrays[name]
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_that_would_underflow_arrives(backend):
    found = results(backend)
    for name, exact in found["float32"].items():
        assert np.any(exact), f"the gradient {name} says nothing"
        player = name.partition("_")[0]
        largest = max(np.abs(value).max() for other, value in found["float32"].items() if other.startswith(player))
        # Units in the last of 11 and of 8 significant bits: up to 11 were measured, since some ten values are rounded
        # one after the other. Of the player's largest gradient, since a bias' is a sum that cancels for the most part.
        # TensorFlow also rounds sums to bfloat16 on processors without instructions for it: up to 32.
        for precision, limit in (("mixed_float16", 24 * 2**-11), ("mixed_bfloat16", 64 * 2**-8)):
            error = np.abs(found[precision][name] - exact).max() / largest
            assert error < limit, (precision, name, error)
        # The control: without scaling nothing arrives.
        assert np.all(found["mixed_float16_unscaled"][name] == 0), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_overflow_halves_the_scale_and_leaves_the_player_as_it_was(backend):
    before, after = results(backend)["before"], results(backend)["overflow"]
    assert before["scale_generator"] == 2.0**40 and after["scale_generator"] == 2.0**39
    assert after["step"] == before["step"] + 1
    # The critic has a scale of its own, which fits: it takes its step.
    assert before["scale_critic"] == after["scale_critic"] == 2.0**15
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    players = {name for name in moved if name.startswith("inner_")}
    assert players and all(name.startswith("inner_critic") for name in players)
    assert any(name.startswith("critic") for name in moved)
    # Of the model nothing but batch statistics (the last two of the five), which the forward pass moves.
    assert {name for name in moved if name.startswith("model")} <= {"model.first_3", "model.first_4"}
    # There was something to lose: momentum and a count of one step.
    assert all(np.any(before[f"inner_generator_{i}"]) for i in (0, 1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_scale_survives_a_resume(backend):
    found = results(backend)
    for stopped, resumed in (("overflow", "resumed"), ("went_on", "resumed_went_on")):
        assert found[stopped].keys() == found[resumed].keys()
        for name, value in found[stopped].items():
            np.testing.assert_allclose(found[resumed][name], value, atol=1e-7, err_msg=name)
    assert found["resumed"]["scale_generator"] == 2.0**39
    # The training that goes on does take steps.
    assert np.any(found["went_on"]["model.second_0"] != found["overflow"]["model.second_0"])
