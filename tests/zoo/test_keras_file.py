"""``model.save`` and what reads it, in this process and in new ones on each backend."""

import importlib
import importlib.util
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import deblur_zoo
import deblur_zoo.models
from deblur_zoo import zoo
from deblur_zoo.zoo import keras_classes, keras_file, presets
from deblur_zoo.zoo.weights import load_weights
from tests import small_presets
from tests.zoo import reload_on_backend as on_backend

ROOT = Path(__file__).parents[2]


# Classes that no preset names, at test width.
OTHERS = {
    "ConditionalDiscriminator": {"width": 4, "depth": 3},
    "FaceDiscriminator": {"width": 4, "depth": 3},
    "PatchCritic": {"width": 4, "depth": 2},
    "SharpPathway": {"widths": [4, 4, 4]},
    "UmsnTrainingNetworks": {"feature_width": 4, "confidence": {"width": 4, "hidden_width": 8}},
}


def class_of(name):
    return getattr(importlib.import_module(keras_classes.MODULES[name]), name)


def with_inception_module():
    layer = class_of("InceptionModule")(width=4, reduced_width=2, kernel_sizes=(1, 3))
    return keras.Sequential([keras.Input((None, None, 4)), layer])


def shaken(model):
    """A built model whose weights are none of the initial ones: zeros would hide what is lost."""
    if not model.built:
        model.build((None, None, None, 3))
    random = np.random.default_rng(1)
    model.set_weights([value + 0.05 * np.abs(random.standard_normal(value.shape)) for value in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def models():
    """A model of every class at test width; deblurrers and parsers as the smallest preset of the class has them."""
    configs = [small_presets.small_config(name) for name in sorted(zoo.list_models(), key=lambda name: "lite" in name)]
    made = {name: presets.build_model(config) for name, config in {each["class"]: each for each in configs}.items()}
    made |= {name: class_of(name)(**arguments) for name, arguments in OTHERS.items()}
    return {name: shaken(model) for name, model in (made | {"InceptionModule": with_inception_module()}).items()}


@pytest.fixture(scope="module")
def saved(models, tmp_path_factory):
    """The folder that ``reload_on_backend.py`` takes, of files alone."""
    folder = tmp_path_factory.mktemp("saved")
    # A model that has run must be saved as well as another.
    models["OneStep"].run(on_backend.PICTURES)
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
    np.savez(folder / "weights.npz", **{name: on_backend.flat_weights(model) for name, model in models.items()})
    return folder


@pytest.fixture(scope="module")
def saved_with_answers(models, saved, tmp_path_factory):
    folder = shutil.copytree(saved, tmp_path_factory.mktemp("with_answers") / "saved")
    networks = {name: model for name, model in models.items() if hasattr(model, "kind")}
    np.savez(folder / "answers.npz", **{name: model.run(on_backend.PICTURES) for name, model in networks.items()})
    shipped = {}
    for name in zoo.list_models(trained=True):
        model = zoo.load(name)
        shipped[name] = model.parse(on_backend.FACE) if model.kind == "parser" else model.deblur(on_backend.FACE)
    np.savez(folder / "shipped.npz", **shipped)
    return folder


def reload(folder, backend):
    """What a new process on a backend says of the folder."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("reload_on_backend.py")), str(folder)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.strip()


# JAX compiles each operation while a model is built.
@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_a_new_process_reloads_every_class(saved, backend):
    assert set(keras_classes.MODULES) == {path.stem for path in saved.glob("*.keras")}
    assert reload(saved, backend) == f"checked {len(keras_classes.MODULES)} files, 0 networks and 0 presets"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_new_process_restores_with_every_class_and_trained_preset(saved_with_answers, backend):
    trained = len(zoo.list_models(trained=True))
    said = reload(saved_with_answers, backend)
    assert said == f"checked {len(keras_classes.MODULES)} files, {len(presets.CLASSES)} networks and {trained} presets"


def test_the_table_has_every_registered_class():
    for module in pkgutil.iter_modules(deblur_zoo.models.__path__):
        importlib.import_module(f"deblur_zoo.models.{module.name}")
    registered = {
        name: found
        for name, found in keras.saving.get_custom_objects().items()
        if name.startswith("deblur_zoo>") and found.__module__.startswith("deblur_zoo.")
    }
    assert {f"deblur_zoo>{name}": module for name, module in keras_classes.MODULES.items()} == {
        name: found.__module__ for name, found in registered.items()
    }
    assert all(hasattr(found, "get_config") for found in registered.values())


def test_files_that_are_no_model_of_the_zoo_are_refused(tmp_path, tiny_model):
    tiny_model.save(tmp_path / "good.keras")
    good = (tmp_path / "good.keras").read_bytes()
    (tmp_path / "short.keras").write_bytes(good[:-500])
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(ValueError, match="damaged"):
        zoo.load(tmp_path / "short.keras")
    with pytest.raises(ValueError, match="damaged"):
        zoo.load(tmp_path / "text.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="neither a deblurrer nor a parser"):
        zoo.load(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="kind 'parser'"):
        zoo.load(tmp_path / "good.keras", kind="parser")
    with pytest.raises(ValueError, match="part of it"):
        zoo.load(tmp_path / "good.keras", weights=False)


def rewritten(source, target, compression=zipfile.ZIP_STORED, **arguments):
    """A copy of a ``.keras`` file with other arguments of the model's class."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"] |= arguments
                content = json.dumps(config)
            new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ({"width": 90_000}, "would have [0-9,]{9,} weights"),
        ({"modules": 1_000_000}, "modules is 1000000"),
        ({"modules": 301}, "parts of it are repeated 301 times"),
        ({"width": "wide"}, "whole numbers"),
        ({"dtype": "float99"}, "float99"),
        ({"widht": 8}, "widht"),
        ({"dtype": {"module": "os", "class_name": "system", "config": {}}}, "names the module 'os'"),
    ],
)
def test_arguments_are_checked_before_the_network_is_built(tmp_path, tiny_model, monkeypatch, arguments, reason):
    """Numbers that would take gigabytes or hours."""
    tiny_model.save(tmp_path / "good.keras")
    built = []
    monkeypatch.setattr(keras_file, "load_weights", lambda model, path: built.append(load_weights(model, path)))
    path = rewritten(tmp_path / "good.keras", tmp_path / "changed.keras", **arguments)
    with pytest.raises(ValueError, match=rf"changed\.keras .*{reason}"):
        zoo.load(path)
    assert not built


