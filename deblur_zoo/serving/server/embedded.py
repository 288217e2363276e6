"""A server in a thread of this process, for tests and notebooks."""

import asyncio
import contextlib
import dataclasses
import threading

from deblur_zoo.serving.server.server import Server


@dataclasses.dataclass(frozen=True)
class Running:
    """A running server.

    Attributes:
        rest: its URL, such as "http://127.0.0.1:8501".
        grpc: its address, such as "127.0.0.1:8500".
    """

    rest: str
    grpc: str


@contextlib.contextmanager
def running(settings):
    """For the time of the block, a server that has loaded its models.

    Args:
        settings: ``settings.Settings``.

    Raises:
        FileNotFoundError, ValueError, OSError: as ``Server`` and its ``start``.
    """
    server = Server(settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        try:
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            yield Running(f"http://{host}:{server.rest_port}", f"{host}:{server.grpc_port}")
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
