"""The registry: a preset's name, a directory or a URI to a model with verified weights.

    list_models()              the names
    describe("one_step")       parameters, multiply-adds, training, measured quality
    load("one_step")           the model

Presets are in the package ``hub_models``: ``index.json`` and a directory for each.
"""

import difflib
import fnmatch
import importlib.resources
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deblur_zoo import exported
from deblur_zoo.annotations import StrPath
from deblur_zoo.files import hubs
from deblur_zoo.files.downloads import fetch
from deblur_zoo.zoo import keras_file, presets
from deblur_zoo.zoo.classes import class_named
from deblur_zoo.zoo.presets import save_preset
from deblur_zoo.zoo.weights import load_weights, save_weights_float16

if TYPE_CHECKING:
    import keras

    from deblur_zoo.models.deblurrer import Deblurrer


__all__ = [
    "Description",
    "describe",
    "hub_folder",
    "list_models",
    "load",
    "load_initial_weights",
    "load_weights",
    "preset_folder",
    "save_preset",
    "save_weights_float16",
]


# Objects in a preset's entry of the index.
_RECORDS = ("training", "measured")


@dataclass(frozen=True)
class Description:
    """A preset's description, from its files.

    Attributes:
        name: the preset's name.
        parameters: number of weights, trained or not.
        multiply_adds: of one 128x128 image; see ``deblur_zoo.zoo.multiply_adds``.
        config: the preset's ``config.json``.
        record: its entry in ``hub_models/index.json`` (empty for directories and URIs): ``training``, ``measured``.
    """

    name: str
    parameters: int
    multiply_adds: int
    config: dict[str, Any]
    record: dict[str, Any]

    def __str__(self) -> str:
        config, record = self.config, self.record
        weights, paper, license = (config.get(key) or {} for key in ("weights", "paper", "license"))
        lines = {
            "class": config["class"] + "".join(f", {k}={v}" for k, v in config["arguments"].items()),
            "parameters": f"{self.parameters:,}",
            "multiply-adds": f"{self.multiply_adds / 1e9:.3f} G at 128x128 ({self.multiply_adds:,})",
            "weights": f"{weights['dtype']}, {weights['bytes'] / 1e6:.2f} MB"
            if {"dtype", "bytes"} <= set(weights)
            else ("yes" if weights else f"none. {config.get('without_weights') or ''}"),
            "trained": _join(record.get("training")),
            "measured": _join(record.get("measured")),
            "paper": paper.get("title"),
            "licence": _join({key: value for key, value in license.items() if value}),
        }
        rows = [f"  {key:<14} {str(text).strip()}" for key, text in lines.items() if text]
        return "\n".join([f"{self.name} ({config.get('kind', 'deblurrer')})", *rows])


def _join(record):
    return ", ".join(f"{key} {value}" for key, value in (record or {}).items())


def hub_folder() -> Path:
    """The installed folder ``hub_models``."""
    return Path(str(importlib.resources.files("hub_models")))


def list_models(pattern: str = "*", *, kind: str | None = None, trained: bool | None = None) -> list[str]:
    """Names of the presets, sorted.

    Args:
        pattern: only names that match it, with shell wildcards: ``"*_lite"``.
        kind: only presets of this kind, such as "deblurrer".
        trained: True: only presets with weights; False: only those without.

    Raises:
        ValueError: no preset is of this kind.
    """
    entries = _index()
    kinds = sorted({str(entry.get("kind")) for entry in entries.values()})
    if kind is not None and entries and kind not in kinds:
        raise ValueError(f"There are no presets of kind {kind!r}; the kinds are {', '.join(kinds)}.")
    return sorted(
        name
        for name, entry in entries.items()
        if fnmatch.fnmatchcase(name, pattern)
        and kind in (None, entry.get("kind"))
        and trained in (None, bool(entry.get("weights_sha256")))
    )


def preset_folder(source: StrPath) -> Path:
    """The local directory of a preset.

    Args:
        source: a name in ``list_models()``; a directory with ``config.json``; a training run's folder; or a URI
            (``file://``, ``https://`` of an archive or of a directory, ``hf://owner/name``,
            ``kaggle://owner/model/framework/variation``; fetched once into a cache). A name takes precedence over a
            directory of the same name.

    Raises:
        FileNotFoundError: the directory or the URI does not exist.
        ValueError: anything else; the sentence lists similar names, or the presets of the method that was named.
        ConnectionError: the server cannot be reached.
        TypeError: neither a string nor a path.
    """
    return _find(source)[0]


