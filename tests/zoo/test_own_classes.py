"""Presets of classes that are not the zoo's, ``from_preset``, and configs that name what nobody has imported."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import deblur_zoo
from deblur_zoo.models.deblurrer import Deblurrer
from deblur_zoo.models.one_step import OneStep
from deblur_zoo.models.parser import Parser
from tests.commands import run_python

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import own_networks  # noqa: E402

sys.path.remove(str(HERE))

IMAGES = np.random.default_rng(0).uniform(size=(2, 9, 7, 3)).astype(np.float32)


def python(code, *folders):
    """Run code in a process of its own that imports from the repository and from folders."""
    paths = [str(path) for path in (ROOT, *folders)]
    code = f"import sys; sys.path[:0] = {paths!r}\n{code}"
    return run_python("-c", code)


def test_an_own_class_is_saved_and_loaded(tmp_path):
    model = own_networks.sharpen(width=6, strength=0.25)
    config = deblur_zoo.save_preset(model, tmp_path / "mine", license={"code": "MIT"})
    assert (config["class"], config["name"], config["kind"]) == ("own>Sharpen", "mine", "deblurrer")
    assert config["arguments"] == {"width": 6, "strength": 0.25}
    for loaded in (
        deblur_zoo.load(tmp_path / "mine"),
        Deblurrer.from_preset(tmp_path / "mine"),
        own_networks.Sharpen.from_preset(str(tmp_path / "mine")),
    ):
        assert type(loaded) is own_networks.Sharpen and loaded.name == "mine"
        np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
    assert "own>Sharpen, width=6" in str(deblur_zoo.describe(tmp_path / "mine"))


def test_another_process_must_import_the_class_itself(tmp_path):
    deblur_zoo.save_preset(own_networks.sharpen(), tmp_path / "mine")
    code = f"""
import deblur_zoo
try:
    deblur_zoo.load({str(tmp_path / "mine")!r})
except ValueError as error:
    print(error)
import own_networks
print(deblur_zoo.load({str(tmp_path / "mine")!r}).width)
"""
    done = python(code, HERE)
    assert done.returncode == 0, done.stderr
    refused, width = done.stdout.splitlines()
    assert "'own>Sharpen' is neither" in refused and "import the module that registers it" in refused
    assert width == "6"


class Plain(Deblurrer):
    """Not registered."""


@keras.saving.register_keras_serializable(package="own")
class Forgetful(own_networks.Sharpen):
    """Says nothing of its arguments."""

    def get_config(self):
        return {"name": self.name}


@keras.saving.register_keras_serializable(package="own")
class Wrong(own_networks.Sharpen):
    """Says something else than it was made with."""

    def get_config(self):
        return {**super().get_config(), "width": self.width + 1}


@keras.saving.register_keras_serializable(package="own")
class Unwritable(own_networks.Sharpen):
    def get_config(self):
        return {**super().get_config(), "width": {4}}


@keras.saving.register_keras_serializable(package="own")
class Modular(own_networks.Sharpen):
    def get_config(self):
        return {**super().get_config(), "strength": {"module": "somebody.activations", "class_name": "Swish"}}


@keras.saving.register_keras_serializable(package="own")
class NoModel(keras.layers.Layer):
    """Registered, but nothing that restores or parses pictures."""


@pytest.mark.parametrize(
    "make, words",
    [
        (Plain, "register_keras_serializable"),
        (lambda: type("OneStep", (Plain,), {})(), "OneStep cannot be saved.*register_keras_serializable"),
        (lambda: keras.Sequential([layers.Dense(1)]), "a Deblurrer or a Parser, not a Sequential"),
        (Forgetful, r"get_config\(\) lacks .*'width'"),
        (Wrong, "another network"),
        (Unwritable, "JSON"),
        (Modular, "module 'somebody.activations'"),
    ],
)
def test_a_model_that_could_not_be_loaded_again_is_not_saved(make, words, tmp_path):
    model = make()
    if isinstance(model, own_networks.Sharpen):
        model.build()
    with pytest.raises(ValueError, match=words):
        deblur_zoo.save_preset(model, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_name_that_no_file_should_have_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="the name 'a/b'"):
        deblur_zoo.save_preset(own_networks.sharpen(), tmp_path / "mine", "a/b")
    assert not (tmp_path / "mine").exists()


def test_from_preset_takes_presets_of_its_class_alone():
    assert type(OneStep.from_preset("one_step_lite")) is OneStep
    assert OneStep.from_preset("one_step_paper", weights=False).name == "one_step_paper"
    for cls, source in ((OneStep, "umsn_lite"), (Parser, "one_step_lite"), (own_networks.Sharpen, "umsn_paper")):
        with pytest.raises(ValueError, match=rf"{source} .*not {cls.__name__}"):
            cls.from_preset(source)


CANARY = 'raise SystemExit("the canary was imported")\n'


@pytest.mark.parametrize(
    "changes",
    [
        {"class": "canary>Net"},
        {"class": "canary.Net"},
        {"class": "canary"},
        {"class": {"module": "canary", "class_name": "Net", "config": {}}},
        {"class": "own>NoModel"},
        {"arguments": {"width": 4, "strength": {"module": "canary", "class_name": "Net", "config": {}}}},
        {"arguments": {"width": [4, [{"module": "canary.networks", "class_name": "Net", "config": {}}]]}},
    ],
    ids=str,
)
def test_a_config_from_elsewhere_imports_nothing(changes, tmp_path, monkeypatch):
    (tmp_path / "canary.py").write_text(CANARY)
    monkeypatch.syspath_prepend(tmp_path)
    deblur_zoo.save_preset(own_networks.sharpen(), tmp_path / "mine")
    path = tmp_path / "mine" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    for use in (deblur_zoo.load, deblur_zoo.describe, Deblurrer.from_preset, deblur_zoo.Restorer):
        with pytest.raises(ValueError, match="canary|NoModel"):
            use(tmp_path / "mine")
    assert "canary" not in sys.modules
    # The canary sings where it is imported.
    with pytest.raises(SystemExit):
        __import__("canary")
