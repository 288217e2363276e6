"""Preset directories: ``config.json`` names a class and its arguments, a weight file lies beside it.

Reading checks everything and unpickles nothing; the class comes from a fixed table, never from the file.
"""

import importlib
import inspect
import json
import re
from pathlib import Path

from deblur_zoo.faces import alignment
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.files.checksum import sha256_of
from deblur_zoo.zoo.weights import load_weights, save_weights_float16

FORMAT_VERSION = 1
WEIGHTS_FILE = "model.weights.h5"
# Class name in config.json to the module that defines it.
CLASSES = {
    "EnhancementGan": "deblur_zoo.models.enhancement_gan",
    "FaceParser": "deblur_zoo.models.face_parser",
    "FourClassParser": "deblur_zoo.models.umsn_parser",
    "OneStep": "deblur_zoo.models.one_step",
    "SemanticFace": "deblur_zoo.models.semantic_face",
    "TwoStepGan": "deblur_zoo.models.two_step_gan",
    "Umsn": "deblur_zoo.models.umsn",
}
# Networks that only train others: a recipe may name them, a preset may not.
TRAINING_CLASSES = {
    "ConditionalDiscriminator": "deblur_zoo.models.two_step_gan_discriminator",
    "FaceDiscriminator": "deblur_zoo.models.semantic_face_discriminator",
    "PatchCritic": "deblur_zoo.models.enhancement_gan_critic",
    "SharpPathway": "deblur_zoo.models.two_step_gan_generator",
    "UmsnTrainingNetworks": "deblur_zoo.models.umsn_confidence",
}
_LARGEST_CONFIG = 1_000_000


def read_json(path):
    """A JSON object from a file.

    Raises:
        ValueError: not a JSON object, or above 1 MB.
    """
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise ValueError("it is larger than 1 MB")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a valid JSON file: {error}.") from error
    return content


def check_format_version(content, path):
    """Refuse a file that a later version of the library wrote, and one that states no version."""
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise ValueError(f"{path} states no format_version; {FORMAT_VERSION} is accepted.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format_version {version}, this deblur_zoo reads up to {FORMAT_VERSION}: install a newer one."
        )


def read_config(folder):
    """A preset directory's checked ``config.json``.

    Raises:
        FileNotFoundError: no such directory, or no ``config.json`` in it.
        ValueError: not JSON, of a newer format, or with an unknown class or a malformed entry.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no directory {folder}.")
    if not path.is_file():
        raise FileNotFoundError(f"The directory {folder} has no config.json and so is no preset.")
    config = read_json(path)
    check_format_version(config, path)
    if not isinstance(config.get("class"), str) or config["class"] not in CLASSES:
        raise ValueError(
            f"{path} names the class {config.get('class')!r}, which this deblur_zoo does not have; "
            f"it has {', '.join(sorted(CLASSES))}."
        )
    name = config.setdefault("name", folder.name)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(f"{path}: the name {name!r} must be letters, digits, '_', '-' and '.'.")
    if not isinstance(config.setdefault("arguments", {}), dict):
        raise ValueError(f"{path}: 'arguments' must be an object of constructor arguments.")
    weights = config.setdefault("weights", None)
    if weights is not None:
        file = weights.get("file") if isinstance(weights, dict) else None
        # A plain file name: a path could point outside the directory.
        if not isinstance(file, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.weights\.h5", file):
            raise ValueError(f"{path}: 'weights' must name a file in the directory that ends in .weights.h5.")
        if not re.fullmatch(r"[0-9a-f]{64}", str(weights.get("sha256"))):
            raise ValueError(f"{path}: 'weights' must give the file's sha256 in lower-case hexadecimal.")
    return config


def build_model(config):
    """The untrained model of a checked config, named after the preset, with all weights created.

    Raises:
        ValueError: arguments that the class does not take or refuses, or Keras is set to "channels_first".
    """
    # Imports Keras.
    from deblur_zoo.layers.data_format import check_data_format

    # Else it would be taken for a fault of the arguments.
    check_data_format()
    model_class = getattr(importlib.import_module(CLASSES[config["class"]]), config["class"])
    accepted = _argument_names(model_class)
    unknown = sorted(set(config["arguments"]) - set(accepted))
    if unknown:
        raise ValueError(
            f"The preset {config['name']!r} gives {config['class']} the unknown argument {unknown[0]!r}; "
            f"accepted: {', '.join(accepted)}."
        )
    try:
        model = model_class(name=config["name"], **config["arguments"])
        model.build((None, None, None, 3))
    except (TypeError, ValueError) as error:
        raise ValueError(f"The preset {config['name']!r} has arguments that make no network: {error}") from error
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
        expected_sha256: the weight file's checksum, where one is recorded outside the directory.

    Raises:
        FileNotFoundError, ValueError: as ``read_config``, ``verify_weights``, ``build_model`` and
            ``deblur_zoo.zoo.weights.load_weights``; or the preset has no trained weights.
    """
    folder = Path(folder)
    config = read_config(folder)
    if weights:
        if config["weights"] is None:
            reason = str(config.get("without_weights") or "").strip()
            raise ValueError(
                f"The preset {config['name']!r} has no trained weights. {reason + ' ' if reason else ''}"
                "weights=False gives the untrained model."
            )
        path = folder / config["weights"]["file"]
        verify_weights(path, expected_sha256 or config["weights"]["sha256"], config["weights"].get("bytes"))
    model = build_model(config)
    if weights:
        load_weights(model, path)
    return model


def save_preset(model, folder, name, *, weights=True, without_weights=None, paper=None, license=None):
    """Write ``config.json`` and, unless ``weights`` is false, float16 weights; each file complete or not at all.

    Args:
        model: a built model of a class in ``CLASSES``.
        folder: the preset directory; made if it is not there. Other files in it are left alone.
        name: the preset's name.
        weights: write the weights; otherwise the preset is marked as untrained.
        without_weights: for an untrained preset, a sentence that says why and which preset to use instead.
        paper: dict with title, authors, year.
        license: dict with the licence of "code" and of "weights".

    Returns:
        The written config.

    Raises:
        ValueError: a class outside the table, or weights that float16 cannot hold.
    """
    class_name = type(model).__name__
    if class_name not in CLASSES:
        raise ValueError(f"A preset's class is one of {', '.join(sorted(CLASSES))}, not {class_name}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accepted = _argument_names(type(model))
    entry = None
    if weights:
        path = folder / WEIGHTS_FILE
        save_weights_float16(model, path)
        entry = {"file": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size, "dtype": "float16"}
    points = zip(alignment.POINT_NAMES, alignment.CANONICAL_POINTS.tolist(), strict=True)
    config = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "kind": type(model).kind,
        "class": class_name,
        "arguments": {key: value for key, value in model.get_config().items() if key in accepted},
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


def _argument_names(model_class):
    """Named constructor arguments: what config.json may give, and not Keras' own (dtype, trainable)."""
    parameters = inspect.signature(model_class.__init__).parameters.values()
    return [p.name for p in parameters if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
