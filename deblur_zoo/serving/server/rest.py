"""REST: TensorFlow Serving's paths, and ``/healthz``, which says that the server runs."""

import asyncio
import concurrent.futures
import functools
import ipaddress
import json
import logging
import urllib.parse

from aiohttp import web
from google.protobuf import json_format

from deblur_zoo.serving.server import json_tensors
from deblur_zoo.serving.server.errors import RequestError, invalid

_LOG = logging.getLogger(__name__)
# A name, and a version of at most 19 digits (int64) or none.
_MODEL = r"/v1/models/{name:[^/:]+}{version:(/versions/\d{1,19})?}"


class RestService:
    """Answers HTTP requests, of ``Models`` and by a ``Predictor``."""

    def __init__(self, models, predictor, settings):
        self._models = models
        self._predictor = predictor
        self._settings = settings
        # One, so that the values of one body are in memory at a time.
        self._json_thread = concurrent.futures.ThreadPoolExecutor(1, "json")
        self._local = _is_local(settings.address)

    def runner(self):
        """An ``aiohttp.web.AppRunner`` of the service."""
        application = web.Application(middlewares=[self._guard], client_max_size=self._settings.max_request_bytes)
        application.router.add_post(f"{_MODEL}:predict", self._predict)
        application.router.add_get(_MODEL, self._status)
        application.router.add_get(f"{_MODEL}/metadata", self._metadata)
        application.router.add_get("/healthz", self._health)
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

    @web.middleware
    async def _guard(self, request, handler):
        try:
            self._check_origin(request)
            return await self._send(request, await handler(request))
        except RequestError as caught:
            error = caught
        except web.HTTPRequestEntityTooLarge:
            most = self._settings.max_request_bytes
            # TensorFlow Serving has no limit of its own; 413 is HTTP's word.
            error = RequestError(
                "RESOURCE_EXHAUSTED", f"The body is larger than {most} bytes (--max_request_bytes)", 413
            )
        except web.HTTPException:
            error = invalid(f"Malformed request: {request.method} {request.rel_url.raw_path}")
        except Exception:
            _LOG.exception("%s %s", request.method, request.path)
            error = RequestError("INTERNAL", "Internal error; the server's log says more")
        response = _json({"error": str(error)}, error.http_status)
        if error.http_status in (413, 504):
            # The rest of the body is not worth reading.
            response.force_close()
        return await self._send(request, response)

    async def _send(self, request, response):
        """Send a response, and wait until the client has taken it, though not for ever."""
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
        return web.Response(text="ok\n")

    async def _status(self, request):
        return _json(_dict(self._models.status(*_model(request))))

    async def _metadata(self, request):
        message = self._models.metadata(*_model(request))
        definitions = self._models.find(message.model_spec.name).definitions
        return _json({"model_spec": _dict(message.model_spec), "metadata": {"signature_def": _dict(definitions)}})

    async def _predict(self, request):
        model = self._models.find(*_model(request))
        try:
            async with asyncio.timeout(self._settings.timeout_s) as limit, self._predictor.room:
                answer = await self._answer(request, model)
                # The client's time to take it is another's.
                limit.reschedule(None)
                return await self._send(request, web.Response(body=answer, content_type="application/json"))
        except TimeoutError:
            raise RequestError("DEADLINE_EXCEEDED", "The deadline passed before the answer was there") from None
        except web.RequestPayloadError as error:
            raise invalid(f"The request's body is damaged: {error}") from None

    async def _answer(self, request, model):
        in_thread = functools.partial(asyncio.get_running_loop().run_in_executor, self._json_thread)
        signature, inputs, row_form = await in_thread(json_tensors.read, await request.read(), model)
        outputs = await self._predictor.predict(model, signature, inputs)
        return await in_thread(json_tensors.write, outputs, row_form)


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
