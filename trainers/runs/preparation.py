"""Prepare a run from the options of ``trainers.train``: recipe, networks, faces, kernels."""

import hashlib
import itertools
import json
import platform
import sys

import keras
import numpy as np
from keras import ops

from deblur_zoo import zoo
from deblur_zoo.blur.kernels import make_bank
from deblur_zoo.data.augmentation import Augmentation
from deblur_zoo.data.camera_blur import CameraBlur
from deblur_zoo.data.kernel_mixture import KernelMixture
from deblur_zoo.data.pair_store import load_pairs
from deblur_zoo.data.synthesis import PairMaker, Synthesis
from deblur_zoo.features import load_feature_network
from deblur_zoo.features.identity import IdentityNetwork
from deblur_zoo.zoo import classes, presets
from trainers.methods.registry import method_class
from trainers.runs.recipe import complete_recipe, read_recipe, without_later_settings
from trainers.steps.optimizers import optimizer_of
from trainers.steps.schedule import Schedule

# Settings of a recipe that options of the same name override.
OVERRULED = ("seed", "batch_size", "precision")
# Warm-up steps for a run that starts from trained weights, unless its recipe has more.
CONTINUED_WARMUP = 250


def resolve_recipe(options, folder):
    """The preset's recipe with the options' changes.

    Raises:
        FileNotFoundError, ValueError: the recipe does not exist or is invalid.
    """
    recipe = read_recipe(options["recipe"] or folder / "recipe.json")
    for name in OVERRULED:
        if options[name] is not None:
            recipe[name] = options[name]
    _set_steps(recipe, options["steps"])
    method_class(recipe["method"])
    recipe = complete_recipe(recipe)
    _set_pairs_share(recipe, options.get("pairs_share"), bool(options.get("pairs")))
    if options["init_from"]:
        # A fresh optimiser's first steps are far too large for trained weights.
        first = recipe["stages"][0]
        for player in ("", "critic_"):
            rate = first[f"{player}learning_rate"]
            rate["warmup"] = max(rate.get("warmup", 0), min(CONTINUED_WARMUP, first["steps"] // 4))
    for stage in recipe["stages"]:
        for player in ("", "critic_"):
            try:
                Schedule(steps=stage["steps"], **stage[f"{player}learning_rate"])
                optimizer_of(stage[f"{player}optimizer"])
            except (TypeError, ValueError) as error:
                problem = str(error).splitlines()[0]
                raise ValueError(
                    f"stage {stage['name']!r}: its {player}learning_rate or optimizer: {problem}"
                ) from None
    return recipe


def _set_steps(recipe, steps):
    """Replace the recipe's numbers of steps.

    Args:
        recipe: a recipe; stages without steps are removed.
        steps: dict from stages' names to their steps; an int for the whole run, divided in the recipe's
            proportions; or None.
    """
    stages = {stage["name"]: stage for stage in recipe["stages"]}
    if isinstance(steps, int):
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        ends = list(itertools.accumulate(stage["steps"] for stage in stages.values()))
        # The ends of the stages, scaled and rounded down, so that the sum is exact.
        ends = [0, *(steps * end // ends[-1] for end in ends)]
        steps = {name: after - before for name, (before, after) in zip(stages, itertools.pairwise(ends), strict=True)}
    for name, number in (steps or {}).items():
        if name not in stages or type(number) is not int or number < 0:
            raise ValueError(f"steps {name}={number} is not stage=steps; the stages are {', '.join(stages)}")
        stages[name]["steps"] = number
        for rate in (stages[name]["learning_rate"], stages[name]["critic_learning_rate"]):
            # The warm-up of a stage of thousands of steps, in one that is shorter than it.
            if number and rate.get("warmup", 0) > number:
                rate["warmup"] = number // 4
    recipe["stages"] = [stage for stage in stages.values() if stage["steps"]]


def pairs_share(recipe, stage):
    """Share of given pairs in a stage's batches: the stage's own, or else that of the recipe's data."""
    return recipe["data"]["pairs_share"] if stage["pairs_share"] is None else stage["pairs_share"]


def _set_pairs_share(recipe, share, has_pairs):
    """Replace the recipe's share by the flag's, except in stages without pairs, and check all shares.

    Without pairs the recipe's own share is removed, with a message.
    """
    asked = bool(share)
    if share is not None:
        recipe["data"]["pairs_share"] = share
        for stage in recipe["stages"]:
            stage["pairs_share"] = share if stage["pairs_share"] else stage["pairs_share"]
    taking = {stage["name"]: pairs_share(recipe, stage) for stage in recipe["stages"]}
    for share in taking.values():
        Synthesis(pairs_share=share).check_batch(recipe["batch_size"])
    taking = {name: share for name, share in taking.items() if share}
    if taking and not has_pairs:
        name, share = next(iter(taking.items()))
        if asked:
            raise ValueError(
                f"the stage {name!r} takes a share of {share:g} of each batch from pairs: name their shards by "
                "--pairs, as `python -m trainers.datasets.video_pairs` writes them"
            )
        print("Pairs from videos are not used: pass them with --pairs.", file=sys.stderr, flush=True)
        for table in (recipe["data"], *recipe["stages"]):
            table["pairs_share"] = table["pairs_share"] and 0.0
    if has_pairs and not taking:
        raise ValueError("no stage uses the pairs of --pairs: pass their share with --pairs_share, such as 0.5")


def build_models(config, precision):
    """The model to train, in the given precision, and its moving average, in float32.

    Args:
        config: a preset's.
        precision: Keras dtype policy.
    """
    models = []
    for policy in (precision, "float32"):
        with _precision(policy):
            models.append(presets.build_model(config))
    return models


def load_parts(model, changes):
    """Fill parts of a model from other presets' parts of the same name.

    Args:
        model: the model.
        changes: dict from a part's name to a source as ``zoo.load`` takes it.

    Raises:
        ValueError, FileNotFoundError: an unknown part, or one of another shape.
    """
    for name, source in changes.items():
        part = getattr(model, name, None)
        if not source or not hasattr(part, "set_weights"):
            raise ValueError(f"init_parts {name}={source} is not part=preset with a part of the model")
        donor = getattr(zoo.load(source), name, None)
        if not hasattr(donor, "get_weights"):
            raise ValueError(f"{source} has no part {name!r}")
        try:
            part.set_weights(donor.get_weights())
        except ValueError as error:
            raise ValueError(f"the part {name!r} of {source} does not fit the model's: {error}") from None


def stages_with_labels(recipe):
    """Names of the stages whose losses need parsing labels."""
    method = method_class(recipe["method"])
    networks = dict.fromkeys(method.needs.values())
    return [
        stage["name"]
        for stage in recipe["stages"]
        if method(stage["losses"], stage["critic_losses"], networks, **stage["options"]).needs_labels
    ]


def build_network(specification, precision, crop_size):
    """A critic or an auxiliary network of a recipe.

    Args:
        specification: dict with "class", as ``deblur_zoo.zoo.classes.class_named`` takes it, and "arguments"; or None.
        precision: Keras dtype policy.
        crop_size: side of the training crops in pixels.

    Returns:
        a built keras.Model, or None.

    Raises:
        ValueError: an unknown class or invalid arguments.
    """
    if specification is None:
        return None
    name, arguments = specification["class"], specification["arguments"]
    try:
        network_class = classes.class_named(name, for_training=True)
    except ValueError as error:
        raise ValueError(f"the recipe's critic or auxiliary: {error}") from None
    try:
        with _precision(precision):
            network = network_class(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the recipe's {name} has invalid arguments: {error}") from None
    if not network.built:
        network(ops.zeros((1, crop_size, crop_size, 3)))
    return network


class _precision:
    """A context in which new layers compute in this Keras dtype policy."""

    def __init__(self, policy):
        self.policy = policy

    def __enter__(self):
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.policy)

    def __exit__(self, *error):
        keras.config.set_dtype_policy(self.before)


def network_files(options):
    """Dict from a network's name to its file, with ``identity_network`` among them."""
    files = {"identity": options["identity_network"]} if options["identity_network"] else {}
    return {**files, **options["networks"]}


def load_networks(recipe, files):
    """The frozen feature networks of a recipe, by name; terms without a network file are removed, with a message.

    Args:
        recipe: a complete recipe; changed if a term is removed.
        files: as ``network_files`` gives them.

    Raises:
        ValueError, FileNotFoundError: a file does not exist or has a different kind of network.
    """
    method = method_class(recipe["method"])
    specifications = {"identity": {"kind": "identity"}, **recipe["networks"]}
    unknown = sorted(set(files) - set(specifications))
    if unknown:
        raise ValueError(f"--networks names {unknown[0]!r}; the recipe's networks are {', '.join(specifications)}")
    used = {method.needs[term] for stage in recipe["stages"] for term in stage["losses"] if term in method.needs}
    networks = {}
    for name in sorted(used):
        specification = dict(specifications.get(name) or {"kind": name})
        # A network of faces may be the same file as the identity network's.
        path = files.get(name) or (files.get("identity") if specification["kind"] == "identity" else None)
        if path:
            networks[name] = _load_network({**specification, "weights": path})
    missing = {term: name for term, name in method.needs.items() if name not in networks}
    for stage in recipe["stages"]:
        for term in [term for term in stage["losses"] if term in missing]:
            flag = "--identity_network" if missing[term] == "identity" else f"--networks {missing[term]}=FILE"
            print(f"The {term} loss is disabled: pass its network with {flag}.", file=sys.stderr, flush=True)
            del stage["losses"][term]
    return networks


def _load_network(specification):
    if specification["kind"] == "identity" and not specification.get("layers"):
        return IdentityNetwork(specification["weights"])
    return load_feature_network(specification)


def build_pair_maker(store, recipe, pairs=None):
    """The training pairs of faces and the recipe's kernels, with labels where a stage needs them.

    Args:
        store: a FaceStore.
        recipe: a complete recipe.
        pairs: a PairStore of given pairs, or None.

    Raises:
        ValueError: a stage needs labels, and the faces have none.
    """
    data = recipe["data"]
    needing = stages_with_labels(recipe)
    if needing and store.labels is None:
        raise ValueError(
            f"the stage {needing[0]!r} needs parsing labels: pass their folders with --labels, as "
            "`python -m trainers.datasets.label_faces` writes them"
        )
    camera, camera_kernels = data["camera"], None
    if camera is not None:
        camera = dict(camera)
        kernels = camera.pop("kernels")
        camera, camera_kernels = CameraBlur(**camera), KernelMixture(_banks(kernels), _shares(kernels))
    synthesis = Synthesis(
        crop_size=data["crop_size"],
        augmentation=Augmentation(**data["augmentation"]),
        noise=data["noise"],
        unblurred_share=data["unblurred_share"],
        shares=_shares(data["kernels"]),
        pairs_share=0.0 if pairs is None else data["pairs_share"],
        camera=camera,
    )
    labels = store.labels if needing else None
    return PairMaker(
        store.faces, _banks(data["kernels"]), synthesis, recipe["seed"], labels, pairs=pairs,
        camera_kernels=camera_kernels, outlines=store.labels,
    )  # fmt: skip


def _banks(kernels):
    """Training kernels of a recipe's table of kinds, by kind."""
    return {
        kind: make_bank(kind, entry["count"], entry["sizes"], entry["seed"], split="train")
        for kind, entry in kernels.items()
    }


def _shares(kernels):
    return {kind: entry["share"] for kind, entry in kernels.items()}


def load_given_pairs(options, store):
    """The pairs that the option "pairs" names, of the faces' size, or None.

    Raises:
        ValueError, FileNotFoundError: there are no usable pairs.
    """
    if not options.get("pairs"):
        return None
    height, width = store.faces.shape[1:3]
    if height != width:
        raise ValueError(f"pairs need square faces, got {width}x{height} pixels")
    return load_pairs(options["pairs"], height)


def model_config(preset, recipe):
    """The config of the network that a recipe trains: the preset's, with the recipe's arguments in place of its own.

    Args:
        preset: a preset's name or folder.
        recipe: a complete recipe.
    """
    config = presets.read_config(zoo.preset_folder(preset))
    config = {name: value for name, value in config.items() if name not in ("weights", "without_weights")}
    return {**config, "arguments": {**config["arguments"], **recipe["arguments"]}}


def run_record(options, config, recipe, store, networks, pairs=None):
    """The record of a run for ``run.json``: everything needed to repeat it on another machine.

    "model" is the network's config, from which ``deblur_zoo.load`` loads the run's folder.
    """
    return {
        "preset": options["preset"],
        "model": config,
        "recipe": recipe,
        "recipe_sha256": digest(without_later_settings(recipe)),
        "faces": {
            "folders": options["faces"],
            "count": len(store),
            "skipped": len(store.skipped),
            "sha256": store.fingerprint,
        },
        "pairs": pairs
        and {
            "folders": options["pairs"],
            "count": len(pairs),
            "skipped": len(pairs.skipped),
            "sha256": pairs.fingerprint,
        },
        "init_from": options["init_from"],
        "networks": sorted(networks),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "numpy": np.__version__,
            "backend": keras.backend.backend(),
        },
    }


def digest(content):
    """sha256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
