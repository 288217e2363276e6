"""REST: TensorFlow Serving's paths, and ``/healthz`` (it runs) and ``/readyz`` (every model is there)."""

import asyncio
import concurrent.futures
import ipaddress
import json
import logging
import urllib.parse

from aiohttp import web
from google.protobuf import json_format

from deblur_zoo.serving.server import json_tensors
from deblur_zoo.serving.server.errors import RequestError, invalid
from deblur_zoo.serving.server.predictor import size

_LOG = logging.getLogger(__name__)
# A name, and a version of at most 19 digits (int64) or none.
_MODEL = r"/v1/models/{name:[^/:]+}{version:(/versions/\d{1,19})?}"


class RestService:
    """Answers HTTP requests.

    Args:
        models: ``models.Models``.
        predictor: ``predictor.Predictor``.
        settings: ``Settings``.
    """

    def __init__(self, models, predictor, settings):
        self._models = models
        self._predictor = predictor
        self._settings = settings
        # One, so that the values of one body are in memory at a time.
        self._json_thread = concurrent.futures.ThreadPoolExecutor(1, "json")
        self._local = _is_local(settings.address)
        # Set when the server is about to stop: connections are closed after their answers.
        self.draining = False

    def runner(self):
        """An ``aiohttp.web.AppRunner`` of the service."""
        application = web.Application(middlewares=[self._guard], client_max_size=self._settings.max_request_bytes)
        application.add_routes(
            [
                web.post(f"{_MODEL}:predict", self._predict),
                web.get(_MODEL, self._status),
                web.get(f"{_MODEL}/metadata", self._metadata),
                web.get("/healthz", self._health),
                web.get("/readyz", self._health),
            ]
        )
        return web.AppRunner(
            application,
            access_log=None,
            # Where the client goes, what it asked for is not computed.
            handler_cancellation=True,
            # Also how long a request's head may take.
            keepalive_timeout=self._settings.timeout_s,
            lingering_time=2,
            shutdown_timeout=self._settings.grace_seconds,
        )

    def close(self):
        """End the thread that reads JSON."""
        self._json_thread.shutdown(wait=False, cancel_futures=True)

    @web.middleware
    async def _guard(self, request, handler):
        try:
            self._check_origin(request)
            return await self._send(request, await handler(request))
        except RequestError as caught:
            error = caught
        except web.HTTPRequestEntityTooLarge:
            error = self._too_large()
        except web.HTTPException:
            error = invalid(f"Malformed request: {request.method} {request.rel_url.raw_path}")
        except Exception:
            _LOG.exception("%s %s", request.method, request.path)
            error = RequestError("INTERNAL", "Internal error; the server's log says more")
        response = _json({"error": str(error)}, error.http_status)
        if error.http_status in (408, 413):
            # The rest of the body is not worth reading.
            response.force_close()
        return await self._send(request, response)

    async def _send(self, request, response):
        """Send a response, and wait until the client has taken it, though not for ever."""
        if self.draining:
            response.force_close()
        if request.transport is not None:
            request.transport.set_write_buffer_limits(0)
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    await response.prepare(request)
                    await response.write_eof()
            except TimeoutError:
                request.transport.abort()
        return response

    def _check_origin(self, request):
        """A page of the web must not reach a server of this machine, under a name of its own or from another page."""
        origins = [urllib.parse.urlsplit(origin).netloc for origin in request.headers.getall("Origin", ())]
        for place in [*request.headers.getall("Host", ()), *origins]:
            if self._local and not _is_local(place):
                accepted = "localhost, 127.0.0.1 and [::1] are accepted"
                raise RequestError("PERMISSION_DENIED", f"Host or Origin is {place or 'unknown'}; {accepted}")

    async def _health(self, request):
        well = request.path == "/healthz" or (self._models.complete and not self.draining)
        return web.Response(text="ok\n" if well else "not ready\n", status=200 if well else 503)

    async def _status(self, request):
        return _json(_dict(self._models.status(*_model(request))))

    async def _metadata(self, request):
        message = self._models.metadata(*_model(request))
        definitions = self._models.find(message.model_spec.name).loaded.definitions
        return _json({"model_spec": _dict(message.model_spec), "metadata": {"signature_def": _dict(definitions)}})

    async def _predict(self, request):
        model = self._models.find(*_model(request)).loaded
        loop, most = asyncio.get_running_loop(), self._settings.max_request_bytes
        deadline = loop.time() + self._settings.timeout_s
        with self._predictor.account() as take:
            length = request.content_length
            if (length or 0) > most:
                raise self._too_large()
            take(most if length is None or "Content-Encoding" in request.headers else length)
            try:
                async with asyncio.timeout_at(deadline):
                    body = await request.read()
            except TimeoutError:
                # TensorFlow Serving has no rule for it.
                raise RequestError("DEADLINE_EXCEEDED", "The request's body did not arrive in time", 408) from None
            except web.RequestPayloadError as error:
                raise invalid(f"The request's body is damaged: {error}") from None
            signature, inputs, row_form = await loop.run_in_executor(self._json_thread, json_tensors.read, body, model)
            outputs = await self._predictor.predict(model, signature, inputs, deadline)
            take(size(outputs))
            answer = await loop.run_in_executor(self._json_thread, json_tensors.write, outputs, row_form)
            take(len(answer))
            return await self._send(request, web.Response(body=answer, content_type="application/json"))

    def _too_large(self):
        # TensorFlow Serving has no limit of its own; 413 is HTTP's word.
        message = f"The request's body is larger than {self._settings.max_request_bytes} bytes (--max_request_bytes)"
        return RequestError("RESOURCE_EXHAUSTED", message, 413)


def _is_local(place):
    """Whether HOST or HOST:PORT is this machine to itself."""
    try:
        host = urllib.parse.urlsplit(f"//{place}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _model(request):
    version = request.match_info["version"]
    return request.match_info["name"], int(version.rpartition("/")[2]) if version else None


def _dict(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(content, status=200):
    return web.Response(text=json.dumps(content, indent=1) + "\n", status=status, content_type="application/json")
