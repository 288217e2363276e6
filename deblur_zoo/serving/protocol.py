"""TensorFlow Serving's messages, as few as the project needs, and arrays in and out of them.

    request = PredictRequest(model_spec=ModelSpec(name="one_step_lite", signature_name="serving_default"))
    request.inputs["images"].CopyFrom(to_tensor(images))
    restored = to_array(PredictResponse.FromString(answer).outputs["restored"])

The package ``tensorflow-serving-api`` would bring the full ``tensorflow`` wheel along, so the messages are declared
here, with the packages, names, numbers and types of the public .proto files: in tensorflow/core framework/types,
framework/tensor_shape, framework/tensor, protobuf/meta_graph, protobuf/error_codes; in tensorflow_serving apis/model,
apis/predict, apis/prediction_log, apis/get_model_metadata, apis/get_model_status, apis/status,
config/model_server_config, config/monitoring_config and servables/tensorflow/session_bundle_config. Fields that are
left out survive parsing and writing as unknown fields. The messages live in a descriptor pool of their own, so that
TensorFlow's and tensorflow-serving-api's classes may be imported in the same process, before or after. From one to the
other: ``FromString(other.SerializeToString())``.
TensorFlow is not needed.
"""

import math

import numpy as np
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

# Kinds of numpy data to tensorflow.DataType, and to the field of a TensorProto that lists such values.
DATA_TYPES = {
    "float32": (1, "float_val"),
    "float64": (2, "double_val"),
    "int32": (3, "int_val"),
    "uint8": (4, "int_val"),
    "int16": (5, "int_val"),
    "int8": (6, "int_val"),
    "int64": (9, "int64_val"),
    "bool": (10, "bool_val"),
    "uint16": (17, "int_val"),
    "float16": (19, "half_val"),
    "uint32": (22, "uint32_val"),
    "uint64": (23, "uint64_val"),
}
STRING = 7
_ENUM_VALUES = {"DT_INVALID": 0, "DT_STRING": STRING} | {
    f"DT_{ {'float32': 'FLOAT', 'float64': 'DOUBLE', 'float16': 'HALF'}.get(name, name.upper()) }": number
    for name, (number, _) in DATA_TYPES.items()
}
# tensorflow.DataType by number: "DT_FLOAT" for 1.
DATA_TYPE_NAMES = {number: name for name, number in _ENUM_VALUES.items()}
# Canonical status codes, in the order of their numbers from 0: gRPC's and tensorflow.error.Code's.
STATUS_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
# What a version of a model is doing: ModelVersionStatus.State.
VERSION_STATES = {"UNKNOWN": 0, "START": 10, "LOADING": 20, "AVAILABLE": 30, "UNLOADING": 40, "END": 50}
VERSION_STATE_NAMES = {number: name for name, number in VERSION_STATES.items()}
# NumPy's name by number.
NUMPY_NAMES = {number: name for name, (number, _) in DATA_TYPES.items()}

