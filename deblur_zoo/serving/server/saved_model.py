"""A version of a model in memory: its signatures, and how they are run."""

import dataclasses
import itertools

import numpy as np

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE, MODEL_FILE, WARM_UP_FILE
from deblur_zoo.serving import protocol

# As many as TensorFlow Serving accepts.
MOST_WARM_UP_RECORDS = 1000


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
    """A SavedModel in memory. It is a program: load only what you trust.

    Args:
        folder: Path of what holds ``saved_model.pb``. Anything that TensorFlow raises for a damaged one comes through.

    Attributes:
        signatures: dict of name to ``Signature``.
        definitions: the file's ``protocol.SignatureDefMap``, for those who ask for metadata.
    """

    def __init__(self, folder):
        import tensorflow as tf
        from tensorflow.core.protobuf import saved_model_pb2

        content = saved_model_pb2.SavedModel.FromString((folder / MODEL_FILE).read_bytes())
        graphs = [graph for graph in content.meta_graphs if "serve" in graph.meta_info_def.tags]
        if not graphs:
            raise ValueError(f"{folder} holds no graph with the tag 'serve'")
        self.definitions = protocol.SignatureDefMap()
        for name, definition in graphs[0].signature_def.items():
            self.definitions.signature_def[name].ParseFromString(definition.SerializeToString())
        # It keeps the variables alive.
        self._tf, self._loaded = tf, tf.saved_model.load(str(folder))
        self._functions = dict(self._loaded.signatures)
        # Sorted: the maps of a protocol buffer have no order.
        self.signatures = {
            name: Signature(name, _sorted(function.structured_input_signature[1]), _sorted(function.structured_outputs))
            for name, function in self._functions.items()
        }
        if (folder / WARM_UP_FILE).is_file():
            self._warm_up(tf.data.TFRecordDataset(str(folder / WARM_UP_FILE)).as_numpy_iterator())

    def _warm_up(self, records):
        for record in itertools.islice(records, MOST_WARM_UP_RECORDS):
            request = protocol.PredictionLog.FromString(record).predict_log.request
            arrays = {name: protocol.to_array(tensor) for name, tensor in request.inputs.items()}
            self.run(request.model_spec.signature_name or FLOAT_SIGNATURE, arrays)

    def run(self, signature, arrays):
        """Run a signature by its name. Raises tf.errors.OpError, ValueError or TypeError for what it does not accept.

        Args:
            arrays: dict of input name to array; object arrays of ``bytes`` for strings. The answer is the same.
        """
        tensors = {name: self._tf.constant(array) for name, array in arrays.items()}
        outputs = _sorted(self._functions[signature](**tensors))
        return {
            name: np.asarray(tensor.numpy(), tensor.dtype.as_numpy_dtype) for name, tensor in _sorted(outputs).items()
        }


def _sorted(specifications):
    return dict(sorted(specifications.items()))
