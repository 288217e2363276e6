"""A server of models: REST and gRPC in one event loop, started and stopped."""

import asyncio
import contextlib

from deblur_zoo.serving.server import grpc_service, models
from deblur_zoo.serving.server.batching import Batcher
from deblur_zoo.serving.server.predictor import Predictor
from deblur_zoo.serving.server.rest import RestService

# Open at the same time, for REST and for gRPC.
MOST_CONNECTIONS = 256
# Seconds from the word that the server stops to the end of its connections: what is on its way then is told so.
_LAST_CALLS_S = 0.5
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Refusal(asyncio.Protocol):
    """What a connection gets when there is no room for it."""

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
        self._listening = self._grpc_server = self._runner = None

    async def start(self):
        """Take the ports, load and warm up every model, then answer.

        Raises:
            OSError: a port is taken.
            ValueError: no model could be loaded.
        """
        settings = self._settings
        try:
            await self._take_ports()
            loaded = await asyncio.to_thread(models.Models, self._found)
            self._batcher = Batcher(settings)
            predictor = Predictor(self._batcher, settings)
            self._rest = RestService(loaded, predictor, settings)
            self._grpc = grpc_service.GrpcService(loaded, predictor, settings)
            self._runner = self._rest.runner()
            await self._runner.setup()
            self._grpc_server.add_generic_rpc_handlers(self._grpc.handlers())
            await self._grpc_server.start()
            await self._listening.start_serving()
        except BaseException:
            await self.stop(0)
            raise

    async def _take_ports(self):
        host, port = self._settings.host, self._settings.rest_port
        loop = asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(self._connection, host, port, start_serving=False)
        except OSError as error:
            raise OSError(f"REST cannot listen at {host}:{port}: {error.strerror or error}") from None
        self.rest_port = self._listening.sockets[0].getsockname()[1]
        self._grpc_server, self.grpc_port = grpc_service.make_server(self._settings, MOST_CONNECTIONS)

    def _connection(self):
        server = self._runner.server
        return server() if len(server.connections) < MOST_CONNECTIONS else _Refusal()

    async def stop(self, grace_seconds=None):
        """Accept nothing new, finish what is there, and end. Returns whether all is finished.

        Args:
            grace_seconds: after which what still runs is left alone; None takes the settings'.
        """
        grace = self._settings.grace_seconds if grace_seconds is None else grace_seconds
        # Leaving takes a moment, too.
        until = asyncio.get_running_loop().time() + max(grace - 1, grace / 2)
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            self._rest.draining = self._grpc.draining = True
            # A client that keeps its connection may have sent a request that has not been seen yet. It is answered,
            # with the word that the connection closes; gRPC's are refused with UNAVAILABLE.
            await asyncio.sleep(min(_LAST_CALLS_S, grace / 4))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until) as limit:
                await asyncio.gather(self._stop_grpc(until), self._stop_rest())
        return not limit.expired()

    async def _stop_grpc(self, until):
        if self._grpc_server is not None:
            await self._grpc_server.stop(max(until - asyncio.get_running_loop().time(), 0))

    async def _stop_rest(self):
        if self._runner is not None:
            await self._runner.cleanup()
            self._rest.close()
            await self._batcher.close()