# Message -> fields: name -> (number, type[, oneof]). "*" repeats a field, "{}" makes it a map from strings.
_TENSORFLOW = {
    "TensorShapeProto.Dim": {"size": (1, "int64"), "name": (2, "string")},
    "TensorShapeProto": {"dim": (2, "*.tensorflow.TensorShapeProto.Dim"), "unknown_rank": (3, "bool")},
    "TensorProto": {
        "dtype": (1, "enum .tensorflow.DataType"),
        "tensor_shape": (2, ".tensorflow.TensorShapeProto"),
        "version_number": (3, "int32"),
        "tensor_content": (4, "bytes"),
        "half_val": (13, "*int32"),
        "float_val": (5, "*float"),
        "double_val": (6, "*double"),
        "int_val": (7, "*int32"),
        "string_val": (8, "*bytes"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
        "uint32_val": (16, "*uint32"),
        "uint64_val": (17, "*uint64"),
    },
    "TensorInfo": {
        "name": (1, "string", "encoding"),
        "dtype": (2, "enum .tensorflow.DataType"),
        "tensor_shape": (3, ".tensorflow.TensorShapeProto"),
    },
    "SignatureDef": {
        "inputs": (1, "{}.tensorflow.TensorInfo"),
        "outputs": (2, "{}.tensorflow.TensorInfo"),
        "method_name": (3, "string"),
        "defaults": (4, "{}.tensorflow.TensorProto"),
    },
}
_SERVING = {
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, ".google.protobuf.Int64Value", "version_choice"),
        "version_label": (4, "string", "version_choice"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, ".tensorflow.serving.ModelSpec"),
        "inputs": (2, "{}.tensorflow.TensorProto"),
        "output_filter": (3, "*string"),
    },
    "PredictResponse": {
        "outputs": (1, "{}.tensorflow.TensorProto"),
        "model_spec": (2, ".tensorflow.serving.ModelSpec"),
    },
    "PredictLog": {
        "request": (1, ".tensorflow.serving.PredictRequest"),
        "response": (2, ".tensorflow.serving.PredictResponse"),
    },
    "PredictionLog": {"predict_log": (6, ".tensorflow.serving.PredictLog", "log_type")},
    "SignatureDefMap": {"signature_def": (1, "{}.tensorflow.SignatureDef")},
    "GetModelMetadataRequest": {"model_spec": (1, ".tensorflow.serving.ModelSpec"), "metadata_field": (2, "*string")},
    "GetModelMetadataResponse": {
        "model_spec": (1, ".tensorflow.serving.ModelSpec"),
        "metadata": (2, "{}.google.protobuf.Any"),
    },
    "StatusProto": {"error_code": (1, "enum .tensorflow.error.Code"), "error_message": (2, "string")},
    "GetModelStatusRequest": {"model_spec": (1, ".tensorflow.serving.ModelSpec")},
    "ModelVersionStatus": {
        "version": (1, "int64"),
        "state": (2, "enum .tensorflow.serving.ModelVersionStatus.State"),
        "status": (3, ".tensorflow.serving.StatusProto"),
    },
    "GetModelStatusResponse": {"model_version_status": (1, "*.tensorflow.serving.ModelVersionStatus")},
    "ModelConfig": {
        "name": (1, "string"),
        "base_path": (2, "string"),
        "model_platform": (4, "string"),
    },
    "ModelConfigList": {"config": (1, "*.tensorflow.serving.ModelConfig")},
    "ModelServerConfig": {"model_config_list": (1, ".tensorflow.serving.ModelConfigList", "config")},
    "BatchingParameters": {
        "max_batch_size": (1, ".google.protobuf.Int64Value"),
        "batch_timeout_micros": (2, ".google.protobuf.Int64Value"),
        "max_enqueued_batches": (3, ".google.protobuf.Int64Value"),
        "num_batch_threads": (4, ".google.protobuf.Int64Value"),
        "thread_pool_name": (5, ".google.protobuf.StringValue"),
        "allowed_batch_sizes": (6, "*int64"),
        "pad_variable_length_inputs": (7, "bool"),
    },
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, ".tensorflow.serving.PrometheusConfig")},
}
# Package -> its messages; and enumerations by name -> their values, an inner one's name with its message's before it.
_PACKAGES = {
    "tensorflow": _TENSORFLOW,
    "tensorflow.error": {},
    "tensorflow.serving": _SERVING,
}
_ENUMERATIONS = {
    "tensorflow": {"DataType": _ENUM_VALUES},
    "tensorflow.error": {"Code": {name: number for number, name in enumerate(STATUS_CODES)}},
    "tensorflow.serving": {"ModelVersionStatus.State": VERSION_STATES},
}


def _set_type(field, type_text):
    kind = descriptor_pb2.FieldDescriptorProto
    if type_text.startswith("enum "):
        field.type, field.type_name = kind.TYPE_ENUM, type_text[5:]
    elif type_text.startswith("."):
        field.type, field.type_name = kind.TYPE_MESSAGE, type_text
    else:
        field.type = getattr(kind, f"TYPE_{type_text.upper()}")


def _add_field(message, full_name, name, number, type_text, oneof=None):
    field = message.field.add(name=name, number=number, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
    if oneof is not None:
        if oneof not in [declared.name for declared in message.oneof_decl]:
            message.oneof_decl.add(name=oneof)
        field.oneof_index = [declared.name for declared in message.oneof_decl].index(oneof)
    if type_text.startswith(("*", "{}")):
        field.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    if type_text.startswith("{}"):
        # A map is a repeated message of keys and values, by this very name.
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, f"{full_name}.{entry.name}", "key", 1, "string")
        _add_field(entry, f"{full_name}.{entry.name}", "value", 2, type_text[2:])
        type_text = f"{full_name}.{entry.name}"
    _set_type(field, type_text.lstrip("*"))


def _declare(file, messages, enumerations):
    """Add messages and enumerations to a file; an inner message stands in the table before its outer one."""
    inner = {}
    for name, fields in messages.items():
        outer, _, last = name.rpartition(".")
        message = descriptor_pb2.DescriptorProto(name=last)
        for field, definition in fields.items():
            _add_field(message, f".{file.package}.{name}", field, *definition)
        message.nested_type.extend(inner.pop(name, []))
        if outer:
            inner.setdefault(outer, []).append(message)
        else:
            file.message_type.append(message)
    for name, values in enumerations.items():
        outer, _, last = name.rpartition(".")
        places = [message.enum_type for message in file.message_type if message.name == outer] or [file.enum_type]
        enumeration = places[0].add(name=last)
        for value, number in values.items():
            enumeration.value.add(name=value, number=number)
    return file


def _pool():
    pool = descriptor_pool.DescriptorPool()
    imported = []
    for module in (wrappers_pb2, any_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        imported.append(module.DESCRIPTOR.name)
    for package, messages in _PACKAGES.items():
        name = f"deblur_zoo/{package}.proto"
        file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imported)
        pool.AddSerializedFile(_declare(file, messages, _ENUMERATIONS[package]).SerializeToString())
        imported.append(name)
    return pool


_POOL = _pool()


def _message(name):
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


