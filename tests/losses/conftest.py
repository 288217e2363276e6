"""Load the helpers of this folder by path, since tests are not a package."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("gradients", Path(__file__).parent / "gradients.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def gradients():
    """function(loss, *arrays) -> gradient of the sum with respect to each array, on the active backend."""
    return _module.gradients


@pytest.fixture(scope="session")
def gradient_tensors():
    """The same of tensors, to be nested."""
    return _module.gradient_tensors