def test_weights_of_a_file_are_checked_as_a_presets_are(tmp_path, tiny_model):
    """What is compressed, and what a weight file must not hold: data that Keras would unpack to gigabytes."""
    tiny_model.save(tmp_path / "good.keras")
    with pytest.raises(ValueError, match="its weights are compressed"):
        zoo.load(rewritten(tmp_path / "good.keras", tmp_path / "packed.keras", zipfile.ZIP_DEFLATED))
    weights = tmp_path / "model.weights.h5"
    with zipfile.ZipFile(tmp_path / "good.keras") as old, zipfile.ZipFile(tmp_path / "chunked.keras", "w") as new:
        weights.write_bytes(old.read(weights.name))
        with h5py.File(weights, "r+") as file:
            values = file["first/vars/0"][()]
            del file["first/vars/0"]
            file["junk"] = values
            file.create_dataset("first/vars/0", shape=(1 << 30,), dtype="i1", chunks=(1 << 20,), compression="gzip")
        new.writestr("config.json", old.read("config.json"))
        new.write(weights, weights.name)
    with pytest.raises(ValueError, match="chunked.keras is damaged .* chunked or compressed data"):
        zoo.load(tmp_path / "chunked.keras")


def test_a_compiled_and_trained_model_is_loaded(tmp_path):
    model = class_of("OneStep")(width=4, reduced_width=2, modules=1, kernel_sizes=(1,), scale=1, dtype="mixed_bfloat16")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(on_backend.PICTURES, on_backend.PICTURES, verbose=0)
    model.save(tmp_path / "trained.keras")
    loaded = zoo.load(tmp_path / "trained.keras")
    assert loaded.name == model.name and loaded.dtype_policy.name == "mixed_bfloat16"
    for weight, wanted in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_a_registered_class_of_ones_own_is_loaded(tmp_path):
    @keras.saving.register_keras_serializable("somebody")
    class Mine(class_of("OneStep")):
        pass

    model = shaken(Mine(width=4, reduced_width=2, modules=1, kernel_sizes=(1,), scale=1))
    model.save(tmp_path / "mine.keras")
    loaded = deblur_zoo.load(str(tmp_path / "mine.keras"))
    assert type(loaded) is Mine
    np.testing.assert_array_equal(loaded.deblur(on_backend.FACE), model.deblur(on_backend.FACE))