def load(
    source: StrPath, weights: bool = True, *, kind: str | None = None, model_class: type | None = None
) -> "Deblurrer | Any":
    """A model by name, directory or URI.

    Args:
        source: as for ``preset_folder``, of a training run the best weights so far (of one without development faces
            the last ones, when it has ended); or the path of what ``python -m exporters`` wrote: a SavedModel's folder
            or .tar.gz, a .tflite or .onnx file; or of the .keras file that ``model.save`` wrote.
        weights: fill in the trained weights, after their SHA-256 was checked against ``hub_models/index.json`` (for a
            name) or ``config.json``. False gives the freshly initialised model.
        kind: reject presets of another kind, such as "deblurrer".
        model_class: reject presets of other classes than this one and its subclasses; ``from_preset`` passes its own.

    Returns:
        A built ``Deblurrer`` named after the preset: ``model(images)`` on float RGB in [0, 1], (N, H, W, 3);
        ``model.deblur(picture)`` on paths, PIL images and arrays. Presets of kind "parser" give a parser, whose
        ``model.parse(picture)`` labels every pixel. An exported file gives a ``deblur_zoo.exported.ExportedDeblurrer``,
        which is called in the same way, on NumPy arrays.

    Raises:
        FileNotFoundError: no such directory, no ``config.json`` in it, or the weight file is missing.
        ValueError: an unknown name; a config that is damaged, of a newer format, or names an unknown class or argument;
            weights that are truncated, altered, NaN or of another network; or the preset has no trained weights, or is
            of another kind or class.
        ConnectionError: the server of a URI cannot be reached.
        ImportError: the interpreter of an exported file's format is not installed.
    """
    if _is_keras_file(source):
        return _load_keras_file(source, weights, kind)
    if _is_exported(source):
        return _load_exported(source, weights, kind, model_class)
    folder, entry = _find(source)
    if model_class is not None:
        name = presets.read_config(folder)["class"]
        if not issubclass(class_named(name), model_class):
            raise ValueError(
                f"{source} is a preset of the class {name}, not {model_class.__name__}; "
                f"deblur_zoo.load({str(source)!r}) takes presets of any class."
            )
    if kind is not None:
        found = presets.read_config(folder).get("kind", "deblurrer")
        if found != kind:
            raise ValueError(f"{source} is a preset of kind {found!r}; one of kind {kind!r} is needed here.")
    return presets.load_preset(folder, weights, entry.get("weights_sha256"))


def _is_keras_file(source):
    return str(source).endswith(keras_file.ENDING) and "://" not in str(source) and Path(source).is_file()


def _load_keras_file(source, weights, kind):
    if not weights:
        raise ValueError(f"{source} is a saved model: its weights are part of it.")
    model = keras_file.load_keras_file(source)
    if kind not in (None, model.kind):
        raise ValueError(f"{source} is a saved {model.kind}; one of kind {kind!r} is needed here.")
    return model


def _is_exported(source):
    """Whether a source is an exported file; a preset's name or folder takes precedence."""
    if not isinstance(source, (str, os.PathLike)) or "://" in os.fspath(source):
        return False
    path = Path(source)
    if not path.exists() or (path / "config.json").is_file() or (isinstance(source, str) and source in _index()):
        return False
    return exported.reader_of(path) is not None


def _load_exported(source, weights, kind, model_class):
    if model_class is not None:
        raise ValueError(
            f"{source} is an exported model, not a preset of the class {model_class.__name__}; "
            f"deblur_zoo.load({str(source)!r}) takes it."
        )
    if not weights:
        raise ValueError(f"{source} is an exported model: its weights are part of it.")
    if kind not in (None, "deblurrer"):
        raise ValueError(f"{source} is an exported deblurrer; one of kind {kind!r} is needed here.")
    return exported.open_exported(source)


def load_initial_weights(model: "keras.Model", source: StrPath) -> None:
    """Fill a built model from a ``.weights.h5`` file, or from a preset of the same architecture.

    Args:
        model: a built ``keras.Model``.
        source: path of a ``.weights.h5`` file, or as for ``preset_folder``.

    Raises:
        As ``load``, and ValueError if the weights belong to a different network.
    """
    if str(source).endswith(".weights.h5") and "://" not in str(source):
        load_weights(model, source)
    else:
        model.set_weights(_same_shapes(model, load(source), source))


