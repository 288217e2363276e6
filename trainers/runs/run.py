"""A training run in a folder: executes the recipe's stages and resumes after an interruption."""

import contextlib
import json
import math
import time
from pathlib import Path

import keras

from deblur_zoo import zoo
from deblur_zoo.blur.kernels import standard_test_bank
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.face_store import load_faces
from deblur_zoo.files.folder_lock import only_process
from deblur_zoo.zoo.presets import LAST_WEIGHTS_FILE, RUN_FILE
from trainers.distribution.base import Distribution
from trainers.distribution.factory import make_distribution
from trainers.methods.registry import method_class
from trainers.runs import preparation
from trainers.runs.callbacks import Checkpoint, Events, Progress, StopOnNonFinite, Validation
from trainers.runs.checkpoint import read_checkpoint, save_weights, whole_file
from trainers.runs.errors import FolderInUse, OtherRun
from trainers.runs.event_log import open_event_log
from trainers.runs.record import provenance
from trainers.runs.run_log import forget_after
from trainers.runs.widening import load_starting_weights
from trainers.steps.engines import trainer_class
from trainers.steps.optimizers import optimizer_of
from trainers.steps.schedule import Schedule
from trainers.validation.kinds import development_set
from trainers.validation.model_runner import identity_network


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
        distribution: a Distribution, within whose scope the trainer was created; None: one device.
        event_log: writer of TensorBoard's event files, see ``trainers.runs.event_log``; or None.
        place: where training pairs are rendered, see ``trainers.steps.engines.training_batches``.
    """

    def __init__(self, folder, recipe, trainer, pair_maker, development, networks, record, distribution=None,
                 event_log=None, place="auto"):  # fmt: skip
        self.folder = folder
        self.recipe = recipe
        self.trainer = trainer
        self.pair_maker = pair_maker
        self.development = development
        self.networks = networks
        self.record = record
        self.distribution = distribution or Distribution()
        self.event_log = event_log
        self.place = place

    @classmethod
    def prepare(cls, options):
        """Build a run from the options.

        Args:
            options: dict of the arguments of ``trainers.train``, without "verbose".

        Raises:
            ValueError, FileNotFoundError: an invalid option, recipe or data.
        """
        # First, since devices are divided before anything is put on them.
        distribution = make_distribution(options.get("distribution", "none"), options.get("replicas"))
        with distribution.scope():
            return cls._prepare(options, distribution)

    @classmethod
    def _prepare(cls, options, distribution):
        recipe = preparation.resolve_recipe(options, zoo.preset_folder(options["preset"]))
        distribution.check(recipe["batch_size"])
        crop_size = recipe["data"]["crop_size"]
        store = load_faces(options["faces"], crop_size, labels=[folder or None for folder in options["labels"]])
        pairs = preparation.load_given_pairs(options, store)
        pair_maker = preparation.build_pair_maker(store, recipe, pairs)
        test_bank, development_store = standard_test_bank(), None
        if options["development"] and distribution.is_chief:
            labels = options.get("development_labels")
            labels = [labels] if labels else None
            development_store = load_faces(
                [options["development"]], crop_size, options["development_faces"], labels=labels
            )
        networks = preparation.load_networks(recipe, preparation.network_files(options))

        keras.utils.set_random_seed(recipe["seed"])
        config = preparation.model_config(options["preset"], recipe)
        model, average = preparation.build_models(config, recipe["precision"])
        if options["init_from"]:
            load_starting_weights(model, average, options["init_from"])
        preparation.load_parts(model, options["init_parts"])
        critic, auxiliary = (
            preparation.build_network(recipe[name], recipe["precision"], crop_size) for name in ("critic", "auxiliary")
        )
        development = None
        if development_store is not None:
            identity = identity_network(options["identity_network"], crop_size)
            development = development_set(model.kind, development_store, test_bank, crop_size, identity)
        trainer = trainer_class()(model, average, recipe["average"], critic, auxiliary)

        folder = Path(options["out"])
        event_log = None
        if options.get("tensorboard") and distribution.is_chief:
            event_log = open_event_log(folder / "tensorboard")
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            **preparation.run_record(options, config, recipe, store, networks, pairs),
            **provenance(options, recipe, distribution, test_bank, development_store),
        }
        return cls(folder, recipe, trainer, pair_maker, development, networks, record, distribution, event_log,
                   options.get("render_on", "auto"))  # fmt: skip

    @property
    def checkpoint_path(self):
        return self.folder / "checkpoint.npz"

    def train(self, verbose=1):
        """Run the stages, from the checkpoint if there is one.

        Args:
            verbose: 0 silent, 1 Keras' progress bar and a line per epoch, 2 a line per epoch.

        Raises:
            RunStopped: a non-finite loss, a full disk, a folder with another run or in use by another trainer, or a
                damaged checkpoint; see ``trainers.runs.errors``.
        """
        in_use = FolderInUse(
            f"another trainer is working in {self.folder}: wait until it ends, or choose another folder"
        )
        # Only the chief writes.
        with only_process(self.folder, in_use) if self.distribution.is_chief else contextlib.nullcontext():
            self._train(verbose)

    def _train(self, verbose):
        names = [stage["name"] for stage in self.recipe["stages"]]
        stored = read_checkpoint(self.checkpoint_path) if self.distribution.is_chief else None
        progress = json.dumps(stored.progress if stored else {"stage": names[0], "epochs_done": 0}).encode()
        progress = json.loads(self.distribution.from_chief(progress).decode())
        if progress["stage"] not in names:
            raise OtherRun(f"{self.folder} holds a run at stage {progress['stage']!r}, which the recipe does not have")
        digests = {
            "recipe": self.record["recipe_sha256"],
            "faces": self.record["faces"]["sha256"],
            "pairs": (self.record.get("pairs") or {}).get("sha256"),
        }
        for what, value in digests.items():
            if progress.setdefault(what, value) != value:
                raise OtherRun(f"{self.folder} holds a run with another recipe or other faces (the {what} differ); "
                               "use the original ones, or another folder")  # fmt: skip
        if self.distribution.is_chief:
            # Without a checkpoint everything is repeated, including the measurement before the first step.
            forget_after(self.folder / "log.tsv", stored.step if stored else -1)
            self._write(RUN_FILE, self.record)
        first_step = 0
        for number, stage in enumerate(self.recipe["stages"]):
            if number >= names.index(progress["stage"]):
                self._train_stage(stage, first_step, progress, stored, verbose)
                stored = None
                if number + 1 < len(names):
                    progress.update(stage=names[number + 1], epochs_done=0, waited=0)
            first_step += stage["steps"] * stage["critic_steps"]
        if self.distribution.is_chief:
            save_weights(self.trainer.average, self.folder / LAST_WEIGHTS_FILE)
            self._write("progress.json", progress)
            if verbose and "before" in progress:
                print(
                    f"{self.development.score}: {progress['before']:.4g} before the first step, best "
                    f"{progress['best']:.4g} at step {progress['best_step']}",
                    flush=True,
                )

    def _write(self, name, content):
        with whole_file(self.folder / name) as path:
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def start_stage(self, stage):
        """Give the trainer a stage's losses and optimisers."""
        method = method_class(self.recipe["method"])(
            stage["losses"], stage["critic_losses"], self.networks, **stage["options"]
        )
        optimizers = {}
        for player in ("", "critic_"):
            optimizers[f"{player}optimizer"] = optimizer_of(stage[f"{player}optimizer"])
            optimizers[f"{player}schedule"] = Schedule(steps=stage["steps"], **stage[f"{player}learning_rate"])
        self.trainer.start_stage(
            method,
            **optimizers,
            critic_steps=stage["critic_steps"],
            train=stage["train"],
            loss_scaling=self.recipe["precision"] == "mixed_float16",
        )

    def _train_stage(self, stage, first_step, progress, stored, verbose):
        trainer, recipe = self.trainer, self.recipe
        epoch_steps = recipe["steps_per_epoch"]
        with self.distribution.scope():
            self.start_stage(stage)
        if stored is not None:
            stored.restore(trainer)
        self.distribution.start(trainer)
        steps_done = min(progress["epochs_done"] * epoch_steps, stage["steps"])
        if steps_done:
            print(f"Resuming at step {int(trainer.step.numpy())} (stage {stage['name']}).", flush=True)
        if steps_done == stage["steps"]:
            return
        augmentation = Augmentation(**{**recipe["data"]["augmentation"], **stage["augmentation"]})
        pair_maker = self.pair_maker.with_augmentation(augmentation, preparation.pairs_share(recipe, stage))
        callbacks = [StopOnNonFinite()]
        if self.distribution.is_chief:
            callbacks += self._chief_callbacks(stage, progress, verbose)
        started, first_epoch = time.time(), progress["epochs_done"]
        whole_epochs, rest = divmod(stage["steps"], epoch_steps)
        # Epochs of one length, and a shorter last one where the steps do not divide.
        for epochs, length in ((whole_epochs, epoch_steps), (whole_epochs + 1, rest)):
            if not length or first_epoch >= epochs:
                continue
            # In batches: a step with several critic steps takes as many.
            first = first_step // trainer.critic_steps + first_epoch * epoch_steps
            batches = self.distribution.batches(
                pair_maker, recipe["batch_size"], trainer.critic_steps, first, self.place
            )
            self.distribution.fit(
                trainer,
                batches,
                steps_per_epoch=length,
                epochs=epochs,
                initial_epoch=first_epoch,
                callbacks=callbacks,
                verbose=int(verbose == 1),
            )
            first_epoch = epochs
        faces = (stage["steps"] - steps_done) * recipe["batch_size"]
        print(f"Stage {stage['name']}: {faces / (time.time() - started):.1f} faces/s", flush=True)

    def _chief_callbacks(self, stage, progress, verbose):
        """Callbacks of the chief alone: measurements, logs, checkpoints, and changes of the learning rates."""
        callbacks = []
        if verbose:
            stages = self.recipe["stages"]
            later = sum(other["steps"] for other in stages[stages.index(stage) + 1 :])
            # The bar first, so that it has ended its line before anything else is printed.
            callbacks += [keras.callbacks.ProgbarLogger()] if verbose == 1 else []
            epoch_steps = self.recipe["steps_per_epoch"]
            callbacks.append(Progress(self.recipe["batch_size"], stage["steps"], epoch_steps, later))
        if self.event_log is not None:
            callbacks.append(Events(self.event_log))
        if self.development is not None:
            every = self.recipe["validate_every"] // self.recipe["steps_per_epoch"]
            epochs = math.ceil(stage["steps"] / self.recipe["steps_per_epoch"])
            settings = (stage["halve_after"], self.event_log, bool(verbose))
            callbacks.append(Validation(self.development, every, epochs, self.folder, progress, *settings))
        # After the validation, so that the checkpoint knows its outcome.
        callbacks.append(Checkpoint(self.checkpoint_path, progress))
        return callbacks
