"""The models of a folder: found once, at the start; of each the highest version that can be loaded.

TensorFlow ends the whole process over some damaged files. So ``python -m deblur_zoo.serving.server.models FOLDER...``
loads SavedModels and prints a line for each, and the server runs it first.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from deblur_zoo.exported.saved_model_folder import MODEL_FILE, find_models, find_versions
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import RequestError, from_tensorflow, invalid
from deblur_zoo.serving.server.saved_model import SavedModel

_FIELD = "signature_def"


@dataclasses.dataclass
class Model:
    """A model: the version that answers and its ``SavedModel``, None where none could be loaded.

    ``errors``: dict of the higher versions, which could not be loaded, to the ``RequestError`` why.
    """

    name: str
    version: int | None = None
    loaded: SavedModel | None = None
    errors: dict = dataclasses.field(default_factory=dict)


def find(folder):
    """Dict of model name to dict of version to folder.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no model in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    found = {child.name: find_versions(child) for child in find_models(folder)}
    if not found:
        hint = ""
        if any((version / MODEL_FILE).is_file() for version in find_versions(folder).values()):
            hint = f" It looks like a model itself: give the folder above it, {folder.absolute().parent}."
        raise ValueError(f"{folder} holds no model: NAME/VERSION/{MODEL_FILE} is looked for.{hint}")
    return found


class Models:
    """The models that a server has.

    Args:
        found: what ``find`` gave. Of each model the highest version is loaded, or the next lower one where that fails.

    Raises:
        ValueError: no version of any model could be loaded.
    """

    def __init__(self, found):
        self._models = {name: Model(name) for name in found}
        left = {name: sorted(versions, reverse=True) for name, versions in found.items()}
        while tries := [(name, left[name].pop(0)) for name in left if not self._models[name].loaded and left[name]]:
            crashing = _crashing([found[name][version] for name, version in tries])
            for name, version in tries:
                model, folder = self._models[name], found[name][version]
                try:
                    if folder in crashing:
                        raise RequestError("DATA_LOSS", f"{folder} is damaged: it ends the process that loads it")
                    model.loaded, model.version = _load(folder), version
                except RequestError as error:
                    model.errors[version] = error
        if not any(model.loaded for model in self._models.values()):
            name, model = next(iter(self._models.items()))
            version, error = next(iter(model.errors.items()))
            raise ValueError(f"no model could be loaded: version {version} of {name}: {error.code}: {error}")

    @property
    def complete(self):
        """Whether a version of every model is there."""
        return all(model.loaded for model in self._models.values())

    def find(self, name, version=None):
        """The ``Model`` that a request asks for; ``version`` None takes what there is.

        Raises:
            RequestError: NOT_FOUND; INVALID_ARGUMENT for an empty name.
        """
        if not name:
            raise invalid("ModelSpec has no name specified.")
        model = self._models.get(name)
        if model is None or model.loaded is None or version not in (None, model.version):
            request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {request}")
        return model

    def status(self, name, version=None):
        """The ``protocol.GetModelStatusResponse`` about one version or all; raises RequestError, NOT_FOUND."""
        model = self._models.get(name) or Model(name)
        states = {number: ("END", error.code, str(error)) for number, error in model.errors.items()}
        if model.loaded:
            states[model.version] = ("AVAILABLE", "OK", "")
        message = protocol.GetModelStatusResponse()
        for number, (state, code, text) in sorted(states.items()):
            if version in (None, number):
                status = protocol.StatusProto(error_code=code, error_message=text)
                message.model_version_status.add(version=number, state=state, status=status)
        if not message.model_version_status:
            what = "any versions" if version is None else f"version {version}"
            raise RequestError("NOT_FOUND", f"Could not find {what} of model {name}")
        return message

    def metadata(self, name, version=None, fields=(_FIELD,)):
        """The ``protocol.GetModelMetadataResponse`` of a version; raises as ``find``."""
        if list(fields[:2]) != [_FIELD]:
            raise invalid(f"The metadata_field {_FIELD} is offered, and no other")
        model = self.find(name, version)
        message = protocol.GetModelMetadataResponse(model_spec={"name": name, "version": {"value": model.version}})
        message.metadata[_FIELD].type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        message.metadata[_FIELD].value = model.loaded.definitions.SerializeToString()
        return message


def _load(folder):
    try:
        return SavedModel(folder)
    except Exception as error:
        # TensorFlow raises a dozen unrelated kinds for damaged files.
        raise from_tensorflow(error) from error


def _crashing(folders):
    """Those of the folders over which TensorFlow ends the process."""
    crashing, left = set(), list(folders)
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]))
    while left:
        finished = subprocess.run(
            [sys.executable, "-m", __name__, *map(str, left)],
            env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        done = finished.stdout.count(b"done\n")
        crashing.update(left[done : done + 1])
        left = left[done + 1 :]
    return crashing


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        try:
            _load(Path(argument))
        except RequestError:
            # Whoever loads it next learns it in the same way.
            pass
        print("done", flush=True)
