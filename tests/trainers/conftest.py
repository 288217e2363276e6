"""A tiny preset with a recipe and a few faces, and an uninterrupted run of it."""

import copy
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.commands import run_python

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = {
    "width": 6, "reduced_width": 4, "modules": 1, "kernel_sizes": (1, 3), "scale": 2, "image_skip": True,
}  # fmt: skip
STAGE = {"optimizer": "sgd", "learning_rate": {"peak": 0.05, "decay": "constant"}}
RECIPE = {
    "format_version": 1,
    "method": "one_step",
    "batch_size": 2,
    "average": 0.9,
    "steps_per_epoch": 2,
    "validate_every": 4,
    "data": {
        "crop_size": 32,
        "unblurred_share": 0.2,
        "kernels": {"linear": {"share": 1.0, "count": 9, "sizes": [9, 11]}},
    },
    "stages": [
        {"name": "content", "steps": 6, **STAGE, "losses": {"l2": 1.0}},
        {"name": "smooth", "steps": 4, **STAGE, "optimizer": "rmsprop", "losses": {"l2": 1.0, "total_variation": 0.1}},
    ],
}
FLAGS = {
    "recipe": None, "seed": None, "batch_size": None, "precision": None, "steps": None, "identity_network": None,
    "networks": {}, "labels": [], "init_parts": {}, "init_from": None, "development_faces": 3,
}  # fmt: skip


class Workplace(SimpleNamespace):
    """A folder with ``preset`` and ``faces``, which no test may change, and the runs of the tests."""

    def flags(self, out, **changes):
        faces = str(self.faces)
        own = {"preset": str(self.preset), "faces": [faces], "development": faces, "out": str(self.folder / out)}
        return {**FLAGS, **own, **changes}

    def recipe(self):
        return copy.deepcopy(RECIPE)

    def write_recipe(self, name, recipe):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(recipe))
        return str(path)

    def command(self, *arguments, script=("-m", "trainers"), backend="tensorflow", folder=ROOT):
        """Run a command in a process of its own and give what it left."""
        environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        return run_python(*script, *arguments, cwd=folder, env=environment, timeout=500)

    def weights(self, out):
        """The last weights of a run."""
        from deblur_zoo.models.one_step import OneStep

        model = OneStep(**ARGUMENTS)
        model.build()
        model.load_weights(self.folder / out / "last.weights.h5")
        return model.get_weights()


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    from deblur_zoo.models.one_step import OneStep
    from deblur_zoo.zoo import presets

    folder = tmp_path_factory.mktemp("training")
    model = OneStep(**ARGUMENTS, name="tiny")
    model.build()
    presets.save_preset(model, folder / "tiny", "tiny", weights=False, without_weights="It is a test.")
    (folder / "tiny" / "recipe.json").write_text(json.dumps(RECIPE))
    (folder / "faces").mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / "faces" / f"{i}.png")
    given = _content(folder)
    yield Workplace(folder=folder, preset=folder / "tiny", faces=folder / "faces", tests=Path(__file__).parent)
    assert _content(folder / "tiny") | _content(folder / "faces") == given


@pytest.fixture(scope="session")
def finished(workplace):
    """An uninterrupted run, in the folder "whole". Not to be changed."""
    from trainers.runs.run import Run

    run = Run.prepare(workplace.flags("whole"))
    run.train(verbose=0)
    files, weights = _content(run.folder), run.trainer.model.get_weights()
    yield run
    assert _content(run.folder) == files and int(run.trainer.step) == 10
    for weight, given in zip(run.trainer.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, given)


def _content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