def _same_shapes(model, loaded, source):
    values = loaded.get_weights()
    if [value.shape for value in values] != [tuple(weight.shape) for weight in model.weights]:
        raise ValueError(f"The weights of {source} belong to a different network than {model.name!r}.")
    return values


def describe(source: StrPath) -> Description:
    """Parameters, multiply-adds and origin of a preset; needs no weights.

    Args:
        source: as for ``preset_folder``.

    Returns:
        Description; its ``str()`` is a readable block.

    Raises:
        As ``load`` for everything but weights.
    """
    # Imports Keras.
    from deblur_zoo.zoo.multiply_adds import count_multiply_adds

    folder, entry = _find(source)
    config = presets.read_config(folder)
    model = presets.build_model(config, None if entry else presets.LARGEST_UNTRAINED)
    return Description(config["name"], model.count_params(), count_multiply_adds(model), config, entry)


def upload_preset(source: StrPath, uri: str, *, message: str = "Upload a preset", private: bool = False) -> str:
    """Upload a trained preset to a model hub, as the user whom the hub's package has logged in.

    Args:
        source: a name, or a directory that ``save_preset`` wrote.
        uri: ``hf://owner/name`` or ``kaggle://owner/model/framework/variation``. A repository is made if it does not
            exist; other files in it stay.
        message: what changed, for the hub's history.
        private: only the owner sees a repository that is made now.

    Returns:
        A URI that ``load`` takes; at Hugging Face it names the commit.

    Raises:
        ValueError: no trained preset, altered weights, or another form of URI.
        FileNotFoundError: no such preset.
        ConnectionError: the hub cannot be reached, or refuses.
        ImportError: the hub's package is not installed.
    """
    folder, _ = _find(source)
    if not hubs.is_hub(uri):
        raise ValueError(f"A preset is uploaded to hf://... or kaggle://..., not to {uri}.")
    config = presets.read_config(folder)
    if not (folder / "config.json").is_file() or config["weights"] is None:
        raise ValueError(f"{source} is not a preset with trained weights; deblur_zoo.save_preset writes one.")
    weights = config["weights"]
    presets.verify_weights(folder / weights["file"], weights["sha256"], weights.get("bytes"))
    return hubs.upload(folder, weights["file"], uri, message=message, private=private)


def _index():
    path = hub_folder() / "index.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install deblur-zoo again.")
    content = presets.read_json(path)
    presets.check_format_version(content, path)
    entries = content.get("presets")
    records = entries.values() if isinstance(entries, dict) else [None]
    parts = [part for entry in records if isinstance(entry, dict) for part in (entry, *map(entry.get, _RECORDS))]
    if not all(isinstance(entry, dict) for entry in records) or not all(
        isinstance(part, dict | None) for part in parts
    ):
        raise ValueError(f"{path} holds no presets: install deblur-zoo again.")
    return entries


def _find(source):
    """The directory of a preset and its entry in the index (empty unless it was given by name)."""
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"A preset is a name, a directory or a URI, not {type(source)}.")
    text = os.fspath(source)
    if "://" in text:
        return fetch(text), {}
    if isinstance(source, str):
        entries = _index()
        if source in entries:
            return hub_folder() / source, entries[source]
    path = Path(text)
    if path.is_dir():
        return path, {}
    accepted = "a directory with config.json and a file://, https://, hf:// or kaggle:// URI are accepted too"
    if path.exists():
        raise ValueError(
            f"{path} is a file, not a preset: a name in list_models() is accepted; {accepted}, and "
            "saved .keras models and exported SavedModels, .tflite and .onnx files."
        )
    if isinstance(source, str) and not any(separator in text for separator in "/\\"):
        # Those that load, first of all.
        known = list_models(trained=True) or sorted(entries)
        near = difflib.get_close_matches(source, known, n=3, cutoff=0.4)
        names = f"near names: {', '.join(near)}" if near else f"the names are {', '.join(known) or '(none)'}"
        raise ValueError(f"There is no preset {source!r}; {names}; {accepted}.")
    raise FileNotFoundError(f"There is no directory {path}.")
