"""A server in a thread of this process, for tests and notebooks."""

import asyncio
import concurrent.futures
import contextlib
import threading
from types import SimpleNamespace

from deblur_zoo.serving.server.server import Server


@contextlib.contextmanager
def running(settings):
    """For the time of the block, a server that has loaded its models.

    Its attributes are ``rest``, a URL such as "http://127.0.0.1:8501", and ``grpc``, such as "127.0.0.1:8500". Raises
    as ``Server`` and its ``start``.
    """
    server, started = Server(settings), concurrent.futures.Future()

    async def serve():
        stop = asyncio.Event()
        try:
            await server.start()
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="server", daemon=True)
    thread.start()
    loop, stop = started.result()
    try:
        host = settings.address
        yield SimpleNamespace(rest=f"http://{host}:{server.rest_port}", grpc=f"{host}:{server.grpc_port}")
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
