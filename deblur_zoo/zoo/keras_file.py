"""Load models of the zoo from the ``.keras`` files that ``model.save`` writes."""

import importlib
import json
import zipfile

from deblur_zoo.zoo import keras_classes

ENDING = ".keras"
_LARGEST_CONFIG = 1_000_000


def load_keras_file(path):
    """The model of a ``.keras`` file, not compiled.

    The class comes from Keras' registry, never from the file, and nothing is unpickled.

    Args:
        path: of the file.

    Raises:
        ValueError: not such a file, damaged, or its model is neither a deblurrer nor a parser.
    """
    import keras

    from deblur_zoo.layers.data_format import check_data_format

    check_data_format()
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise ValueError("its config.json is larger than 1 MB")
            name = str(json.loads(archive.read("config.json"))["registered_name"])
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, RecursionError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a file that model.save wrote, or it is damaged: {error}.") from None
    package, _, ours = name.rpartition(">")
    if package == keras_classes.PACKAGE and ours in keras_classes.MODULES:
        importlib.import_module(keras_classes.MODULES[ours])
    found = keras.saving.get_registered_object(name)
    if not isinstance(found, type) or not issubclass(found, keras.Model) or not hasattr(found, "kind"):
        raise ValueError(
            f"{path} holds a {name}, which is neither a deblurrer nor a parser of the zoo; a class of your own must be "
            "registered with Keras first."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Damage raises errors of zip, JSON, HDF5 and Keras, which have no common base class.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is damaged and cannot be loaded: {reason}") from error
