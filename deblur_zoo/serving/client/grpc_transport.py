"""TensorFlow Serving's gRPC interface: PredictionService and ModelService on one channel."""

import grpc
import numpy as np

from deblur_zoo.serving import protocol
from deblur_zoo.serving.client.answers import (
    INPUTS,
    LARGEST_ANSWER,
    ModelMetadata,
    Signature,
    TensorInfo,
    VersionStatus,
)
from deblur_zoo.serving.client.errors import error_of, one_line

_OPTIONS = [
    # gRPC's own limit of 4 MiB is 5 crops of 256x256 as floats.
    ("grpc.max_send_message_length", LARGEST_ANSWER),
    ("grpc.max_receive_message_length", LARGEST_ANSWER),
    # Attempts are counted in retries.py.
    ("grpc.enable_retries", 0),
    # The pauses before the channel reconnects must not be longer than those between attempts.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # As over REST: http_proxy is for the web, and model servers are near.
    ("grpc.enable_http_proxy", 0),
]
# The only metadata that TensorFlow Serving gives.
_SIGNATURES = "signature_def"


class GrpcTransport:
    """Requests to one server; the methods are those of ``rest.RestTransport``.

    Args:
        host, port: where it listens.
        tls: encrypt.
        ca_file: certificates to trust instead of gRPC's own.
        headers: dict, sent with each request as metadata.
    """

    def __init__(self, host, port, tls=False, ca_file=None, headers=None):
        self.server = f"The server at {host}:{port}"
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if tls:
            certificates = None
            if ca_file is not None:
                with open(ca_file, "rb") as file:
                    certificates = file.read()
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(certificates), options=_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, options=_OPTIONS)
        self._metadata = [(key.lower(), value) for key, value in (headers or {}).items()]
        self._predict = self._method("PredictionService", "Predict", protocol.PredictResponse)
        self._model_metadata = self._method("PredictionService", "GetModelMetadata", protocol.GetModelMetadataResponse)
        self._model_status = self._method("ModelService", "GetModelStatus", protocol.GetModelStatusResponse)

    def close(self):
        self._channel.close()

    def predict(self, choice, signature, values, deadline):
        tensor = protocol.to_tensor(values)
        request = protocol.PredictRequest(model_spec=_specification(choice, signature))
        request.inputs[INPUTS.get(signature, "images")].CopyFrom(tensor)
        response = self._ask(self._predict, request, deadline)
        if len(response.outputs) != 1:
            raise self._unreadable(f"{len(response.outputs)} outputs of {signature} instead of one")
        (answer,) = response.outputs.values()
        try:
            found = protocol.to_array(answer)
        except ValueError as error:
            raise self._unreadable(f"no tensor that is read: {error}") from error
        if isinstance(values, list):
            if answer.dtype != protocol.STRING:
                raise self._unreadable(f"{found.dtype} values instead of strings")
            return list(found.ravel())
        if found.dtype.kind != "f":
            raise self._unreadable(f"{found.dtype} values instead of floats")
        return found.astype(np.float32, copy=False)

    def status(self, choice, deadline):
        request = protocol.GetModelStatusRequest(model_spec=_specification(choice))
        response = self._ask(self._model_status, request, deadline)
        return [
            VersionStatus(
                entry.version,
                protocol.VERSION_STATE_NAMES.get(entry.state, str(entry.state)),
                entry.status.error_message,
            )
            for entry in response.model_version_status
        ]

    def metadata(self, choice, deadline):
        request = protocol.GetModelMetadataRequest(model_spec=_specification(choice), metadata_field=[_SIGNATURES])
        response = self._ask(self._model_metadata, request, deadline)
        if _SIGNATURES not in response.metadata:
            raise self._unreadable("no signatures")
        try:
            found = protocol.SignatureDefMap.FromString(response.metadata[_SIGNATURES].value)
        except Exception as error:
            # protobuf's DecodeError is another class in each of its implementations.
            raise self._unreadable("signatures that cannot be read") from error
        signatures = {
            name: Signature(_tensors(definition.inputs), _tensors(definition.outputs))
            for name, definition in found.signature_def.items()
        }
        return ModelMetadata(response.model_spec.version.value, signatures)

    def _method(self, service, name, response):
        return self._channel.unary_unary(
            f"/tensorflow.serving.{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def _ask(self, method, request, deadline):
        try:
            return method(request, timeout=deadline.remaining(), metadata=self._metadata)
        except ValueError as error:
            # What grpc raises on a closed channel.
            raise error_of("CANCELLED", "The client was closed.") from error
        except grpc.RpcError as error:
            raise self._error(error, deadline) from error

    def _error(self, error, deadline):
        code, details = error.code().name, error.details() or ""
        if code == "DEADLINE_EXCEEDED" and not deadline.remaining():
            return deadline.error(self.server)
        retryable = None
        if any(sign in details for sign in ("http1", "HTTP/1", "parsing HTTP/2")):
            return error_of(code, f"{self.server} does not speak gRPC: is this the REST port?", False)
        if code == "UNAVAILABLE" and any(sign in details for sign in ("connect", "resolving")):
            return error_of(code, f"{self.server} cannot be reached: {one_line(details)}.")
        if code == "RESOURCE_EXHAUSTED" and "larger than max" in details:
            # Not the server's load but this message's size, which stays what it is.
            code, retryable = "INVALID_ARGUMENT", False
        message = f"{self.server} answers {code}: {one_line(details)}"
        return error_of(code, message, retryable, _pushback(error))

    def _unreadable(self, what):
        return error_of("DATA_LOSS", f"{self.server} answered, but sent {what}.")


def _pushback(error):
    """Seconds that the server asks to wait, gRPC's counterpart of Retry-After (proposal A6); None without."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-retry-pushback-ms" and str(value).isdigit():
            return int(value) / 1000
    return None


def _specification(choice, signature=None):
    specification = protocol.ModelSpec(name=choice.name)
    if signature is not None:
        specification.signature_name = signature
    if choice.version is not None:
        specification.version.value = choice.version
    elif choice.version_label is not None:
        specification.version_label = choice.version_label
    return specification


def _tensors(entries):
    return {
        name: TensorInfo(
            protocol.DATA_TYPE_NAMES.get(entry.dtype, str(entry.dtype)),
            None if entry.tensor_shape.unknown_rank else tuple(dim.size for dim in entry.tensor_shape.dim),
        )
        for name, entry in entries.items()
    }
