"""200 steps of every stage of every preset's recipe lower its content term, at test width, on faces that are public.

Run under KERAS_BACKEND=jax too, by the last test, in a process of its own.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from deblur_zoo import zoo
from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.synthesis import PairMaker, Synthesis
from deblur_zoo.files import pictures
from deblur_zoo.zoo import classes, presets
from tests import small_presets
from trainers.methods.registry import method_class
from trainers.runs.recipe import read_recipe
from trainers.steps.engines import trainer_class, training_batches
from trainers.steps.schedule import Schedule

ROOT = Path(__file__).resolve().parents[3]

SIDE, BATCH, STEPS = 32, 4, 200
# What a stage is there to lower; the first that it has.
CONTENT = ("l2", "l1", "content", "coarse", "hourglass", "features", "confidence", "parsing")
# Critics and auxiliary networks at test width.
SMALL_NETWORKS = {
    "ConditionalDiscriminator": {"width": 4, "depth": 3, "maximum_width": 8},
    "FaceDiscriminator": {"width": 4, "depth": 3, "maximum_width": 8},
    "PatchCritic": {"width": 4, "depth": 2, "maximum_width": 8},
    # The encoder's widths of two_step_gan at test width.
    "SharpPathway": {"widths": small_presets.narrow(range(8))},
    # umsn's width of features at test width.
    "UmsnTrainingNetworks": {"feature_width": 4, "confidence": {"width": 4, "hidden_width": 4}},
}
INDEX = presets.read_json(zoo.hub_folder() / "index.json")["presets"]
STAGES = [
    (name, stage["name"])
    for name in INDEX
    if (zoo.hub_folder() / name / "recipe.json").is_file()
    for stage in read_recipe(zoo.hub_folder() / name / "recipe.json")["stages"]
]


def rendered_face(skin, generator):
    """An oval with eyes, nose and mouth before a plain background, and its labels."""
    import cv2

    face = np.full((48, 48, 3), generator.integers(0, 256, 3), np.uint8)
    labels = np.zeros((48, 48), np.uint8)
    parts = [((24, 24), (16, 21), skin, 1), ((17, 19), (4, 2), (40, 30, 30), 4), ((31, 19), (4, 2), (40, 30, 30), 5),
             ((24, 25), (3, 5), tuple(int(0.8 * value) for value in skin), 6),
             ((24, 35), (7, 2), (150, 40, 50), 7)]  # fmt: skip
    for centre, axes, colour, label in parts:
        cv2.ellipse(face, centre, axes, 0, 0, 360, colour, -1)
        cv2.ellipse(labels, centre, axes, 0, 0, 360, label, -1)
    return face, labels


def faces_and_labels():
    import cv2

    generator = np.random.default_rng(0)
    skins = [(230, 190, 160), (180, 130, 100), (110, 75, 55), (70, 50, 40), (200, 160, 130)]
    pairs = [rendered_face(skin, generator) for skin in skins]
    astronaut = cv2.resize(
        pictures.read(ROOT / "examples" / "astronaut_face.png"), (48, 48), interpolation=cv2.INTER_AREA
    )
    # Nobody has labelled it: unknown.
    pairs.append((astronaut, np.full((48, 48), 255, np.uint8)))
    return tuple(np.stack(members) for members in zip(*pairs, strict=True))


def trainer_of(name, recipe):
    keras.utils.set_random_seed(0)
    config = small_presets.small_config(name)
    model, average = presets.build_model(config), presets.build_model(config)
    networks = []
    for specification in (recipe["critic"], recipe["auxiliary"]):
        network = None
        if specification:
            kind = specification["class"]
            module = importlib.import_module(classes.TRAINING_CLASSES[kind])
            network = getattr(module, kind)(**{**specification["arguments"], **SMALL_NETWORKS[kind]})
            network.build()
        networks.append(network)
    return trainer_class()(model, average, recipe["average"], *networks)


@pytest.mark.slow
@pytest.mark.parametrize("name,stage_name", STAGES, ids=lambda value: value)
def test_a_stage_lowers_its_content_term(name, stage_name):
    recipe = read_recipe(zoo.hub_folder() / name / "recipe.json")
    (stage,) = [stage for stage in recipe["stages"] if stage["name"] == stage_name]
    method = method_class(recipe["method"])
    losses = {term: weight for term, weight in stage["losses"].items() if term not in method.needs}
    faces, labels = faces_and_labels()
    bank = make_bank("linear", 9, [5, 7], 0)
    synthesis = Synthesis(SIDE, Augmentation(0.05, 2, 5, 0.5), noise=0.0, unblurred_share=0.1, shares={"linear": 1.0})
    pair_maker = PairMaker(faces, {"linear": bank}, synthesis, 0, labels)
    trainer = trainer_of(name, recipe)
    # Peaks of the recipes are for thousands of steps on full widths.
    rates = {"peak": 2e-3, "steps": STEPS, "warmup": 20, "decay": "constant"}
    trainer.start_stage(
        method(losses, stage["critic_losses"], **stage["options"]),
        keras.optimizers.get(stage["optimizer"]),
        Schedule(**rates),
        keras.optimizers.get(stage["critic_optimizer"]),
        Schedule(**{**rates, "peak": 2e-4}),
        critic_steps=stage["critic_steps"],
        train=stage["train"],
    )
    content = next(term for term in CONTENT if term in losses)
    history = trainer.fit(
        training_batches(pair_maker, BATCH * trainer.critic_steps, 0, "host"),
        steps_per_epoch=STEPS // 4,
        epochs=4,
        verbose=0,
        shuffle=False,
    ).history
    values = history[content]
    assert np.all(np.isfinite([number for row in history.values() for number in row]))
    # Means over 50 steps of 4 faces: a tenth is far beyond their scatter.
    assert values[-1] < 0.9 * values[0], values
    assert all(bool(ops.all(ops.isfinite(weight))) for weight in trainer.average.weights)


@pytest.mark.slow
def test_all_stages_under_jax():
    if keras.backend.backend() == "jax" or importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is the backend already, or not installed")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "slow", "-k", "lowers", str(Path(__file__))]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3000)
    assert finished.returncode == 0, finished.stdout[-3000:]
