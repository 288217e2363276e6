"""REST: TensorFlow Serving's paths, and health and metrics beside them."""

import asyncio
import concurrent.futures
import json
import logging
import re
import time
import urllib.parse

from aiohttp import web

from deblur_zoo.exported.saved_model_folder import FLOAT_SIGNATURE
from deblur_zoo.serving.server import json_tensors, metrics, signature_json
from deblur_zoo.serving.server.errors import ServingError, invalid

_LOG = logging.getLogger(__name__)
# As TensorFlow Serving matches them (model_servers/http_rest_api_util.cc), names still percent-encoded.
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE)
_LARGEST_VERSION = 2**63 - 1
# Bytes of JSON that are read or written within a millisecond or so; more is given to a thread.
_SMALL = 64 * 1024


class RestHandler:
    """Answers HTTP requests.

    Args:
        store: ``ModelStore``.
        predictor: ``Predictor``.
        counters: ``Metrics``.
        budget: ``Budget``.
        settings: ``Settings``.
    """

    def __init__(self, store, predictor, counters, budget, settings):
        self._store = store
        self._predictor = predictor
        self._metrics = counters
        self._budget = budget
        self._settings = settings
        # One: a body of JSON takes some twenty times its size in memory while it is read.
        self._json_thread = concurrent.futures.ThreadPoolExecutor(1, "json")
        # Set when the server is about to stop: connections are closed after their answers.
        self.draining = False

    def close(self):
        """End the thread that reads JSON."""
        self._json_thread.shutdown(wait=False, cancel_futures=True)

    async def handle(self, request):
        """The answer to an ``aiohttp.web.BaseRequest``."""
        path = request.raw_path.partition("?")[0]
        try:
            response = await self._answer(request, path)
        except ServingError as error:
            response = _json(json.dumps({"error": error.message}, indent=4), error.http_status)
            if error.http_status in (408, 413):
                # The rest of the body is not worth reading.
                response.force_close()
        except Exception:
            _LOG.exception("%s %s", request.method, path)
            response = _json(json.dumps({"error": "Internal error; the server's log says more"}, indent=4), 500)
        if self.draining:
            response.force_close()
        return response

    async def _answer(self, request, path):
        if path in ("/healthz", "/readyz", metrics.PATH):
            return self._about_the_server(path)
        if not path.lower().startswith("/v1/"):
            raise ServingError("NOT_FOUND", f"There is nothing at {path}; models are at /v1/models/NAME")
        if request.method == "POST" and (found := _POST.fullmatch(path)):
            name = urllib.parse.unquote(found["name"])
            with self._metrics.request(name, found["method"].lower().title(), "REST"):
                return await self._predict(request, found, name)
        if request.method in ("GET", "HEAD") and (found := _GET.fullmatch(path)):
            if found["name"] is None:
                raise invalid("Missing model name in request.")
            name = urllib.parse.unquote(found["name"])
            with self._metrics.request(name, "GetModelMetadata" if found["metadata"] else "GetModelStatus", "REST"):
                return self._about_a_model(found, name)
        raise invalid(f"Malformed request: {request.method} {path}")

    def _about_the_server(self, path):
        if path == metrics.PATH:
            page, content_type = self._metrics.page()
            return web.Response(body=page, headers={"Content-Type": content_type})
        well = path == "/healthz" or (self._store.ready and not self.draining)
        return web.Response(text="ok\n" if well else "not ready\n", status=200 if well else 503)

    def _about_a_model(self, found, name):
        number, label = _version(found)
        if found["metadata"]:
            return _json(
                signature_json.metadata_json(signature_json.metadata_message(self._store, name, number, label))
            )
        # TensorFlow Serving does not look at a label here: all versions are told.
        return _json(signature_json.status_json(signature_json.status_message(self._store, name, number)))

    async def _predict(self, request, found, name):
        if found["method"].lower() != "predict":
            raise ServingError("UNIMPLEMENTED", f"{found['method']} is not offered here; predict is")
        number, label = _version(found)
        deadline = time.monotonic() + self._settings.rest_timeout_s
        with self._budget.account() as take:
            try:
                body = await asyncio.wait_for(self._read(request, take), self._settings.rest_timeout_s)
            except TimeoutError:
                # TensorFlow Serving has no rule for it.
                raise ServingError(
                    "DEADLINE_EXCEEDED", "The request's body did not arrive in time", http_status=408
                ) from None
            document = await self._off_the_loop(len(body), json_tensors.parse, body)
            with self._store.use(name, number, label) as version:
                signature_name = document.get("signature_name") or FLOAT_SIGNATURE
                signature = version.model.signatures.get(signature_name)
                if signature is None:
                    raise invalid(f'Serving signature name: "{signature_name}" not found in signature def')
                inputs, row_form = await self._off_the_loop(
                    len(body), json_tensors.read_inputs, document, body, signature.inputs
                )
                del document, body
                outputs = await self._predictor.predict(version.model, signature_name, inputs, (), deadline)
            size = sum(output.nbytes for output in outputs.values())
            return _json(await self._off_the_loop(size, json_tensors.write_outputs, outputs, row_form))

    async def _read(self, request, take):
        """The body, read piece by piece, no more than is allowed."""
        most = self._settings.max_request_bytes
        # TensorFlow Serving has no limit of its own; 413 is HTTP's word.
        too_large = ServingError(
            "RESOURCE_EXHAUSTED",
            f"The request's body is larger than {most} bytes (--max_request_bytes)",
            http_status=413,
        )
        if (request.content_length or 0) > most:
            raise too_large
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # What was written is not part of the answer yet to come.
            request.writer.output_size = 0
        pieces, size = [], 0
        try:
            while piece := await request.content.readany():
                size += len(piece)
                if size > most:
                    raise too_large
                take(len(piece))
                pieces.append(piece)
        except web.RequestPayloadError as error:
            raise invalid(f"The request's body is damaged: {error}") from None
        return b"".join(pieces)

    async def _off_the_loop(self, size, function, *arguments):
        if size <= _SMALL:
            return function(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._json_thread, function, *arguments)


def _version(found):
    """Version number and label of a path, None where it has none."""
    if found["version"] is not None:
        if int(found["version"]) > _LARGEST_VERSION:
            raise invalid(f"Failed to convert version: {found['version']} to numeric.")
        return int(found["version"]), None
    return None, None if found["label"] is None else urllib.parse.unquote(found["label"])


def _json(body, status=200):
    body = body.encode() if isinstance(body, str) else body
    return web.Response(body=body, status=status, content_type="application/json")