TensorShapeProto = _message("tensorflow.TensorShapeProto")
TensorProto = _message("tensorflow.TensorProto")
ModelSpec = _message("tensorflow.serving.ModelSpec")
PredictRequest = _message("tensorflow.serving.PredictRequest")
PredictResponse = _message("tensorflow.serving.PredictResponse")
PredictLog = _message("tensorflow.serving.PredictLog")
PredictionLog = _message("tensorflow.serving.PredictionLog")
SignatureDef = _message("tensorflow.SignatureDef")
SignatureDefMap = _message("tensorflow.serving.SignatureDefMap")
GetModelMetadataRequest = _message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = _message("tensorflow.serving.GetModelMetadataResponse")
GetModelStatusRequest = _message("tensorflow.serving.GetModelStatusRequest")
ModelVersionStatus = _message("tensorflow.serving.ModelVersionStatus")
GetModelStatusResponse = _message("tensorflow.serving.GetModelStatusResponse")
ModelConfig = _message("tensorflow.serving.ModelConfig")
ModelConfigList = _message("tensorflow.serving.ModelConfigList")
ModelServerConfig = _message("tensorflow.serving.ModelServerConfig")
BatchingParameters = _message("tensorflow.serving.BatchingParameters")
PrometheusConfig = _message("tensorflow.serving.PrometheusConfig")
MonitoringConfig = _message("tensorflow.serving.MonitoringConfig")

# The methods of a gRPC server, and the classes of their requests and responses.
METHODS = {
    "/tensorflow.serving.PredictionService/Predict": (PredictRequest, PredictResponse),
    "/tensorflow.serving.PredictionService/GetModelMetadata": (GetModelMetadataRequest, GetModelMetadataResponse),
    "/tensorflow.serving.ModelService/GetModelStatus": (GetModelStatusRequest, GetModelStatusResponse),
}


def to_tensor(values):
    """An array, or encoded pictures, as a TensorProto.

    Args:
        values: a numeric array of a type in ``DATA_TYPES``, any shape; or a sequence of ``bytes``, which becomes a
            vector of strings; or an object array of ``bytes``, any shape.

    Raises:
        ValueError: an array of another type.
    """
    if isinstance(values, (list, tuple)) and all(isinstance(value, bytes) for value in values):
        return TensorProto(dtype=STRING, tensor_shape=_shape((len(values),)), string_val=values)
    array = np.asarray(values)
    if array.dtype == object and all(isinstance(value, bytes) for value in array.flat):
        return TensorProto(dtype=STRING, tensor_shape=_shape(array.shape), string_val=array.ravel().tolist())
    if array.dtype.name not in DATA_TYPES:
        accepted = ", ".join(DATA_TYPES)
        raise ValueError(f"a tensor of {array.dtype} cannot be sent; {accepted} and sequences of bytes are accepted")
    number, _ = DATA_TYPES[array.dtype.name]
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return TensorProto(dtype=number, tensor_shape=_shape(array.shape), tensor_content=little_endian.tobytes())


def filled_tensor(value, shape):
    """A float32 TensorProto that holds one value everywhere, in a few bytes: TensorFlow repeats the last value."""
    return TensorProto(dtype=DATA_TYPES["float32"][0], tensor_shape=_shape(shape), float_val=[value])


def to_array(tensor):
    """The values of a TensorProto.

    Returns:
        an array of the tensor's type and shape, not to be written to; for strings an object array of ``bytes``.

    Raises:
        ValueError: a type that is not in ``DATA_TYPES``, or another number of values than the shape says.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError("the tensor has no known shape")
    if tensor.dtype == STRING:
        values = np.empty(len(tensor.string_val), object)
        values[:] = tensor.string_val
    elif tensor.dtype in NUMPY_NAMES:
        values = _numbers(tensor)
    else:
        raise ValueError(f"tensors of data type {tensor.dtype} are not read; {', '.join(DATA_TYPES)} and strings are")
    count = math.prod(shape)
    if values.size == 1 and count > 1:
        # As TensorFlow reads it. A view: a short message must not make us allocate what its shape claims.
        return np.broadcast_to(values, shape)
    if values.size != count:
        raise ValueError(f"the tensor of shape {shape} holds {values.size} values instead of {count}")
    return values.reshape(shape)


def _numbers(tensor):
    """The values of a numeric tensor, flat, from its bytes or from its list."""
    name = NUMPY_NAMES[tensor.dtype]
    dtype = np.dtype(name)
    if tensor.tensor_content:
        if len(tensor.tensor_content) % dtype.itemsize:
            raise ValueError(f"the tensor's {len(tensor.tensor_content)} bytes are not a whole number of {name} values")
        return np.frombuffer(tensor.tensor_content, dtype.newbyteorder("<"))
    values = getattr(tensor, DATA_TYPES[name][1])
    found = np.array(values)
    # The list of float16 holds the bits.
    converted = found.astype(np.uint16 if name == "float16" else dtype)
    if converted.dtype.kind in "iu" and not np.array_equal(converted, found):
        raise ValueError(f"the tensor holds a value that is not {name}")
    return converted.view(np.float16) if name == "float16" else converted


def _shape(sizes):
    return TensorShapeProto(dim=[{"size": size} for size in sizes])
