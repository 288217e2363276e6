"""A version of a model in memory: its signatures, and how they are run."""

import dataclasses
import math
from pathlib import Path

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE, MODEL_FILE, WARM_UP_FILE
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import invalid

# As many as TensorFlow Serving accepts.
MOST_WARM_UP_RECORDS = 1000
_NUMPY_NAMES = {**protocol.NUMPY_NAMES, protocol.STRING: "object"}


def data_type_name(number):
    """TensorFlow's name of a data type: "float", "double", "string"."""
    name = protocol.DATA_TYPE_NAMES.get(number)
    return name.removeprefix("DT_").lower() if name else f"data type {number}"


@dataclasses.dataclass(frozen=True)
class Input:
    """An input or output of a signature: data type, and shape with -1 for any size (None for any rank)."""

    data_type: int
    shape: tuple | None

    @property
    def numpy_name(self):
        """NumPy's name of the data type; None where it cannot be sent."""
        return _NUMPY_NAMES.get(self.data_type)

    def accepts(self, shape):
        """Whether an array of this shape may be given."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(wanted in (-1, given) for wanted, given in zip(self.shape, shape, strict=True))
        )

    def pixels(self, shape):
        """Height times width times pictures, for numbers: every size but the last, where that is a fixed one."""
        fixed_channels = self.shape and self.shape[-1] != -1
        return math.prod(shape[:-1] if fixed_channels else shape)


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a signature takes and gives: dicts of name to ``Input``."""

    name: str
    inputs: dict
    outputs: dict

    @property
    def batchable(self):
        """Whether requests may be put together along the first axis of everything."""
        every = [*self.inputs.values(), *self.outputs.values()]
        return bool(self.inputs) and all(one.shape and one.shape[0] == -1 for one in every)


def _signature(name, message):
    def read(tensors):
        return {
            alias: Input(
                info.dtype,
                None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim),
            )
            for alias, info in sorted(tensors.items())
        }

    return Signature(name, read(message.inputs), read(message.outputs))


class SavedModel:
    """A SavedModel in memory.

    Args:
        folder: what holds ``saved_model.pb``. A SavedModel is a program: load only what you trust.

    Attributes:
        signatures: dict of name to ``Signature``.
        signature_definitions: the ``protocol.SignatureDefMap`` of the file, for those who ask for metadata.

    Raises:
        anything that TensorFlow raises for a damaged one.
    """

    def __init__(self, folder):
        import tensorflow as tf
        from tensorflow.core.protobuf import saved_model_pb2

        self._tf = tf
        self.folder = Path(folder)
        content = saved_model_pb2.SavedModel.FromString((self.folder / MODEL_FILE).read_bytes())
        graphs = [graph for graph in content.meta_graphs if "serve" in graph.meta_info_def.tags]
        if not graphs:
            raise ValueError(f"{self.folder} holds no graph with the tag 'serve'")
        self.signature_definitions = protocol.SignatureDefMap()
        for name, definition in graphs[0].signature_def.items():
            self.signature_definitions.signature_def[name].ParseFromString(definition.SerializeToString())
        # It keeps the variables alive.
        self._loaded = tf.saved_model.load(str(self.folder))
        self._functions = dict(self._loaded.signatures)
        self.signatures = {
            name: _signature(name, self.signature_definitions.signature_def[name]) for name in self._functions
        }

    def run(self, signature, arrays):
        """Run a signature.

        Args:
            signature: its name.
            arrays: dict of input name to array; object arrays of ``bytes`` for strings.

        Returns:
            dict of output name to array.

        Raises:
            tf.errors.OpError, ValueError, TypeError: what the graph does not accept.
        """
        tensors = {name: self._tf.constant(array) for name, array in arrays.items()}
        return {name: tensor.numpy() for name, tensor in self._functions[signature](**tensors).items()}

    def warm_up(self):
        """Run the requests that were stored with the model, if any.

        Returns:
            how many.

        Raises:
            ServingError: they do not fit the model.
            tf.errors.DataLossError: the file is damaged.
        """
        path = self.folder / WARM_UP_FILE
        if not path.is_file():
            return 0
        count = 0
        for record in self._tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = protocol.PredictionLog.FromString(record).predict_log.request
            name = request.model_spec.signature_name or FLOAT_SIGNATURE
            if count == MOST_WARM_UP_RECORDS or name not in self.signatures:
                raise invalid(f"{WARM_UP_FILE}: more than {count} records, or one to the unknown signature {name!r}")
            self.run(name, {alias: protocol.to_array(tensor) for alias, tensor in request.inputs.items()})
            count += 1
        return count
