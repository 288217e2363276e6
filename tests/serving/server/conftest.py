"""Ways to ask a server that know nothing of this project's client: urllib, and gRPC without generated code."""

import json
import urllib.error
import urllib.request

import pytest

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")

from deblur_zoo.serving import protocol  # noqa: E402


@pytest.fixture(scope="session")
def ask():
    """Function (url, JSON-serialisable body or bytes or None for GET) -> status, JSON or text."""

    def call(url, body=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(url, data, timeout=30) as response:
                status, text = response.status, response.read().decode("latin-1")
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode("latin-1")
        return status, json.loads(text) if text.startswith("{") else text

    return call


@pytest.fixture(scope="session")
def grpc_call():
    """Function (address, method's name, request, timeout) -> response."""

    def call(address, method, request, timeout=30):
        (path,) = [path for path in protocol.METHODS if path.endswith(f"/{method}")]
        request_class, response_class = protocol.METHODS[path]
        with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
            send = channel.unary_unary(path, request_class.SerializeToString, response_class.FromString)
            return send(request, timeout=timeout)

    return call


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
