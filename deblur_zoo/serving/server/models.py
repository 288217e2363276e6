"""The models of a folder: found once, at the start; of each the highest version that can be loaded.

TensorFlow ends the whole process over some damaged files. So ``python -m deblur_zoo.serving.server.models FOLDER...``
loads SavedModels and prints a line for each, and the server runs it first.
"""

import contextlib
import dataclasses
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np

from deblur_zoo.exported.saved_model_folder import MODEL_FILE, find_models, find_versions
from deblur_zoo.files import tensorflow_import
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import RequestError, from_tensorflow, invalid

_LOG = logging.getLogger(__name__)
_FIELD = "signature_def"


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a signature takes and gives: ``inputs``, ``outputs``, dicts of name to ``tf.TensorSpec``.

    ``batchable``: requests may be put together along the first axis of everything.
    """

    name: str
    inputs: dict
    outputs: dict

    @property
    def batchable(self):
        every = [*self.inputs.values(), *self.outputs.values()]
        return bool(self.inputs) and all(one.shape.rank and one.shape[0] is None for one in every)


class SavedModel:
    """A SavedModel in memory. It is a program: load only what you trust. Raises RequestError where it is damaged.

    Attributes:
        name, version: as requests name it.
        signatures: dict of name to ``Signature``.
        definitions: the file's ``protocol.SignatureDefMap``, returned as metadata.
    """

    def __init__(self, name, version, folder):
        import tensorflow as tf
        from tensorflow.core.protobuf import saved_model_pb2

        self.name, self.version = name, version
        try:
            content = saved_model_pb2.SavedModel.FromString((folder / MODEL_FILE).read_bytes())
            (graph, *_) = [graph for graph in content.meta_graphs if "serve" in graph.meta_info_def.tags]
            self.definitions = protocol.SignatureDefMap()
            for name, definition in graph.signature_def.items():
                self.definitions.signature_def[name].ParseFromString(definition.SerializeToString())
            # It keeps the variables alive.
            self._tf, self._loaded = tf, tf.saved_model.load(str(folder))
            self._functions = dict(self._loaded.signatures)
            # Sorted: the maps of a protocol buffer have no order.
            self.signatures = {
                name: Signature(name, _sorted(one.structured_input_signature[1]), _sorted(one.structured_outputs))
                for name, one in self._functions.items()
            }
        except Exception as error:
            # TensorFlow raises a dozen unrelated kinds for damaged files.
            raise from_tensorflow(error) from error

    def run(self, signature, arrays):
        """Run a signature by its name. Raises tf.errors.OpError, ValueError or TypeError for what it does not accept.

        Args:
            arrays: dict of input name to array; object arrays of ``bytes`` for strings. The answer is the same.
        """
        tensors = {name: self._tf.constant(array) for name, array in arrays.items()}
        outputs = self._functions[signature](**tensors)
        return {name: np.asarray(one.numpy(), one.dtype.as_numpy_dtype) for name, one in _sorted(outputs).items()}


def _sorted(specifications):
    return dict(sorted(specifications.items()))


def find(folder):
    """Dict of model name to dict of version to folder. Raises FileNotFoundError or ValueError where there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    found = {child.name: find_versions(child) for child in find_models(folder)}
    if not found:
        raise ValueError(f"{folder} has no model (NAME/VERSION/{MODEL_FILE}).")
    return found


class Models:
    """The models that a server has: of those that ``find`` gave, the highest version that can be loaded.

    Versions that cannot be are logged; where that is all of them, ValueError is raised.
    """

    def __init__(self, found):
        self._models, error = {}, None
        crashing = _crashing([folder for versions in found.values() for folder in versions.values()])
        for name, versions in found.items():
            for version, folder in sorted(versions.items(), reverse=True):
                try:
                    if folder in crashing:
                        raise RequestError("DATA_LOSS", f"{folder} is damaged: it ends the process that loads it")
                    self._models[name] = SavedModel(name, version, folder)
                    break
                except RequestError as caught:
                    error = f"version {version} of {name}: {caught.code}: {caught}"
                    _LOG.error("%s", error)
        if not self._models:
            raise ValueError(f"no model could be loaded: {error}")

    def find(self, name, version=None):
        """The ``SavedModel`` that a request asks for; ``version`` None takes what there is. Raises RequestError."""
        if not name:
            raise invalid("ModelSpec has no name specified.")
        model = self._models.get(name)
        if model is None or version not in (None, model.version):
            request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {request}")
        return model

    def status(self, name, version=None):
        """The ``protocol.GetModelStatusResponse`` about a model; raises as ``find``."""
        status = {"version": self.find(name, version).version, "state": "AVAILABLE", "status": {"error_code": "OK"}}
        return protocol.GetModelStatusResponse(model_version_status=[status])

    def metadata(self, name, version=None, fields=(_FIELD,)):
        """The ``protocol.GetModelMetadataResponse`` of a version; raises as ``find``."""
        if list(fields[:2]) != [_FIELD]:
            raise invalid(f"The only metadata_field is {_FIELD}")
        model = self.find(name, version)
        message = protocol.GetModelMetadataResponse(model_spec={"name": name, "version": {"value": model.version}})
        message.metadata[_FIELD].type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        message.metadata[_FIELD].value = model.definitions.SerializeToString()
        return message


def _crashing(folders):
    """Those of the folders over which TensorFlow ends the process."""
    crashing, left = set(), list(folders)
    while left:
        done = _load_in_another_process(left)
        crashing.update(left[done : done + 1])
        left = left[done + 1 :]
    return crashing


def _load_in_another_process(folders):
    """How many of them it loads before it ends."""
    command = [sys.executable, "-m", __name__, *map(str, folders)]
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **options) as process:
        # It takes both processes seconds.
        import tensorflow  # noqa: F401

        return process.communicate()[0].count(b"done\n")


if __name__ == "__main__":
    tensorflow_import.prepare()
    for argument in sys.argv[1:]:
        # Whoever loads it next learns what is wrong.
        with contextlib.suppress(RequestError):
            SavedModel("", 0, Path(argument))
        print("done", flush=True)
