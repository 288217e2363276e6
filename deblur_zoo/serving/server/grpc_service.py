"""gRPC: PredictionService, ModelService and grpc.health.v1, as TensorFlow Serving and Kubernetes word them."""

import asyncio
import logging

import grpc
from google.protobuf.message import DecodeError

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server.errors import RequestError, invalid
from deblur_zoo.serving.server.predictor import size

_LOG = logging.getLogger(__name__)
# Messages that are read at the same time; the next ones wait for their turn before a byte of them is taken.
_MOST_READ = 4
# Beside the requests that wait: those that are being read, run or written, and questions about health and status.
_MORE_CALLS = 64


class GrpcService:
    """Answers gRPC requests.

    Args:
        models: ``models.Models``.
        predictor: ``predictor.Predictor``.
        settings: ``Settings``.
    """

    def __init__(self, models, predictor, settings):
        self._models = models
        self._predictor = predictor
        self._settings = settings
        self._reading = asyncio.Semaphore(_MOST_READ)
        # Set when the server is about to stop: no new work is taken.
        self.draining = False

    def handlers(self):
        """gRPC's generic handlers, one for each service."""
        methods = {
            "Predict": self._predict,
            "GetModelMetadata": self._metadata,
            "GetModelStatus": self._status,
            "Check": self._check,
        }
        services = {}
        for path, (request_class, response_class) in protocol.METHODS.items():
            _, service, method = path.split("/")
            # On the wire a stream of one message is a message. It is read when we ask for it, not before.
            services.setdefault(service, {})[method] = grpc.stream_unary_rpc_method_handler(
                self._guarded(methods[method], request_class), response_serializer=response_class.SerializeToString
            )
        return [grpc.method_handlers_generic_handler(service, handlers) for service, handlers in services.items()]

    def _guarded(self, method, request_class):
        """A function of a stream that calls the method, with what it raises as gRPC's status."""

        async def call(_, context):
            try:
                return await self._answer(method, request_class, context)
            except RequestError as error:
                code, message = error.code, str(error)
            except DecodeError:
                # As gRPC in C++ says it.
                code, message = "INTERNAL", f"The bytes are no {request_class.DESCRIPTOR.full_name}"
            except Exception:
                _LOG.exception("gRPC")
                code, message = "INTERNAL", "Internal error; the server's log says more"
            await context.abort(grpc.StatusCode[code], message)

        return call

    async def _answer(self, method, request_class, context):
        # A function of its own: what it holds is gone before an error is sent.
        with self._predictor.account() as take:
            try:
                async with self._reading, asyncio.timeout(self._settings.timeout_s):
                    content = await context.read()
            except TimeoutError:
                raise RequestError("DEADLINE_EXCEEDED", "The request's message did not arrive in time") from None
            if content is grpc.aio.EOF:
                raise invalid("The request has no message")
            # As bytes and as a message.
            take(2 * len(content))
            request = request_class.FromString(content)
            del content
            return await method(request, context, take)

    async def _predict(self, request, context, take):
        if self.draining:
            raise RequestError("UNAVAILABLE", "The server is shutting down")
        left = context.time_remaining()
        deadline = None if left is None else asyncio.get_running_loop().time() + left
        model = self._models.find(*_model(request))
        name = request.model_spec.signature_name or FLOAT_SIGNATURE
        if name not in model.loaded.signatures:
            raise RequestError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        signature = model.loaded.signatures[name]
        wanted = request.output_filter[: len(signature.outputs) + 1] or list(signature.outputs)
        if len(set(wanted)) < len(wanted) or not set(wanted) <= set(signature.outputs):
            raise invalid(f"output_filter takes each of {', '.join(signature.outputs)} once, and no other name")
        outputs = await self._predictor.predict(model.loaded, signature, request.inputs, deadline)
        # As arrays, as a message, and as its bytes.
        take(3 * size(outputs))
        response = protocol.PredictResponse(outputs={key: protocol.to_tensor(outputs[key]) for key in wanted})
        response.model_spec.MergeFrom(
            protocol.ModelSpec(name=model.name, version={"value": model.version}, signature_name=name)
        )
        return response

    async def _metadata(self, request, context, take):
        return self._models.metadata(*_model(request), request.metadata_field)

    async def _status(self, request, context, take):
        return self._models.status(*_model(request))

    async def _check(self, request, context, take):
        if request.service not in ("", *(path.split("/")[1] for path in protocol.METHODS)):
            raise RequestError("NOT_FOUND", f"There is no service {request.service}")
        well = self._models.complete and not self.draining
        return protocol.HealthCheckResponse(status="SERVING" if well else "NOT_SERVING")


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
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_request_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_allowed_incoming_connections", most_connections),
            # Of a message that was not asked for, 64 KB come in; otherwise megabytes do where the line is fast.
            ("grpc.http2.bdp_probe", 0),
            # How long a connection may take to say that it speaks gRPC.
            ("grpc.server_handshake_timeout_ms", settings.rest_api_timeout_in_ms),
            # Two servers at one port would each get half of the requests.
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=settings.max_queued + _MORE_CALLS,
    )
    try:
        port = server.add_insecure_port(f"{settings.address}:{settings.grpc_port}")
    except RuntimeError:
        port = 0
    if not port:
        raise OSError(f"gRPC cannot listen at {settings.host}:{settings.grpc_port}; is the port in use?")
    return server, port
