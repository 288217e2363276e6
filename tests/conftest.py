"""What every test shares."""

import gc
import os

import numpy as np
import pytest

from deblur_zoo.files import tensorflow_import
from tests import colour_profiles as module_of_profiles

# Before any test imports TensorFlow, whose messages hide the report of a failure; and so that the commands that tests
# start are as quiet as for a user who has not set it.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
tensorflow_import.prepare()
# Optimising the small networks of tests takes JAX longer than running them.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"

TINY = {"width": 8, "reduced_width": 4, "modules": 1, "kernel_sizes": [1, 3], "scale": 2, "image_skip": True}


def pytest_terminal_summary(terminalreporter, config):
    """pytest-randomly says its seed above the tests, which -q leaves out."""
    if config.pluginmanager.hasplugin("randomly"):
        terminalreporter.write_line(f"The order again: pytest --randomly-seed={config.option.randomly_seed}")


def pytest_collection_finish(session):
    """Collecting garbage need not go through TensorFlow's modules each time."""
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_model():
    """A small network that changes its input visibly, and whose weights float16 holds exactly. Not to be changed."""
    from deblur_zoo.models.one_step import OneStep

    model = OneStep(name="tiny", **TINY)
    model.build()
    random = np.random.default_rng(0)
    weights = [random.normal(0, 0.1, weight.shape).astype(np.float16) for weight in model.weights]
    model.set_weights([weight.astype(np.float32) for weight in weights])
    yield model
    for weight, given in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, given)


@pytest.fixture(scope="session")
def make_small_model():
    """A function of a class, ``OneStep`` unless given, to a small network for an exporter; the same one every time."""

    def make(cls=None):
        from deblur_zoo.models.one_step import OneStep

        arguments = {**TINY, "scale": 4}
        model = (cls or OneStep)(name="small", **arguments)
        model.build()
        # An output layer of zeros would pass any comparison; of large ones `deblur` rejects the result.
        for weight in model.weights:
            weight.assign(0.08 * np.random.default_rng(len(weight.shape)).standard_normal(weight.shape))
        return model

    return make


@pytest.fixture
def tiny_preset(tmp_path, tiny_model):
    """A preset directory with that network."""
    from deblur_zoo.zoo.presets import save_preset

    save_preset(tiny_model, tmp_path / "tiny", "tiny", paper={"title": "A paper"}, license={"code": "Apache-2.0"})
    return tmp_path / "tiny"


@pytest.fixture(scope="session")
def colour_profiles():
    """The module that writes profiles."""
    return module_of_profiles
