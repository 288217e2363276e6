"""``trainers.train`` trains a preset on aligned faces. ``python -m trainers`` is its command line."""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from deblur_zoo.files import command_line_tools
from trainers.runs.errors import CannotStart

StrPath = str | os.PathLike


def train(
    preset: StrPath,
    *,
    faces: StrPath | Sequence[StrPath],
    out: StrPath,
    development: StrPath | None = None,
    development_faces: int = 120,
    development_labels: StrPath | None = None,
    labels: StrPath | Sequence[StrPath] = (),
    pairs: StrPath | Sequence[StrPath] = (),
    pairs_share: float | None = None,
    recipe: StrPath | None = None,
    steps: int | Mapping[str, int] | None = None,
    batch_size: int | None = None,
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None,
    seed: int | None = None,
    init_from: StrPath | None = None,
    init_parts: Mapping[str, StrPath] | None = None,
    identity_network: StrPath | None = None,
    networks: Mapping[str, StrPath] | None = None,
    distribution: Literal["none", "mirrored", "multi_worker", "data_parallel"] = "none",
    replicas: int | None = None,
    render_on: Literal["auto", "host", "device"] = "auto",
    tensorboard: bool = False,
    verbose: Literal[0, 1, 2] | None = None,
) -> Path:
    """Train a preset by its recipe, or resume the run that ``out`` holds. See ``docs/training.md``.

    Args:
        preset: a name in ``deblur_zoo.list_models()``, or a folder with ``config.json`` and ``recipe.json``.
        faces: folders, packs or shards of aligned crops, as ``python -m deblur_zoo.faces --margin 16`` writes them.
        out: the run's folder. ``deblur_zoo.load(out)`` gives its best weights, during training too.
        development: a folder of aligned crops of other people, to choose the best weights: the model is measured on
            it before the first step and at intervals.
        development_faces: how many of them to measure on.
        development_labels: a folder of their parsing labels, to measure a parser.
        labels: folders of parsing labels, one for each of ``faces``, for losses that need them.
        pairs: folders of blurred and sharp pairs, as ``python -m trainers.datasets.video_pairs`` writes them.
        pairs_share: the share of each batch that comes from ``pairs``, 0 to 1; None: the recipe's.
        recipe: a recipe file to use instead of the preset's.
        steps: training steps of each named stage (0 skips it), or of the whole run, divided among the stages in the
            recipe's proportions; None: the recipe's.
        batch_size, precision, seed: override the recipe's.
        init_from: start from these weights, with a warm-up: a preset, a run's folder or a ``.weights.h5`` file.
        init_parts: initial weights of single parts of the model: a preset for each part's name.
        identity_network: Keras file of a face recognition network, for the facial loss and the identity cosine.
        networks: files of the recipe's other feature networks, by name.
        distribution: several GPUs of this machine ("mirrored", or "data_parallel" under JAX) or several machines, by
            TF_CONFIG ("multi_worker").
        replicas: number of devices; None: all GPUs.
        render_on: where training pairs are blurred: on the CPU by OpenCV ("host"), or on the model's device ("device");
            "auto": on the device if it is an accelerator.
        tensorboard: also write losses, rates, measurements and pictures for TensorBoard.
        verbose: 0 silent, 1 a progress bar, 2 a line per epoch; None: 1 on a terminal, 2 elsewhere.

    Returns:
        ``out``.

    Raises:
        CannotStart: (a ValueError) an invalid option, recipe or data; nothing was trained.
        FileNotFoundError: a file or folder does not exist.
        RunStopped: a loss that is not finite, a full disk, or a folder with another run. The last good checkpoint is
            kept; see ``trainers.runs.errors``.
        WorkerLost: another worker of a run on several machines has ended.
    """
    options = {name: value for name, value in locals().items() if name != "verbose"}
    for name in ("faces", "labels", "pairs"):
        given = options[name]
        options[name] = [os.fspath(path) for path in ([given] if isinstance(given, StrPath) else given)]
    for name in ("preset", "out", "development", "development_labels", "recipe", "init_from", "identity_network"):
        options[name] = None if options[name] is None else os.fspath(options[name])
    for name in ("init_parts", "networks"):
        options[name] = {key: os.fspath(path) for key, path in (options[name] or {}).items()}
    verbose = verbose if verbose is not None else 1 if sys.stdout.isatty() else 2
    try:
        _check(options)
        with command_line_tools.working("preparing") if verbose == 1 else contextlib.nullcontext():
            # Heavy imports wait until training begins.
            from trainers.runs.run import Run

            run = Run.prepare(options)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    run.train(verbose=verbose)
    return Path(out)


def _check(options):
    if not options["faces"]:
        raise ValueError("faces must name folders of aligned crops to train on")
    for name in ("batch_size", "development_faces", "replicas"):
        value = options[name]
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    if options["pairs_share"] is not None and not 0 <= options["pairs_share"] <= 1:
        raise ValueError(f"pairs_share must be 0 to 1, got {options['pairs_share']!r}")
    if options["seed"] is not None and type(options["seed"]) is not int:
        raise ValueError(f"seed must be a whole number, got {options['seed']!r}")
