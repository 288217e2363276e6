"""A training run in a folder: goes through the recipe's stages, and resumes where it stopped."""

import json
import time
from pathlib import Path

import keras

from deblur_zoo import zoo
from deblur_zoo.atomic_file import atomic_path
from deblur_zoo.blur.kernels import standard_test_bank
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.face_store import load_faces
from trainers import preparation
from trainers.callbacks import Checkpoint, StopOnNonFinite, Validation, save_weights
from trainers.checkpoint import OtherRun, read_progress, restore_checkpoint
from trainers.engines import trainer_class, training_batches
from trainers.methods import method_class
from trainers.schedule import Schedule
from trainers.validation import DevelopmentSet


class Run:
    """One training run.

    Args:
        folder: where checkpoint, log and weights go.
        recipe: the complete recipe.
        trainer: a RestorationTrainer.
        pair_maker: gives the training pairs.
        development: a DevelopmentSet, or None.
        networks: frozen feature networks by name.
        record: dict that describes the run, written to ``run.json``.
    """

    def __init__(self, folder, recipe, trainer, pair_maker, development, networks, record):
        self.folder = folder
        self.recipe = recipe
        self.trainer = trainer
        self.pair_maker = pair_maker
        self.development = development
        self.networks = networks
        self.record = record

    @classmethod
    def prepare(cls, flags):
        """Build everything that the flags of ``python -m trainers`` name.

        Raises:
            ValueError, FileNotFoundError: a flag, a recipe or data that cannot be used.
        """
        preset = zoo.preset_folder(flags["preset"])
        recipe = preparation.resolve_recipe(flags, preset)
        crop_size = recipe["data"]["crop_size"]
        store = load_faces(flags["faces"], crop_size, labels=[folder or None for folder in flags["labels"]])
        pair_maker = preparation.build_pair_maker(store, recipe)
        development = None
        if flags["development"]:
            faces = load_faces([flags["development"]], crop_size, flags["development_faces"]).faces
            development = DevelopmentSet(faces, standard_test_bank(), crop_size)
        networks = preparation.load_networks(recipe, flags)

        keras.utils.set_random_seed(recipe["seed"])
        model, average = preparation.build_models(preset, recipe["precision"], recipe["arguments"])
        if flags["init_from"]:
            zoo.load_initial_weights(model, flags["init_from"])
        preparation.load_parts(model, flags["init_parts"])
        critic, auxiliary = (
            preparation.build_network(recipe[name], recipe["precision"], crop_size) for name in ("critic", "auxiliary")
        )
        trainer = trainer_class()(model, average, recipe["average"], critic, auxiliary)

        folder = Path(flags["out"])
        folder.mkdir(parents=True, exist_ok=True)
        record = preparation.run_record(flags, recipe, store, networks)
        return cls(folder, recipe, trainer, pair_maker, development, networks, record)

    @property
    def checkpoint_path(self):
        return self.folder / "checkpoint.npz"

    def train(self, verbose=1, tensorboard=False):
        """Go through the stages, from the checkpoint on where there is one.

        Raises:
            NonFiniteLoss: the loss became NaN or infinite.
            OtherRun: the folder holds a run of another preset, another recipe or other faces.
        """
        names = [stage["name"] for stage in self.recipe["stages"]]
        progress = read_progress(self.checkpoint_path) or {"stage": names[0], "epochs_done": 0}
        if progress["stage"] not in names:
            raise OtherRun(f"{self.folder} holds a run at stage {progress['stage']!r}, which the recipe does not have")
        for what, value in (("recipe", self.record["recipe_sha256"]), ("faces", self.record["faces"]["sha256"])):
            if progress.setdefault(what, value) != value:
                raise OtherRun(f"{self.folder} holds a run with another recipe or other faces (the {what} differ); "
                               "continue with the ones that it began with, or start in another folder")  # fmt: skip
        with atomic_path(self.folder / "run.json") as path:
            path.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")
        first_step = 0
        for number, stage in enumerate(self.recipe["stages"]):
            if number >= names.index(progress["stage"]):
                self._train_stage(stage, first_step, progress, verbose, tensorboard)
                if number + 1 < len(names):
                    progress.update(stage=names[number + 1], epochs_done=0, waited=0)
            first_step += stage["steps"] * stage["critic_steps"]
        save_weights(self.trainer.average, self.folder / "last.weights.h5")
        with atomic_path(self.folder / "progress.json") as path:
            path.write_text(json.dumps(progress, indent=1) + "\n", encoding="utf-8")

    def start_stage(self, stage):
        """Give the trainer a stage's losses and optimisers."""
        method = method_class(self.recipe["method"])(
            stage["losses"], stage["critic_losses"], self.networks, **stage["options"]
        )
        optimizers = {}
        for player in ("", "critic_"):
            optimizers[f"{player}optimizer"] = keras.optimizers.get(stage[f"{player}optimizer"])
            optimizers[f"{player}schedule"] = Schedule(steps=stage["steps"], **stage[f"{player}learning_rate"])
        self.trainer.start_stage(
            method,
            **optimizers,
            critic_steps=stage["critic_steps"],
            train=stage["train"],
            loss_scaling=self.recipe["precision"] == "mixed_float16",
        )

    def _train_stage(self, stage, first_step, progress, verbose, tensorboard):
        trainer, recipe = self.trainer, self.recipe
        epoch_steps = recipe["steps_per_epoch"]
        epochs = stage["steps"] // epoch_steps
        self.start_stage(stage)
        if progress["epochs_done"]:
            restore_checkpoint(self.checkpoint_path, trainer)
            print(f"Going on at step {int(trainer.step)} (stage {stage['name']}).", flush=True)
        if progress["epochs_done"] >= epochs:
            return
        # In batches: a step with several critic steps takes as many.
        step = first_step + progress["epochs_done"] * epoch_steps * trainer.critic_steps
        augmentation = Augmentation(**{**recipe["data"]["augmentation"], **stage["augmentation"]})
        pair_maker = self.pair_maker.with_augmentation(augmentation)
        batches = training_batches(
            pair_maker, recipe["batch_size"] * trainer.critic_steps, step // trainer.critic_steps
        )
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
        done = (epochs * epoch_steps) - (step - first_step) // trainer.critic_steps
        print(f"Stage {stage['name']}: {done * recipe['batch_size'] / (time.time() - started):.1f} faces/s", flush=True)
