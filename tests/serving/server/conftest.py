"""Ways to ask a server that know nothing of this project's client: urllib, and gRPC without generated code."""

import io
import json
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")

from deblur_zoo.serving import protocol  # noqa: E402


@pytest.fixture(scope="session")
def ask():
    """Function (url, JSON-serialisable body or bytes or None for GET) -> status, JSON or text."""

    def call(url, body=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        text = text.decode("latin-1")
        return status, json.loads(text) if text.lstrip().startswith("{") else text

    return call


@pytest.fixture(scope="session")
def grpc_call():
    """Function (address, method's name, request, timeout) -> response."""
    channels = {}

    def call(address, method, request, timeout=30):
        (path,) = [path for path in protocol.METHODS if path.endswith(f"/{method}")]
        if address not in channels:
            options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
            channels[address] = grpc.insecure_channel(address, options)
        request_class, response_class = protocol.METHODS[path]
        return channels[address].unary_unary(path, request_class.SerializeToString, response_class.FromString)(
            request, timeout=timeout
        )

    yield call
    for channel in channels.values():
        channel.close()


@pytest.fixture(scope="session")
def predict_request():
    """Function (signature, model, **arrays or TensorProtos) -> ``PredictRequest``."""

    def make(signature="", model="tiny", **inputs):
        request = protocol.PredictRequest(model_spec=protocol.ModelSpec(name=model, signature_name=signature))
        for name, value in inputs.items():
            tensor = value if isinstance(value, protocol.TensorProto) else protocol.to_tensor(value)
            request.inputs[name].CopyFrom(tensor)
        return request

    return make


@pytest.fixture(scope="session")
def png():
    """Function (uint8 array) -> bytes of a PNG."""

    def encode(pixels):
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def until():
    """Function (condition, seconds): waits for it to come true and fails where it does not within that time."""

    def wait(condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come to pass"
            time.sleep(0.02)

    return wait
