"""Preset directories: ``config.json``, which names a class and its arguments, and a weight file.

Reading checks everything and unpickles nothing. The folder of a training run is read as a preset too.
"""

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblur_zoo.annotations import StrPath
from deblur_zoo.faces import alignment
from deblur_zoo.files import forks
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.files.json_files import read_object
from deblur_zoo.zoo.classes import CLASSES, check_no_modules, class_name, class_named
from deblur_zoo.zoo.weights import load_weights, save_weights_float16

if TYPE_CHECKING:
    import keras


FORMAT_VERSION = 1
WEIGHTS_FILE = "model.weights.h5"
# What ``trainers.runs.run`` writes into a run's folder.
RUN_FILE, BEST_WEIGHTS_FILE, LAST_WEIGHTS_FILE = "run.json", "best.weights.h5", "last.weights.h5"
_NAME = r"[A-Za-z0-9_.-]+"
# Arguments of every Keras model; a preset does not set them.
_KERAS_ARGUMENTS = ("self", "name", "trainable", "dtype", "autocast")
# How many weights a preset from elsewhere may have where no weight file says it: ten times the largest preset's.
LARGEST_UNTRAINED = 400_000_000


def read_json(path):
    """A JSON object from a file.

    Raises:
        ValueError: not a JSON object, or above 1 MB.
    """
    try:
        return read_object(path)
    except ValueError as error:
        raise ValueError(f"{path} is not a valid JSON file: {error}.") from error


def check_format_version(content, path):
    """Reject a file of a later version of the library, or without a version."""
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise ValueError(f"{path} has no format_version; accepted: {FORMAT_VERSION}.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format_version {version}, this deblur_zoo reads up to {FORMAT_VERSION}: install a newer one."
        )


def read_config(folder):
    """A preset directory's checked ``config.json``, or the config of a training run's network from ``run.json``.

    Raises:
        FileNotFoundError: no such directory, or neither file in it.
        ValueError: not JSON, of a newer format, or with an unknown class or a malformed entry.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no directory {folder}.")
    if path.is_file():
        config = read_json(path)
    elif (folder / RUN_FILE).is_file():
        path, config = folder / RUN_FILE, _config_of_run(folder)
    else:
        raise FileNotFoundError(f"The directory {folder} has no config.json, so it is not a preset.")
    check_format_version(config, path)
    name = config.get("class")
    # Those of the zoo without importing them.
    if not isinstance(name, str) or name not in CLASSES:
        try:
            class_named(name)
        except ValueError as error:
            raise ValueError(f"{path}: {error}.") from None
    _checked_name(config.setdefault("name", folder.name), path)
    if not isinstance(config.setdefault("arguments", {}), dict):
        raise ValueError(f"{path}: 'arguments' must be an object of constructor arguments.")
    check_no_modules(config["arguments"], f"{path}: 'arguments'")
    for key, kind in (("kind", str), ("paper", dict), ("license", dict), ("input", dict), ("alignment", dict)):
        if not isinstance(config.get(key), kind | None):
            raise ValueError(f"{path}: {key!r} must be {'text' if kind is str else 'an object'}.")
    weights = config.setdefault("weights", None)
    if weights is not None:
        file = weights.get("file") if isinstance(weights, dict) else None
        # A plain file name: a path could point outside the directory.
        if not isinstance(file, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.weights\.h5", file):
            raise ValueError(f"{path}: 'weights' must name a file in the directory that ends in .weights.h5.")
        if not re.fullmatch(r"[0-9a-f]{64}", str(weights.get("sha256"))):
            raise ValueError(f"{path}: 'weights' must give the file's sha256 in lower-case hexadecimal.")
        if not isinstance(weights.get("bytes"), int | None):
            raise ValueError(f"{path}: 'weights' must give the file's size in bytes as a whole number.")
    return config


def _config_of_run(folder):
    """The config of a training run's network, with its best weights."""
    record = read_json(folder / RUN_FILE)
    config = record.get("model")
    if not isinstance(config, dict):
        raise ValueError(
            f"{folder} is a run of an earlier version, which did not record its network: run its "
            "training command again, which adds that."
        )
    name, weights, reason = folder.resolve().name, folder / BEST_WEIGHTS_FILE, "its first measurement writes them"
    if not record.get("development"):
        # Nothing is measured: the weights are those at the run's end.
        weights, reason = folder / LAST_WEIGHTS_FILE, "without development faces they are written at its end"
    config = {**config, "name": name if re.fullmatch(_NAME, name) else config.get("name")}
    if not weights.is_file():
        return {**config, "weights": None, "without_weights": f"It is a training run that has none yet: {reason}."}
    entry = {"file": weights.name, "sha256": sha256_of(weights), "bytes": weights.stat().st_size, "dtype": "float32"}
    return {**config, "weights": entry}


