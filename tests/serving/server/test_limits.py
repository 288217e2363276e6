"""What a server refuses so that nobody can fill its memory or hold it up."""

import base64
import concurrent.futures
import http.client
import json
import socket
import time
import zlib

import numpy as np
import pytest

from deblur_zoo.files import pictures
from deblur_zoo.serving import protocol

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server import embedded, json_tensors  # noqa: E402
from deblur_zoo.serving.server import server as server_module  # noqa: E402
from deblur_zoo.serving.server.settings import Settings  # noqa: E402

TIMEOUT_S = 2


@pytest.fixture(scope="module")
def narrow(models_folder):
    """A server that takes little: 10,000 pixels, 200,000 bytes, two seconds."""
    limits = {"max_pixels": 10_000, "max_request_bytes": 200_000, "rest_api_timeout_in_ms": 1000 * TIMEOUT_S}
    settings = Settings(str(models_folder), **limits)
    with embedded.running(settings) as running:
        yield running


def connect(server):
    host, port = server.rest.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), 20)


def answer_on(connection):
    """Status and body of the answer, and whether the server says that it closes the connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read().decode(), response.will_close


def raw(server, head, body=b""):
    with connect(server) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        return answer_on(connection)


POST = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: localhost\r\n"


def test_pixels_are_added_up(narrow, grpc_call, predict_request):
    """Two pictures of 5,000 pixels are taken, and 1x1 more is not; the same for floats."""
    half, dot = (pictures.encode(np.zeros((*size, 3), np.uint8)) for size in ((50, 100), (1, 1)))
    grpc_call(narrow.grpc, "Predict", predict_request("serving_bytes", encoded=[half, half]))
    with pytest.raises(grpc.RpcError, match="have 10001 pixels"):
        grpc_call(narrow.grpc, "Predict", predict_request("serving_bytes", encoded=[half, half, dot]))
    # Short messages that claim much.
    for shape in ((1, 1, 10_002, 3), (10, 10**5, 10**5, 3), (2, 2**62, 2**62, 3)):
        with pytest.raises(grpc.RpcError, match="pixels; up to 10000 are accepted"):
            grpc_call(narrow.grpc, "Predict", predict_request(images=protocol.filled_tensor(0, shape)))


def test_bodies_that_are_too_large(narrow, grpc_call, predict_request):
    """Of a known length; in pieces of unknown number; packed; by gRPC."""
    status, said, closes = raw(narrow, POST + b"Content-Length: 200001", b" " * 200_001)
    assert status == 413 and "larger than 200000 bytes" in said and closes
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert raw(narrow, POST + b"Transfer-Encoding: chunked", piece * 4)[0] == 413
    packed = zlib.compress(b" " * 10_000_000)
    head = POST + f"Content-Encoding: deflate\r\nContent-Length: {len(packed)}".encode()
    assert raw(narrow, head, packed)[0] == 413
    with pytest.raises(grpc.RpcError) as caught:
        grpc_call(narrow.grpc, "Predict", predict_request(images=np.zeros((1, 10, 10_000, 3), np.float32)))
    assert caught.value.code().name == "RESOURCE_EXHAUSTED"


def test_requests_wait_until_there_is_room(models_folder, ask, grpc_call, predict_request):
    """One in memory at a time: a request waits beside a body that does not end until that is given up."""
    settings = Settings(str(models_folder), max_requests=1, rest_api_timeout_in_ms=1000 * TIMEOUT_S)
    with embedded.running(settings) as server, connect(server) as connection:
        connection.sendall(POST + b"Content-Length: 195000\r\n\r\n" + b" " * 190_000)
        started = time.monotonic()
        time.sleep(0.3)
        assert ask(f"{server.rest}/healthz")[0] == 200
        grpc_call(server.grpc, "Predict", predict_request(images=protocol.filled_tensor(0, (1, 2, 2, 3))))
        assert time.monotonic() - started > TIMEOUT_S / 2
        status, said, closes = answer_on(connection)
        assert (status, closes) == (504, True) and "deadline" in said


def test_heads_that_do_not_end(narrow, ask):
    """And connections over which nothing comes, to gRPC's port too; while they last, others are served."""
    host, port = narrow.grpc.rsplit(":", 1)
    silent_grpc = socket.create_connection((host, int(port)), 20)
    with silent_grpc, connect(narrow) as first, connect(narrow) as second, connect(narrow) as silent:
        started = time.monotonic()
        first.sendall(POST + b"X: ")
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + POST)
        assert ask(f"{narrow.rest}/healthz")[0] == 200
        assert answer_on(second)[0] == 200
        for connection in (first, second, silent):
            assert connection.recv(1) == b""
        # It greets first.
        while silent_grpc.recv(1000):
            pass
        assert TIMEOUT_S / 2 < time.monotonic() - started < TIMEOUT_S + 10


