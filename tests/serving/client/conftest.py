"""A server of both protocols that does what a test tells it to: fail, wait, break off. It mirrors and inverts pictures.

Written without the client: JSON and base64 by hand, gRPC without generated code.
"""

import base64
import contextlib
import io
import json
import socket
import struct
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

grpc = pytest.importorskip("grpc", reason="the gRPC half of the client needs grpcio")
pytest.importorskip("urllib3", reason="the REST half of the client needs urllib3")

from deblur_zoo.serving import protocol  # noqa: E402

SIGNATURES = {
    "serving_default": (("images", 1, [-1, -1, -1, 3]), ("restored", 1, [-1, -1, -1, 3])),
    "serving_bytes": (("encoded", 7, [-1]), ("restored_bytes", 7, [-1])),
}
TYPE_NAMES = {1: "DT_FLOAT", 7: "DT_STRING"}


def restored_floats(images):
    """Left becomes right and light becomes dark: unlike for other pictures, sizes or orders."""
    return 1 - np.asarray(images, np.float32)[..., :, ::-1, :]


def restored_file(file):
    with Image.open(io.BytesIO(file)) as image:
        pixels = np.asarray(image.convert("RGB"))
    buffer = io.BytesIO()
    Image.fromarray(255 - pixels[:, ::-1]).save(buffer, "PNG")
    return buffer.getvalue()


class Fake:
    """What the two halves share: the script of the next answers, and what was received.

    Attributes:
        script: actions for the next requests, used up one by one: ``("refuse", REST status, gRPC code, seconds to ask
            for, message)``, ``("delay", seconds)``, ``("drop",)``, ``("half",)``, ``("dribble", seconds a byte)``,
            ``("answer", bytes)``.
        requests: (time, path or method, headers, body) of each request.
        raw_strings: write strings into JSON as TensorFlow Serving does for outputs not named ``..._bytes``.
        most_at_once: how many predictions were under way together.
    """

    def __init__(self):
        self.script, self.requests = [], []
        self.raw_strings = False
        self.models = {"one_step_lite"}
        self.most_at_once, self._now = 0, 0
        self._lock = threading.Lock()
        self.predict = self._predict
        self.signatures = SIGNATURES

    def next_action(self, path, headers, body):
        with self._lock:
            self.requests.append((time.monotonic(), path, headers, body))
            return self.script.pop(0) if self.script else None

    def _predict(self, signature, values):
        """A list of bytes or a float array to the same; raises ValueError for what the signature does not take."""
        with self._lock:
            self._now += 1
            self.most_at_once = max(self._now, self.most_at_once)
        try:
            if signature == "serving_bytes" and isinstance(values, list):
                return [restored_file(file) for file in values]
            if signature == "serving_default" and not isinstance(values, list) and values.ndim == 4:
                return restored_floats(values)
            raise ValueError(f"{signature} does not take that")
        finally:
            with self._lock:
                self._now -= 1


class RestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        fake = self.server.fake
        action, *details = fake.next_action(self.path, dict(self.headers), body) or (None,)
        if action == "refuse":
            status, _, retry_after, message = details
            return self.send(status, json.dumps({"error": message}).encode(), retry_after)
        if action == "drop":
            # Reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        if action == "delay":
            time.sleep(details[0])
        status, content = (200, details[0]) if action == "answer" else self.result(body)
        self.send(status, content, None, action, details)

    def result(self, body):
        fake = self.server.fake
        parts = self.path.partition(":")[0].split("/")
        if parts[3] not in fake.models:
            return 404, json.dumps({"error": f"Servable not found for request: Latest({parts[3]})"}).encode()
        if self.path.endswith("/metadata"):
            return 200, json.dumps(rest_metadata(fake.signatures)).encode()
        if not self.path.endswith(":predict"):
            version = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
            return 200, json.dumps({"model_version_status": [version]}).encode()
        try:
            request = json.loads(body)
            values = request["instances"]
            if isinstance(values[0], dict):
                values = [base64.b64decode(value["b64"], validate=True) for value in values]
            else:
                values = np.array(values, np.float64)
            answer = fake.predict(request["signature_name"], values)
        except (ValueError, KeyError, OSError) as error:
            return 400, json.dumps({"error": f"bad request: {error}"}).encode()
        if not isinstance(answer, list):
            return 200, json.dumps({"predictions": answer.tolist()}).encode()
        if fake.raw_strings:
            return 200, b'{\n    "predictions": [' + b", ".join(map(raw_json_string, answer)) + b"]\n}"
        encoded = [{"b64": base64.b64encode(file).decode()} for file in answer]
        return 200, json.dumps({"predictions": encoded}).encode()

    def send(self, status, content, retry_after=None, action=None, details=()):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        if action == "half":
            content, self.close_connection = content[: len(content) // 2], True
        if action == "dribble":
            for place in range(len(content)):
                try:
                    self.wfile.write(content[place : place + 1])
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(details[0])
            return
        self.wfile.write(content)


def raw_json_string(data):
    """As rapidjson writes a string: quotes, backslashes and control characters escaped, other bytes copied."""
    short = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}
    escaped = (short.get(byte) or (b"\\u%04X" % byte if byte < 32 else bytes([byte])) for byte in data)
    return b'"' + b"".join(escaped) + b'"'