def build_model(config, most_weights=None):
    """The untrained model of a checked config, named after the preset, with all weights created.

    Args:
        config: from ``read_config``.
        most_weights: the most weights that the network may have; they are counted before any is made. None: any number.

    Raises:
        ValueError: arguments that the class does not take or refuses, or of a network that is too large; or Keras is
            set to "channels_first".
    """
    # Imports Keras.
    from deblur_zoo.layers.data_format import check_data_format
    from deblur_zoo.zoo.network_size import check_network_size

    # Otherwise these would be reported as invalid arguments.
    forks.guard()
    check_data_format()
    model_class = class_named(config["class"])
    accepted = _argument_names(model_class)
    unknown = sorted(set(config["arguments"]) - set(accepted))
    if unknown:
        raise ValueError(
            f"The preset {config['name']!r} gives {config['class']} the unknown argument {unknown[0]!r}; "
            f"accepted: {', '.join(accepted)}."
        )
    try:
        if most_weights is not None:
            check_network_size(model_class, config["arguments"], most_weights)
        model = model_class(name=config["name"], **config["arguments"])
        model.build((None, None, None, 3))
    # Layers and backends raise their own exceptions for invalid numbers.
    except Exception as error:
        raise ValueError(f"The preset {config['name']!r} has invalid arguments: {error}") from error
    return model


def verify_weights(path, sha256, size=None):
    """Check a weight file against its checksum.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it is truncated, too long, or altered.
    """
    if not path.is_file():
        raise FileNotFoundError(f"The weight file {path} is missing.")
    found = path.stat().st_size
    if isinstance(size, int) and found != size:
        problem = "truncated" if found < size else "too long"
        raise ValueError(f"The weight file {path} is {problem}: {found:,} bytes instead of {size:,}.")
    if sha256_of(path) != sha256:
        raise ValueError(f"The weight file {path} is damaged or was altered: its sha256 is not the recorded one.")


def load_preset(folder, weights=True, expected_sha256=None):
    """The model of a preset directory.

    Args:
        folder: the directory.
        weights: fill in the trained weights; otherwise the model is freshly initialised.
        expected_sha256: the weight file's checksum, where one is recorded outside the directory, whose config is then
            trusted: the network's size is not checked before it is built.

    Raises:
        FileNotFoundError, ValueError: as ``read_config``, ``verify_weights``, ``build_model`` and
            ``deblur_zoo.zoo.weights.load_weights``; or the preset has no trained weights.
    """
    folder = Path(folder)
    config = read_config(folder)
    most_weights = None if expected_sha256 else LARGEST_UNTRAINED
    if weights:
        if config["weights"] is None:
            reason = str(config.get("without_weights") or "").strip()
            raise ValueError(
                f"The preset {config['name']!r} has no trained weights. {reason + ' ' if reason else ''}"
                "weights=False gives the untrained model."
            )
        path, sha256 = folder / config["weights"]["file"], expected_sha256 or config["weights"]["sha256"]
        verify_weights(path, sha256, config["weights"].get("bytes"))
        if most_weights is not None:
            # A weight takes two bytes at least.
            most_weights = path.stat().st_size // 2
    model = build_model(config, most_weights)
    if weights:
        load_weights(model, path, sha256)
    return model