def test_a_client_that_does_not_take_its_answer(models_folder):
    """20 MB, more than the system's buffers hold: the connection ends, and with it what the server holds for it."""
    settings = Settings(str(models_folder), rest_api_timeout_in_ms=5000)
    body = json.dumps({"signature_name": "large", "inputs": 15_000_000}).encode()
    with embedded.running(settings) as server, connect(server) as connection:
        connection.sendall(POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
        time.sleep(7)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer_on(connection)


def test_more_connections_than_there_is_room_for(models_folder, ask, monkeypatch):
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 2)
    with embedded.running(Settings(str(models_folder))) as server:
        with connect(server), connect(server):
            # They are counted once they are accepted.
            time.sleep(0.3)
            with connect(server) as third:
                assert answer_on(third)[0] == 503
        time.sleep(0.3)
        assert ask(f"{server.rest}/healthz")[0] == 200


@pytest.mark.parametrize(
    "body, sentence",
    [
        (b'{"instances":["' + b"a" * 400_000 + b'"' + b',"b"' * 2000 + b"]}", "holds a string; float32 is expected"),
        (b'{"instances":[' + b"[]," * json_tensors.MOST_VALUES + b"[]]}", "up to 2000000 are accepted"),
    ],
)
def test_strings_and_lists_in_json_take_little(server, ask, body, sentence):
    """400 KB that NumPy made 3 GB of, and lists beyond the number that is read; all in this process."""
    before = time.process_time()
    status, answer = ask(f"{server.rest}/v1/models/tiny:predict", body)
    assert status == 400 and sentence in answer["error"] and time.process_time() - before < 5


def test_health_answers_while_large_bodies_are_read(server, ask):
    """180,000 numbers with an answer of as many; 100,000 pictures, which are too many for one request."""
    pixel = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 30).decode()
    numbers = {"inputs": np.zeros((1, 200, 300, 3)).tolist()}
    files = {"signature_name": "serving_bytes", "instances": [{"b64": pixel}] * 100_000}
    for body, status in ((numbers, 200), (files, 400)):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            job = pool.submit(ask, f"{server.rest}/v1/models/tiny:predict", json.dumps(body).encode())
            while not job.done():
                # The processor's time, of the server too: it is in this process, and others may keep it waiting.
                started = time.process_time()
                assert ask(f"{server.rest}/healthz")[0] == 200 and time.process_time() - started < 2
            assert job.result()[0] == status


@pytest.mark.parametrize(
    "headers, status",
    [
        (b"Host: evil.example:8501", 403),
        (b"Host: 127.0.0.1.evil.example", 403),
        (b"Host: 192.168.0.1", 403),
        (b"Host: localhost\r\nOrigin: http://evil.example", 403),
        (b"Host: [::1]:8501", 200),
        (b"Host: 127.0.0.1:1", 200),
        (b"Host: LOCALHOST\r\nOrigin: http://localhost:3000", 200),
    ],
)
def test_pages_of_the_web_are_refused(server, headers, status):
    """By the name that they gave to this machine's address, and by the page that asks."""
    assert raw(server, b"GET /v1/models/tiny HTTP/1.1\r\n" + headers)[0] == status
    assert raw(server, POST.replace(b"Host: localhost", headers) + b"Content-Length: 0")[0] == (
        status if status > 200 else 400
    )
