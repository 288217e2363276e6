"""Load models of the zoo from the ``.keras`` files that ``model.save`` writes."""

import importlib
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

from deblur_zoo.files import forks
from deblur_zoo.files.json_files import LARGEST_JSON
from deblur_zoo.zoo import keras_classes
from deblur_zoo.zoo.classes import check_no_modules
from deblur_zoo.zoo.weights import load_weights

ENDING = ".keras"
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


def load_keras_file(path):
    """The model of a ``.keras`` file, not compiled.

    The class comes from Keras' registry, never from the file, and nothing is unpickled. The network's size is checked
    before it is built, and its weights as those of a preset are.

    Args:
        path: of the file.

    Raises:
        ValueError: not such a file, damaged, its model is neither a deblurrer nor a parser, or its config and weights
            are of different networks.
    """
    from deblur_zoo.layers.data_format import check_data_format

    forks.guard()
    check_data_format()
    with tempfile.TemporaryDirectory(prefix="deblur_zoo_") as folder:
        weights = Path(folder, _WEIGHTS)
        try:
            with zipfile.ZipFile(path) as archive:
                name, arguments = _read_config(archive)
                if archive.getinfo(_WEIGHTS).compress_type != zipfile.ZIP_STORED:
                    # A few bytes could become gigabytes; Keras compresses nothing.
                    raise ValueError("its weights are compressed")
                with archive.open(_WEIGHTS) as packed, open(weights, "wb") as target:
                    shutil.copyfileobj(packed, target)
        # zipfile raises some ten kinds of exceptions at bytes that it does not expect.
        except Exception as error:
            raise ValueError(f"{path} is not a file that model.save wrote, or it is damaged: {error}.") from error
        model_class = _class(path, name)
        try:
            model = _build(model_class, arguments, weights.stat().st_size)
            load_weights(model, weights)
        # So do layers and backends at numbers that they do not expect.
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(str(weights), _WEIGHTS)
            raise ValueError(f"{path} is damaged and cannot be loaded: {reason}") from error
    return model


def _read_config(archive):
    """The name of the model's class and its constructor's arguments."""
    if archive.getinfo(_CONFIG).file_size > LARGEST_JSON:
        raise ValueError("its config.json is larger than 1 MB")
    config = json.loads(archive.read(_CONFIG))
    # Where no class was registered, Keras writes the class' own name alone.
    name, arguments = config["registered_name"] or config["class_name"], config["config"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise ValueError("its config.json names no class with arguments")
    check_no_modules(arguments, "its config.json")
    return name, arguments


def _class(path, name):
    import keras

    package, _, ours = name.rpartition(">")
    if package == keras_classes.PACKAGE and ours in keras_classes.MODULES:
        importlib.import_module(keras_classes.MODULES[ours])
    found = keras.saving.get_registered_object(name)
    if not isinstance(found, type) or not issubclass(found, keras.Model) or not hasattr(found, "kind"):
        raise ValueError(
            f"{path} holds a {name}, which is neither a deblurrer nor a parser of the zoo; a class of your own must be "
            "registered with Keras first."
        )
    return found


def _build(model_class, arguments, weight_bytes):
    """The initialised model; its weights must fit into a file of ``weight_bytes``."""
    from deblur_zoo.zoo.network_size import check_network_size

    def make(**arguments):
        return model_class.from_config(arguments)

    # A weight takes two bytes at least.
    check_network_size(make, arguments, weight_bytes // 2)
    model = make(**arguments)
    model.build((None, None, None, 3))
    return model