def save_preset(
    model: "keras.Model",
    folder: StrPath,
    name: str | None = None,
    *,
    weights: bool = True,
    without_weights: str | None = None,
    paper: Mapping[str, Any] | None = None,
    license: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ``config.json`` and, unless ``weights`` is false, float16 weights; each file atomically.

    Args:
        model: a built model of the zoo, or of your own subclass of ``Deblurrer``, registered by
            ``@keras.saving.register_keras_serializable(package="...")``, whose ``get_config`` gives every argument.
        folder: the preset directory; created if missing. Other files in it are left alone.
        name: the preset's name; None: the folder's.
        weights: write the weights; otherwise the preset is marked as untrained.
        without_weights: for an untrained preset, a sentence with the reason and an alternative.
        paper: dict with title, authors, year.
        license: dict with the licence of "code" and of "weights".

    Returns:
        The written config.

    Raises:
        ValueError: a class that is not registered, arguments that do not make the same network again, a name of other
            characters than letters, digits, "_", "-" and ".", or weights that float16 cannot hold.
    """
    folder, saved_class = Path(folder), class_name(type(model))
    config = {
        "format_version": FORMAT_VERSION,
        "name": _checked_name(folder.resolve().name if name is None else name, "A preset"),
        "kind": type(model).kind,
        "class": saved_class,
        "arguments": _arguments(model),
    }
    if config["class"] not in CLASSES:
        _check_rebuilt(model, config)
    folder.mkdir(parents=True, exist_ok=True)
    entry = None
    if weights:
        path = folder / WEIGHTS_FILE
        save_weights_float16(model, path)
        entry = {"file": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size, "dtype": "float16"}
    points = zip(alignment.POINT_NAMES, alignment.CANONICAL_POINTS.tolist(), strict=True)
    config |= {
        "weights": entry,
        **({} if weights else {"without_weights": without_weights}),
        "input": {"range": [0, 1], "channels": "RGB", "layout": "NHWC"},
        "alignment": {"crop_size": alignment.CROP_SIZE, "points": dict(points), "border": "reflect"},
        "paper": paper,
        "license": license,
    }
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return config


def _checked_name(name, where):
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise ValueError(f"{where}: the name {name!r} must be letters, digits, '_', '-' and '.'.")
    return name


def _arguments(model):
    """The constructor's arguments of a model, as JSON can hold them."""
    owner, accepted = type(model).__name__, _argument_names(type(model))
    try:
        given = model.get_config()
    except NotImplementedError:
        given = {}
    missing = [name for name in accepted if name not in given]
    if missing:
        raise ValueError(
            f"{owner} cannot be saved as a preset: its get_config() lacks the constructor's {missing[0]!r}."
        )
    arguments = {name: given[name] for name in accepted}
    try:
        arguments = json.loads(json.dumps(arguments))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner} cannot be saved as a preset: JSON does not hold its arguments ({error}).") from None
    check_no_modules(arguments, f"{owner}'s arguments")
    return arguments


def _check_rebuilt(model, config):
    """Reject a model whose class builds another network from its arguments."""
    rebuilt = build_model(config)
    shapes = [[tuple(weight.shape) for weight in network.weights] for network in (model, rebuilt)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{type(model).__name__} cannot be saved as a preset: its get_config() returns arguments of another "
            f"network ({len(shapes[1])} weights, not {len(shapes[0])}, or of other shapes)."
        )


def _argument_names(model_class):
    """Named constructor arguments: what config.json may give, and not what every Keras model takes."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(model_class.__init__).parameters.values()
    return [p.name for p in parameters if p.name not in _KERAS_ARGUMENTS and p.kind in named]
