"""A server of models: REST and gRPC in one event loop, started and stopped."""

import asyncio
import contextlib
import time

from aiohttp import web

from deblur_zoo.serving.server import configuration, grpc_service
from deblur_zoo.serving.server.batching import Batcher
from deblur_zoo.serving.server.budget import Budget
from deblur_zoo.serving.server.metrics import Metrics
from deblur_zoo.serving.server.predictor import Predictor
from deblur_zoo.serving.server.rest import RestHandler
from deblur_zoo.serving.server.store import ModelStore

# Seconds from the word that the server stops to the end of its connections: what is on its way then is told so.
_LAST_CALLS_S = 0.5


class Server:
    """What ``deblur-zoo-serve`` runs. ``start`` and ``stop`` are called in one event loop.

    Args:
        settings: ``settings.Settings``.

    Attributes:
        rest_port, grpc_port: after ``start``.

    Raises:
        FileNotFoundError, ValueError: no models where the settings say; see ``configuration``.
    """

    def __init__(self, settings):
        self._settings = settings
        if settings.model_config_file is not None:
            self._models = configuration.from_file(settings.model_config_file)
        else:
            self._models = configuration.from_folder(settings.models)
        self.rest_port = self.grpc_port = None

    async def start(self):
        """Listen, load and warm up every model. Health is answered meanwhile.

        Raises:
            OSError: a port is taken.
            ValueError: no model could be loaded.
        """
        settings = self._settings
        self._store = ModelStore(self._models)
        budget = Budget(settings.max_held_bytes)
        self._batcher = Batcher(
            settings.batching,
            settings.max_queued,
            settings.max_pixels,
            lambda tasks, rows: counters.batch(tasks, rows),
        )
        counters = Metrics(lambda name: name in self._store.names, lambda: self._batcher.waiting, lambda: budget.held)
        predictor = Predictor(self._batcher, settings.max_pixels)
        self._rest = RestHandler(self._store, predictor, counters, budget, settings)
        self._service = grpc_service.GrpcService(self._store, predictor, counters, budget)
        self._grpc_server = self._runner = self._watching = None
        try:
            await self._listen()
            await self._store.update()
            if not any(version.model for name in self._store.names for version in self._store.versions(name)):
                raise ValueError(f"no model could be loaded: {self._why_not()}")
        except BaseException:
            await self.stop(0)
            raise
        self._watching = asyncio.create_task(self._store.watch(settings.poll_s))

    async def _listen(self):
        settings = self._settings
        # Cancelled when the client goes: what it asked for is not computed.
        self._runner = web.ServerRunner(
            web.Server(self._rest.handle, handler_cancellation=True, access_log=None, lingering_time=2)
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.host, settings.rest_port)
        try:
            await site.start()
        except OSError as error:
            raise OSError(
                f"REST cannot listen at {settings.host}:{settings.rest_port}: {error.strerror or error}"
            ) from None
        self.rest_port = self._runner.addresses[0][1]
        self._grpc_server, self.grpc_port = grpc_service.make_server(self._service, settings)
        await self._grpc_server.start()

    def _why_not(self):
        for name in self._store.names:
            for version in self._store.versions(name):
                if version.error:
                    return f"version {version.number} of {name}: {version.error.code}: {version.error.message}"
        return "there is no version of any"

    async def stop(self, grace_s=None):
        """Accept nothing new, finish what is there, and end.

        Args:
            grace_s: seconds that requests may take to finish; None takes the settings'.
        """
        grace_s = self._settings.grace_s if grace_s is None else grace_s
        until = time.monotonic() + grace_s
        self._rest.draining = self._service.draining = True
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        stopping = [self._stop_rest(until)] if self._runner is not None else []
        if self._grpc_server is not None:
            stopping.append(self._stop_grpc(until))
        await asyncio.gather(*stopping)
        await asyncio.to_thread(self._batcher.close)
        self._rest.close()
        self._store.close()

    async def _stop_grpc(self, until):
        # New requests are refused with UNAVAILABLE meanwhile. Those that meet gRPC's own end are CANCELLED, which tells
        # a client nothing.
        await self._last_calls(until)
        await self._grpc_server.stop(max(until - time.monotonic(), 0))

    @staticmethod
    async def _last_calls(until):
        await asyncio.sleep(min(_LAST_CALLS_S, max(until - time.monotonic(), 0)))

    async def _stop_rest(self, until):
        for site in list(self._runner.sites):
            await site.stop()
        # A client that keeps its connection may have sent a request that has not been seen yet. It is answered, with
        # the word that the connection closes.
        await self._last_calls(until)
        self._runner._shutdown_timeout = max(until - time.monotonic(), 0.1)
        await self._runner.cleanup()
