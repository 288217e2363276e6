"""The tests of losses and feature networks once more, under JAX."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="this is the other run")
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.slow
@pytest.mark.parametrize("folder", ["losses", "features"])
def test_the_same_tests_pass_under_jax(folder):
    # A process of its own, since Keras' backend is fixed when it is imported.
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(TESTS / folder)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=TESTS.parent, timeout=600)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert " passed" in result.stdout or "100%" in result.stdout
