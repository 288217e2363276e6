"""A training run in a folder: prepares models and data, goes through the recipe's stages, resumes where it stopped."""

import json
import platform
import sys
import time
from pathlib import Path

import keras
import numpy as np

from deblur_zoo import zoo
from deblur_zoo.atomic_file import atomic_path
from deblur_zoo.blur.kernels import make_bank, standard_test_bank
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.data.synthesis import PairMaker, Synthesis
from trainers.callbacks import Checkpoint, StopOnNonFinite, Validation, save_weights
from trainers.checkpoint import OtherRun, read_progress, restore_checkpoint
from trainers.engines import trainer_class, training_batches
from trainers.one_step import OneStepLosses
from trainers.recipe import complete_recipe, read_recipe
from trainers.schedule import Schedule
from trainers.validation import DevelopmentSet

METHODS = {"one_step": OneStepLosses}


def resolve_recipe(flags, folder):
    """The preset's recipe with what the flags change.

    Raises:
        FileNotFoundError, ValueError: no recipe, or one that does not hold together.
    """
    recipe = read_recipe(flags["recipe"] or folder / "recipe.json")
    for name in ("seed", "batch_size", "precision"):
        if flags[name] is not None:
            recipe[name] = flags[name]
    stages = {stage["name"]: stage for stage in recipe["stages"]}
    for change in flags["steps"]:
        name, _, steps = change.partition("=")
        if name not in stages or not steps.isdigit():
            raise ValueError(f"--steps {change!r} is not stage=steps; the stages are {', '.join(stages)}")
        stages[name]["steps"] = int(steps)
    recipe["stages"] = [stage for stage in recipe["stages"] if stage["steps"]]
    if recipe["method"] not in METHODS:
        raise ValueError(f"method {recipe['method']!r} has no trainer; accepted: {', '.join(METHODS)}")
    return complete_recipe(recipe)