def rest_metadata(signatures):
    def tensor(entry):
        name, dtype, shape = entry
        dims = [{"size": str(size), "name": ""} for size in shape]
        info = {"dtype": TYPE_NAMES[dtype], "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": f"{name}:0"}
        return {name: info}

    definitions = {
        name: {"inputs": tensor(taken), "outputs": tensor(given), "method_name": "tensorflow/serving/predict"}
        for name, (taken, given) in signatures.items()
    }
    return {
        "model_spec": {"name": "one_step_lite", "signature_name": "", "version": "3"},
        "metadata": {"signature_def": {"signature_def": definitions}},
    }


class GrpcHalf(grpc.GenericRpcHandler):
    def __init__(self, fake):
        self.fake = fake

    def service(self, call):
        name = call.method.rpartition("/")[2]
        method = {"Predict": self.predict, "GetModelStatus": self.status, "GetModelMetadata": self.metadata}.get(name)
        if method is None:
            return None

        def handle(body, context):
            headers = dict(context.invocation_metadata())
            action, *details = self.fake.next_action(call.method, headers, body) or (None,)
            if action == "refuse":
                _, code, retry_after, message = details
                if retry_after is not None:
                    context.set_trailing_metadata([("grpc-retry-pushback-ms", str(int(1000 * retry_after)))])
                context.abort(getattr(grpc.StatusCode, code), message)
            if action == "delay":
                time.sleep(details[0])
            return details[0] if action == "answer" else method(body, context)

        return grpc.unary_unary_rpc_method_handler(handle)

    def check_name(self, specification, context):
        if specification.name not in self.fake.models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({specification.name})")

    def predict(self, body, context):
        request = protocol.PredictRequest.FromString(body)
        self.check_name(request.model_spec, context)
        ((_, tensor),) = request.inputs.items()
        values = protocol.to_array(tensor)
        values = list(values) if tensor.dtype == protocol.STRING else values
        signature = request.model_spec.signature_name
        try:
            answer = self.fake.predict(signature, values)
        except (ValueError, OSError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"bad request: {error}")
        response = protocol.PredictResponse(model_spec=request.model_spec)
        response.outputs[self.fake.signatures[signature][1][0]].CopyFrom(protocol.to_tensor(answer))
        return response.SerializeToString()

    def status(self, body, context):
        request = protocol.GetModelStatusRequest.FromString(body)
        self.check_name(request.model_spec, context)
        # By hand: field 1, a message with version 3 and state 30.
        return bytes([0x0A, 4, 0x08, 3, 0x10, 30])

    def metadata(self, body, context):
        request = protocol.GetModelMetadataRequest.FromString(body)
        self.check_name(request.model_spec, context)
        found = protocol.SignatureDefMap()
        for name, entries in self.fake.signatures.items():
            definition = found.signature_def[name]
            for place, (tensor, dtype, shape) in zip((definition.inputs, definition.outputs), entries, strict=True):
                place[tensor].dtype = dtype
                for size in shape:
                    place[tensor].tensor_shape.dim.add(size=size)
        response = protocol.GetModelMetadataResponse()
        response.model_spec.version.value = 3
        response.metadata["signature_def"].value = found.SerializeToString()
        return response.SerializeToString()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that leave are part of the tests."""


@contextlib.contextmanager
def running(rest_port=0, grpc_port=0):
    """A running server; ``rest`` and ``grpc`` are its targets."""
    state = Fake()
    rest = Server(("127.0.0.1", rest_port), RestHandler)
    rest.fake = state
    thread = threading.Thread(target=rest.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    over_grpc = grpc.server(
        futures.ThreadPoolExecutor(16),
        handlers=[GrpcHalf(state)],
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 1 << 22)],
    )
    port = over_grpc.add_insecure_port(f"127.0.0.1:{grpc_port}")
    over_grpc.start()
    state.rest, state.grpc = f"127.0.0.1:{rest.server_address[1]}", f"127.0.0.1:{port}"
    state.target = {"rest": state.rest, "grpc": state.grpc}
    try:
        yield state
    finally:
        over_grpc.stop(0).wait()
        rest.shutdown()
        rest.server_close()


@pytest.fixture
def fake():
    with running() as state:
        yield state


@pytest.fixture
def late_fake(free_port):
    """A function that starts a server at ``free_port``, by "rest" or "grpc", some seconds from now."""
    stop = threading.Event()
    threads = []

    def start(protocol, seconds):
        def run():
            time.sleep(seconds)
            with running(**{f"{protocol}_port": free_port}):
                stop.wait(30)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def free_port():
    """A port where nobody listens."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]
