"""A server of models: REST and gRPC in one event loop, started and stopped."""

import asyncio
import contextlib

from deblur_zoo.serving.server import grpc_service, models
from deblur_zoo.serving.server.batching import Batcher
from deblur_zoo.serving.server.predictor import Predictor
from deblur_zoo.serving.server.rest import RestService

# Open at the same time, for REST and for gRPC.
MOST_CONNECTIONS = 256
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Refusal(asyncio.Protocol):
    """The answer to a connection beyond ``MOST_CONNECTIONS``: 503."""

    def connection_made(self, transport):
        transport.write(_FULL)
        transport.close()


class Server:
    """What ``deblur-zoo-serve`` runs. ``start`` and ``stop`` are called in one event loop.

    Args:
        settings: ``settings.Settings``.

    Attributes:
        rest_port, grpc_port: after ``start``.

    Raises:
        FileNotFoundError, ValueError: no models where the settings say; see ``models.find``.
    """

    def __init__(self, settings):
        self._settings = settings
        self._found = models.find(settings.models)
        # What has been started, in this order.
        self._listening = self._grpc_server = self._batcher = self._runner = None

    async def start(self):
        """Take the ports, load every model, then answer. Raises OSError for a port, ValueError without a model."""
        settings, loop = self._settings, asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(
                self._connection, settings.host, settings.rest_port, start_serving=False
            )
            self.rest_port = self._listening.sockets[0].getsockname()[1]
            self._grpc_server, self.grpc_port = grpc_service.make_server(settings, MOST_CONNECTIONS)
            loaded = await asyncio.to_thread(models.Models, self._found)
            self._batcher = Batcher(settings)
            predictor = Predictor(self._batcher, settings)
            self._runner = RestService(loaded, predictor, settings).runner()
            await self._runner.setup()
            handlers = grpc_service.GrpcService(loaded, predictor, settings).handlers()
            self._grpc_server.add_generic_rpc_handlers(tuple(handlers))
            await self._grpc_server.start()
            await self._listening.start_serving()
        except BaseException:
            await self.stop(0)
            raise

    def _connection(self):
        server = self._runner.server
        return server() if len(server.connections) < MOST_CONNECTIONS else _Refusal()

    async def stop(self, grace_seconds=None):
        """Accept nothing new, finish what is there within the time, and end. Returns whether all is finished."""
        grace = self._settings.grace_seconds if grace_seconds is None else grace_seconds
        # Leaving takes a moment, too.
        grace = max(grace - 1, grace / 2)
        if self._listening is not None:
            self._listening.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace) as limit:
                await asyncio.gather(
                    *([self._grpc_server.stop(grace)] if self._grpc_server else []),
                    *([self._runner.cleanup()] if self._runner else []),
                )
                if self._batcher:
                    await self._batcher.close()
        return not limit.expired()
