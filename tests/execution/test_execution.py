"""Models compiled once, on the backend in use and, in processes of their own, on the others."""

import copy
import gc
import importlib.util
import os
import pickle
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest

from deblur_zoo import execution
from deblur_zoo.models.one_step import OneStep
from tests.commands import run_python
from tests.execution import checks_on_backend as checks

if keras.backend.backend() != "tensorflow":
    pytest.skip("the other backends have processes of their own", allow_module_level=True)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model():
    return checks.small_model()


def test_any_size_and_batch_from_one_graph(model):
    traced, again = checks.check_any_size_and_batch(model)
    assert [tuple(shape) for shape in traced] == [(None, None, None, 3)] and again == 0


def test_changed_weights(model):
    checks.check_changed_weights(model)


def test_threads(model):
    checks.check_threads(model)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    result = run_python(Path(__file__).with_name("checks_on_backend.py"), env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    # JAX: (1, 8, 8) | (4, 8, 8) twice | (2, 4, 4) | (8, 16, 4) | (1, 12, 16). Torch runs all six each time.
    assert result.stdout.split()[-3:] == {"jax": ["jax", "5", "0"], "torch": ["torch", "6", "6"]}[backend]


def test_what_compile_set_is_left_alone(model):
    model.compile(optimizer="sgd", loss="mse", jit_compile=True, run_eagerly=False)
    before = (model.jit_compile, model.run_eagerly, model.optimizer, model.predict_function)
    model.deblur(np.zeros((6, 6, 3), np.uint8))
    assert (model.jit_compile, model.run_eagerly, model.optimizer, model.predict_function) == before
    untouched = checks.small_model()
    untouched.run(checks.pictures(1, 8, 8))
    assert untouched._jit_compile is None


def test_a_model_that_has_run_is_pickled_copied_saved_and_cloned(model, tmp_path):
    images = checks.pictures(2, 7, 9)
    expected = model.run(images)
    model.save(tmp_path / "m.keras")
    signature = [keras.InputSpec(shape=(None, None, None, 3), dtype="float32")]
    model.export(tmp_path / "exported", input_signature=signature, verbose=False)
    copies = {
        "pickled": pickle.loads(pickle.dumps(model)),
        "copied": copy.deepcopy(model),
        "saved": keras.saving.load_model(tmp_path / "m.keras"),
        "cloned": keras.models.clone_model(model),
    }
    copies["cloned"].build()
    copies["cloned"].set_weights(model.get_weights())
    model.set_weights([0 * value for value in model.get_weights()])
    for name, each in copies.items():
        np.testing.assert_allclose(each.run(images), expected, atol=1e-6, err_msg=name)
    assert np.abs(model.run(images) - expected).max() > 1e-3


def test_a_replaced_variable_is_noticed(model):
    images = checks.pictures(1, 8, 8)
    model.run(images)
    layer = next(layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dense))
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
    np.testing.assert_allclose(model.run(images), checks.plain(model, images), atol=1e-5)


def test_an_unbuilt_model_runs():
    model = OneStep(width=4, reduced_width=2, modules=1, kernel_sizes=(1,), scale=1)
    assert not model.built and model.run(checks.pictures(1, 5, 4)).shape == (1, 5, 4, 3)


def test_a_model_that_has_run_can_be_freed():
    model = checks.small_model()
    model.run(checks.pictures(1, 8, 8))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_functions_of_several_arrays():
    function = execution.compiled(lambda one, two: {"sum": keras.ops.add(one, two), "one": keras.ops.exp(one)})
    found = function(np.float32([0, 1]), np.float32([2, 3]))
    np.testing.assert_allclose(found["sum"], [2, 4])
    np.testing.assert_allclose(found["one"], [1, np.e], rtol=1e-6)
    assert all(isinstance(value, np.ndarray) for value in found.values())


def test_the_processor_is_named():
    assert execution.device_names() and all(isinstance(name, str) and name for name in execution.device_names())
