"""Status and metadata of a model as messages, and as the JSON that TensorFlow Serving makes of them.

Written out by hand: the options of ``google.protobuf.json_format`` that print empty fields have other names in each
version of the library.
"""

import json

from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import ServingError, invalid

SIGNATURE_FIELD = "signature_def"


def status_message(store, name, number=None):
    """The ``protocol.GetModelStatusResponse`` about one version or all of them.

    Raises:
        ServingError: NOT_FOUND.
    """
    versions = [version for version in store.versions(name) if number in (None, version.number)]
    if not versions:
        what = "any versions" if number is None else f"version {number}"
        raise ServingError("NOT_FOUND", f"Could not find {what} of model {name}")
    message = protocol.GetModelStatusResponse()
    for version in versions:
        error = version.error or ServingError("OK", "")
        message.model_version_status.add(
            version=version.number,
            state=version.state,
            status=protocol.StatusProto(error_code=error.code, error_message=error.message),
        )
    return message


def status_json(message):
    """A ``GetModelStatusResponse`` as JSON text. Version numbers are strings: protocol buffers write int64 so."""
    versions = [
        {
            "version": str(version.version),
            "state": protocol.VERSION_STATE_NAMES[version.state],
            "status": {
                "error_code": protocol.STATUS_CODES[version.status.error_code],
                "error_message": version.status.error_message,
            },
        }
        for version in message.model_version_status
    ]
    return json.dumps({"model_version_status": versions}, indent=1, ensure_ascii=False) + "\n"


def metadata_message(store, name, number=None, label=None, fields=(SIGNATURE_FIELD,)):
    """The ``protocol.GetModelMetadataResponse`` of a version.

    Raises:
        ServingError: as ``ModelStore.use``; INVALID_ARGUMENT for other fields than ``signature_def``.
    """
    if not fields:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != SIGNATURE_FIELD:
            raise invalid(f"Metadata field {field} is not supported")
    with store.use(name, number, label) as version:
        message = protocol.GetModelMetadataResponse()
        message.model_spec.name = name
        message.model_spec.version.value = version.number
        packed = message.metadata[SIGNATURE_FIELD]
        packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        packed.value = version.model.signature_definitions.SerializeToString()
    return message


def metadata_json(message):
    """A ``GetModelMetadataResponse`` as JSON text."""
    signatures = protocol.SignatureDefMap.FromString(message.metadata[SIGNATURE_FIELD].value).signature_def
    content = {
        "model_spec": {
            "name": message.model_spec.name,
            "signature_name": "",
            "version": str(message.model_spec.version.value),
        },
        "metadata": {
            SIGNATURE_FIELD: {
                SIGNATURE_FIELD: {name: _signature(signature) for name, signature in sorted(signatures.items())}
            }
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _signature(signature):
    return {
        "inputs": {name: _tensor(info) for name, info in sorted(signature.inputs.items())},
        "outputs": {name: _tensor(info) for name, info in sorted(signature.outputs.items())},
        "method_name": signature.method_name,
        "defaults": {},
    }


def _tensor(info):
    shape = info.tensor_shape
    return {
        "dtype": protocol.DATA_TYPE_NAMES.get(info.dtype, info.dtype),
        "tensor_shape": {
            "dim": [{"size": str(dim.size), "name": dim.name} for dim in shape.dim],
            "unknown_rank": shape.unknown_rank,
        },
        "name": info.name,
    }
