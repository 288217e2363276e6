"""gRPC: TensorFlow Serving's PredictionService and ModelService."""

import asyncio
import logging

import grpc
from google.protobuf.message import DecodeError

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import RequestError, invalid

_LOG = logging.getLogger(__name__)
# At the same time; more are refused.
_MOST_CALLS = 256


class GrpcService:
    """Answers gRPC requests, of ``Models`` and by a ``Predictor``."""

    def __init__(self, models, predictor, settings):
        self._models = models
        self._predictor = predictor
        self._settings = settings

    def handlers(self):
        """gRPC's generic handlers, one for each method."""
        methods = {"Predict": self._predict, "GetModelMetadata": self._metadata, "GetModelStatus": self._status}
        for path, (request_class, response_class) in protocol.METHODS.items():
            _, service, name = path.split("/")
            # On the wire a stream of one message is a message. It is read when we ask for it, not before.
            handler = grpc.stream_unary_rpc_method_handler(
                self._guarded(methods[name], request_class), response_serializer=response_class.SerializeToString
            )
            yield grpc.method_handlers_generic_handler(service, {name: handler})

    def _guarded(self, method, request_class):
        """A function of a stream that calls the method, with what it raises as gRPC's status."""

        async def call(_, context):
            try:
                return await self._answer(method, request_class, context)
            except RequestError as error:
                code, message = error.code, str(error)
            except DecodeError:
                # As gRPC in C++ says it.
                code, message = "INTERNAL", f"The bytes are not a {request_class.DESCRIPTOR.full_name}"
            except Exception:
                _LOG.exception("gRPC")
                code, message = "INTERNAL", "Internal error; the server's log says more"
            await context.abort(grpc.StatusCode[code], message)

        return call

    async def _answer(self, method, request_class, context):
        # A function of its own: what it holds is gone before an error is sent.
        async with self._predictor.room:
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    content = await context.read()
            except TimeoutError:
                raise RequestError("DEADLINE_EXCEEDED", "The request's message did not arrive in time") from None
            if content is grpc.aio.EOF:
                raise invalid("The request has no message")
            request = request_class.FromString(content)
            del content
            return await method(request, context)

    async def _predict(self, request, context):
        model = self._models.find(*_model(request))
        name = request.model_spec.signature_name or FLOAT_SIGNATURE
        if name not in model.signatures:
            raise RequestError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        signature = model.signatures[name]
        if not set(request.output_filter) <= set(signature.outputs):
            raise invalid(f"output_filter takes {', '.join(signature.outputs)}, and no other name")
        outputs = await self._predictor.predict(model, signature, request.inputs)
        answer = protocol.ModelSpec(name=model.name, version={"value": model.version}, signature_name=name)
        return protocol.PredictResponse(
            outputs={key: protocol.to_tensor(outputs[key]) for key in set(request.output_filter) or outputs},
            model_spec=answer,
        )

    async def _metadata(self, request, context):
        return self._models.metadata(*_model(request), request.metadata_field)

    async def _status(self, request, context):
        return self._models.status(*_model(request))


def _model(request):
    """Name, and version or None where it is not said."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    choice = request.model_spec.WhichOneof("version_choice")
    if choice == "version_label":
        raise invalid("Unrecognized servable version label: this server has no labels")
    return request.model_spec.name, request.model_spec.version.value if choice else None


def make_server(settings, most_connections):
    """A ``grpc.aio`` server that has the settings' host and port, and the port.

    Raises:
        OSError: the port is taken, or there is no such address.
    """
    options = {
        "grpc.max_receive_message_length": settings.max_request_bytes,
        "grpc.max_send_message_length": -1,
        "grpc.max_allowed_incoming_connections": most_connections,
        # Of a message that was not asked for, 64 KB come in; otherwise megabytes do where the line is fast.
        "grpc.http2.bdp_probe": 0,
        # How long a connection may take to say that it speaks gRPC.
        "grpc.server_handshake_timeout_ms": settings.rest_api_timeout_in_ms,
        # Two servers at one port would each get half of the requests.
        "grpc.so_reuseport": 0,
    }
    server = grpc.aio.server(options=list(options.items()), maximum_concurrent_rpcs=_MOST_CALLS)
    try:
        return server, server.add_insecure_port(f"{settings.address}:{settings.grpc_port}")
    except RuntimeError:
        message = f"gRPC cannot listen at {settings.host}:{settings.grpc_port}; is the port in use?"
        raise OSError(message) from None
