"""gRPC: PredictionService, ModelService and grpc.health.v1, as TensorFlow Serving and Kubernetes word them."""

import asyncio
import logging
import time

import grpc
from google.protobuf.message import DecodeError

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE
from deblur_zoo.serving import protocol
from deblur_zoo.serving.server import configuration, signature_json
from deblur_zoo.serving.server.errors import ServingError, invalid

_LOG = logging.getLogger(__name__)
# Beside the requests that wait: those that are being read, run or written, and questions about health and status.
_MORE_CALLS = 64


class GrpcService:
    """Answers gRPC requests.

    Args:
        store: ``ModelStore``.
        predictor: ``Predictor``.
        counters: ``Metrics``.
        budget: ``Budget``.
    """

    def __init__(self, store, predictor, counters, budget):
        self._store = store
        self._predictor = predictor
        self._metrics = counters
        self._budget = budget
        # Set when the server is about to stop: no new work is taken.
        self.draining = False
        # Whoever starts a task must hold it.
        self._reloading = None

    def handlers(self):
        """gRPC's generic handlers, one for each service."""
        methods = {
            "Predict": self._predict,
            "GetModelMetadata": self._metadata,
            "GetModelStatus": self._status,
            "HandleReloadConfigRequest": self._reload,
            "Check": self._check,
        }
        services = {}
        for path, (request_class, response_class) in protocol.METHODS.items():
            _, service, method = path.split("/")
            services.setdefault(service, {})[method] = grpc.unary_unary_rpc_method_handler(
                self._guarded(methods[method], request_class), response_serializer=response_class.SerializeToString
            )
        return [grpc.method_handlers_generic_handler(service, handlers) for service, handlers in services.items()]

    @staticmethod
    def _guarded(method, request_class):
        """A function of a message's bytes that calls the method, with what it raises as gRPC's status."""

        async def call(content, context):
            try:
                return await method(request_class.FromString(content), context)
            except ServingError as error:
                code, message = error.code, error.message
            except DecodeError:
                # As gRPC in C++ says it.
                code, message = "INTERNAL", f"The bytes are no {request_class.DESCRIPTOR.full_name}"
            except Exception:
                _LOG.exception("gRPC")
                code, message = "INTERNAL", "Internal error; the server's log says more"
            await context.abort(grpc.StatusCode[code], message)

        return call

    async def _predict(self, request, context):
        if self.draining:
            raise ServingError("UNAVAILABLE", "The server is shutting down")
        left = context.time_remaining()
        deadline = None if left is None else time.monotonic() + left
        name, number, label = _model_spec(request)
        with self._metrics.request(name, "Predict", "gRPC"), self._budget.account() as take:
            take(request.ByteSize())
            with self._store.use(name, number, label) as version:
                signature = request.model_spec.signature_name or FLOAT_SIGNATURE
                outputs = await self._predictor.predict(
                    version.model, signature, dict(request.inputs), list(request.output_filter), deadline
                )
                response = protocol.PredictResponse()
                response.model_spec.name = name
                response.model_spec.version.value = version.number
                response.model_spec.signature_name = signature
                for output, array in outputs.items():
                    response.outputs[output].CopyFrom(protocol.to_tensor(array))
                return response

    async def _metadata(self, request, context):
        name, number, label = _model_spec(request)
        with self._metrics.request(name, "GetModelMetadata", "gRPC"):
            return signature_json.metadata_message(self._store, name, number, label, request.metadata_field)

    async def _status(self, request, context):
        name, number, label = _model_spec(request)
        with self._metrics.request(name, "GetModelStatus", "gRPC"):
            # TensorFlow Serving does not look at a label here: all versions are told.
            return signature_json.status_message(self._store, name, number)

    async def _reload(self, request, context):
        with self._metrics.request("", "HandleReloadConfigRequest", "gRPC"):
            models = configuration.from_message(request.config)
            # A client that leaves meanwhile must not leave a version half loaded.
            self._reloading = asyncio.ensure_future(self._store.configure(models))
            await asyncio.shield(self._reloading)
            return protocol.ReloadConfigResponse(status=protocol.StatusProto(error_code="OK"))

    async def _check(self, request, context):
        if request.service not in ("", *(path.split("/")[1] for path in protocol.METHODS)):
            raise ServingError("NOT_FOUND", f"There is no service {request.service}")
        well = self._store.ready and not self.draining
        return protocol.HealthCheckResponse(status="SERVING" if well else "NOT_SERVING")


def _model_spec(request):
    """Name, version and label, None where they are not said."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    choice = request.model_spec.WhichOneof("version_choice")
    return (
        request.model_spec.name,
        request.model_spec.version.value if choice == "version" else None,
        request.model_spec.version_label if choice == "version_label" else None,
    )


def make_server(service, settings):
    """A ``grpc.aio`` server of the service, listening at the settings' host and port, and the port.

    Raises:
        OSError: the port is taken, or there is no such address.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_request_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers at one port would each get half of the requests.
            ("grpc.so_reuseport", 0),
        ],
        # gRPC reads a message before we see it; with the limit of its size this bounds what it takes.
        maximum_concurrent_rpcs=settings.max_queued + _MORE_CALLS,
    )
    server.add_generic_rpc_handlers(service.handlers())
    try:
        port = server.add_insecure_port(f"{_bracketed(settings.host)}:{settings.grpc_port}")
    except RuntimeError:
        port = 0
    if not port:
        raise OSError(f"gRPC cannot listen at {settings.host}:{settings.grpc_port}; is the port in use?")
    return server, port


def _bracketed(host):
    return f"[{host}]" if ":" in host else host