def build_models(preset, precision):
    """The model to train, in the given precision, and its moving average, in float32."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(precision)
        model = zoo.load(preset, weights=False)
        keras.config.set_dtype_policy("float32")
        average = zoo.load(preset, weights=False)
    finally:
        keras.config.set_dtype_policy(before)
    return model, average


class Run:
    """One training run.

    Args:
        folder: where checkpoint, log and weights go.
        recipe: the complete recipe.
        trainer: a RestorationTrainer.
        pair_maker: gives the training pairs.
        development: a DevelopmentSet, or None.
        identity_network: for the facial loss, or None.
        record: dict that describes the run, written to ``run.json``.
    """

    def __init__(self, folder, recipe, trainer, pair_maker, development, identity_network, record):
        self.folder = folder
        self.recipe = recipe
        self.trainer = trainer
        self.pair_maker = pair_maker
        self.development = development
        self.identity_network = identity_network
        self.record = record

    @classmethod
    def prepare(cls, flags):
        """Build everything that the flags of ``python -m trainers`` name.

        Raises:
            ValueError, FileNotFoundError: a flag, a recipe or data that cannot be used.
        """
        preset = zoo.preset_folder(flags["preset"])
        recipe = resolve_recipe(flags, preset)
        store = load_faces(flags["faces"], recipe["data"]["crop_size"])
        development_store = None
        if flags["development"]:
            limit = flags["development_faces"]
            development_store = load_faces([flags["development"]], recipe["data"]["crop_size"], limit)
        identity_network = None
        if flags["identity_network"]:
            from deblur_zoo.features.identity import IdentityNetwork

            identity_network = IdentityNetwork(flags["identity_network"])
        elif any("facial" in stage["losses"] for stage in recipe["stages"]):
            print("The facial term is off: --identity_network names no network.", file=sys.stderr, flush=True)
            for stage in recipe["stages"]:
                stage["losses"].pop("facial", None)

        keras.utils.set_random_seed(recipe["seed"])
        model, average = build_models(preset, recipe["precision"])
        if flags["init_from"]:
            zoo.load_initial_weights(model, flags["init_from"])
        trainer = trainer_class()(model, average, recipe["average"])

        folder = Path(flags["out"])
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            "preset": flags["preset"],
            "recipe": recipe,
            "faces": {"folders": flags["faces"], "count": len(store), "skipped": len(store.skipped),
                      "sha256": store.fingerprint},
            "init_from": flags["init_from"],
            "facial_loss": identity_network is not None,
            "versions": {"python": platform.python_version(), "keras": keras.__version__, "numpy": np.__version__,
                         "backend": keras.backend.backend()},
        }  # fmt: skip
        data = recipe["data"]
        banks = {
            kind: make_bank(kind, entry["count"], entry["sizes"], entry["seed"], split="train")
            for kind, entry in data["kernels"].items()
        }
        synthesis = Synthesis(
            crop_size=data["crop_size"],
            augmentation=Augmentation(**data["augmentation"]),
            noise=data["noise"],
            unblurred_share=data["unblurred_share"],
            shares={kind: entry["share"] for kind, entry in data["kernels"].items()},
        )
        pair_maker = PairMaker(store.faces, banks, synthesis, recipe["seed"])
        development = None
        if development_store is not None:
            development = DevelopmentSet(development_store.faces, standard_test_bank(), data["crop_size"])
        return cls(folder, recipe, trainer, pair_maker, development, identity_network, record)

    @property
    def checkpoint_path(self):
        return self.folder / "checkpoint.npz"

    def train(self, verbose=1, tensorboard=False):
        """Go through the stages, from the checkpoint on where there is one.

        Raises:
            NonFiniteLoss: the loss became NaN or infinite.
            OtherRun: the folder holds a run of another preset or recipe.
        """
        progress = read_progress(self.checkpoint_path) or {"stage": self.recipe["stages"][0]["name"], "epochs_done": 0}
        names = [stage["name"] for stage in self.recipe["stages"]]
        if progress["stage"] not in names:
            raise OtherRun(f"{self.folder} holds a run at stage {progress['stage']!r}, which the recipe does not have")
        with atomic_path(self.folder / "run.json") as path:
            path.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")
        first_step = 0
        for number, stage in enumerate(self.recipe["stages"]):
            if number >= names.index(progress["stage"]):
                self._train_stage(stage, first_step, progress, verbose, tensorboard)
                if number + 1 < len(names):
                    progress.update(stage=names[number + 1], epochs_done=0, waited=0)
            first_step += stage["steps"]
        save_weights(self.trainer.average, self.folder / "last.weights.h5")
        with atomic_path(self.folder / "progress.json") as path:
            path.write_text(json.dumps(progress, indent=1) + "\n", encoding="utf-8")

    def _train_stage(self, stage, first_step, progress, verbose, tensorboard):
        trainer, recipe = self.trainer, self.recipe
        epoch_steps = recipe["steps_per_epoch"]
        epochs = stage["steps"] // epoch_steps
        losses = METHODS[recipe["method"]](stage["losses"], self.identity_network, stage["facial_share"])
        schedule = Schedule(steps=stage["steps"], **stage["learning_rate"])
        trainer.start_stage(keras.optimizers.get(stage["optimizer"]), schedule, losses)
        if progress["epochs_done"]:
            restore_checkpoint(self.checkpoint_path, trainer)
            print(f"Going on at step {int(trainer.step)} (stage {stage['name']}).", flush=True)
        if progress["epochs_done"] >= epochs:
            return
        step = first_step + progress["epochs_done"] * epoch_steps
        augmentation = Augmentation(**{**recipe["data"]["augmentation"], **stage["augmentation"]})
        pair_maker = self.pair_maker.with_augmentation(augmentation)
        batches = training_batches(pair_maker, recipe["batch_size"], step)
        callbacks = [StopOnNonFinite()]
        if self.development is not None:
            every = recipe["validate_every"] // epoch_steps
            callbacks.append(Validation(self.development.measure, every, self.folder, progress, stage["halve_after"]))
        # After the validation, so that the checkpoint knows its outcome.
        callbacks.append(Checkpoint(self.checkpoint_path, progress))
        if tensorboard:
            callbacks.append(keras.callbacks.TensorBoard(self.folder / "tensorboard", update_freq=50))
        started = time.time()
        trainer.fit(
            batches,
            steps_per_epoch=epoch_steps,
            epochs=epochs,
            initial_epoch=progress["epochs_done"],
            shuffle=False,
            callbacks=callbacks,
            verbose=verbose,
        )
        rate = (epochs * epoch_steps - (step - first_step)) * recipe["batch_size"] / (time.time() - started)
        print(f"Stage {stage['name']}: {rate:.1f} faces/s", flush=True)
