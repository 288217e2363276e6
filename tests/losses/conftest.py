"""Gradients on the active backend."""

import pytest

from tests.losses import gradients as module


@pytest.fixture(scope="session")
def gradients():
    """function(loss, *arrays) -> gradient of the sum with respect to each array, on the active backend."""
    return module.gradients


@pytest.fixture(scope="session")
def gradient_tensors():
    """The same of tensors, to be nested."""
    return module.gradient_tensors
