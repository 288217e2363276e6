"""What a server refuses so that nobody can fill its memory or hold it up."""

import base64
import concurrent.futures
import functools
import http.client
import io
import json
import socket
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from deblur_zoo.serving import protocol

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")

from deblur_zoo.serving.server import embedded, pictures  # noqa: E402
from deblur_zoo.serving.server.settings import Settings  # noqa: E402

TIMEOUT_S = 1
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def narrow(models_folder):
    """A server that takes little: 10,000 pixels, 200,000 bytes, two waiting requests, a second."""
    settings = Settings(
        models=str(models_folder),
        max_pixels=10_000,
        max_request_bytes=MOST_BYTES,
        max_queued=2,
        max_held_bytes=400_000,
        rest_timeout_s=TIMEOUT_S,
    )
    with embedded.running(settings) as running:
        yield running


def png_that_claims(width, height):
    """A PNG whose head says so, and that holds one row of a pixel."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 4)) + chunk(b"IEND", b"")


def jpeg_that_claims(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    content = buffer.getvalue()
    # The start of frame: marker, length, precision, height, width.
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


@pytest.mark.parametrize("make", [png_that_claims, jpeg_that_claims])
def test_what_a_picture_claims(make):
    assert pictures.claimed_pixels(make(300, 200)) == 60_000
    assert pictures.claimed_pixels(make(65_500, 65_000)) in (65_500 * 65_000, float("inf"))
    assert pictures.claimed_pixels(make(300, 200)[:10]) is None
    assert pictures.claimed_pixels(b"") is None


@pytest.mark.parametrize("make", [png_that_claims, jpeg_that_claims])
@pytest.mark.parametrize("side", [65_000, 101])
def test_image_bombs(narrow, ask, grpc_call, predict_request, make, side):
    bomb = make(side, side)
    body = {"signature_name": "serving_bytes", "instances": [{"b64": base64.b64encode(bomb).decode()}]}
    status, answer = ask(f"{narrow.rest}/v1/models/tiny:predict", body)
    assert status == 400 and "pixels; up to 10000 are accepted" in answer["error"]
    with pytest.raises(grpc.RpcError, match="pixels; up to 10000 are accepted") as caught:
        grpc_call(narrow.grpc, "Predict", predict_request("serving_bytes", encoded=[bomb]))
    assert caught.value.code().name == "INVALID_ARGUMENT"


def test_pixels_are_added_up(narrow, grpc_call, predict_request, png):
    """Two pictures of 5,000 pixels are taken, and 1x1 more is not; the same for floats."""
    half, dot = png(np.zeros((50, 100, 3))), png(np.zeros((1, 1, 3)))
    grpc_call(narrow.grpc, "Predict", predict_request("serving_bytes", encoded=[half, half]))
    with pytest.raises(grpc.RpcError, match="have 10001 pixels"):
        grpc_call(narrow.grpc, "Predict", predict_request("serving_bytes", encoded=[half, half, dot]))
    grpc_call(narrow.grpc, "Predict", predict_request(images=protocol.filled_tensor(0, (2, 50, 100, 3))))
    with pytest.raises(grpc.RpcError, match="have 10002 pixels"):
        grpc_call(narrow.grpc, "Predict", predict_request(images=protocol.filled_tensor(0, (1, 1, 10_002, 3))))


@pytest.mark.parametrize("shape", [(10**5, 10**5, 10**5, 3), (2**62, 2**62, 2**62, 3)])
def test_short_messages_that_claim_much(narrow, grpc_call, predict_request, shape):
    with pytest.raises(grpc.RpcError, match="pixels; up to 10000 are accepted"):
        grpc_call(narrow.grpc, "Predict", predict_request(images=protocol.filled_tensor(0, shape)))


def test_a_damaged_picture_fails_alone(server, grpc_call, predict_request, png):
    """Its head is right, so it meets the others in the batch; sent at once so that they share one."""
    whole = png(np.full((20, 30, 3), 5))
    damaged = whole[: len(whole) // 2]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        files = [damaged if place % 3 == 1 else whole for place in range(8)]
        jobs = [
            pool.submit(grpc_call, server.grpc, "Predict", predict_request("serving_bytes", encoded=[f])) for f in files
        ]
        for file, job in zip(files, jobs, strict=True):
            if file is damaged:
                assert job.exception().code().name == "INVALID_ARGUMENT"
            else:
                (answer,) = protocol.to_array(job.result().outputs["restored_bytes"])
                with Image.open(io.BytesIO(answer)) as picture:
                    np.testing.assert_array_equal(picture, np.full((20, 30, 3), 250))


def raw(server, head, body=b""):
    """Send bytes; the status and body of the answer, and whether the server says that it closes the connection."""
    host, port = server.rest.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read().decode(), response.will_close


POST = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\n"


def test_bodies_that_are_too_large(narrow):
    """By what the head says, before a byte of it is sent; and in pieces of unknown number."""
    status, said, closes = raw(narrow, POST + b"Content-Length: 200001")
    assert status == 413 and "larger than 200000 bytes" in said and closes
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert raw(narrow, POST + b"Transfer-Encoding: chunked", piece * 4)[0] == 413


def test_a_packed_body_that_unpacks_to_too_much(narrow):
    packed = zlib.compress(b" " * 10_000_000)
    assert len(packed) < 20_000
    head = POST + f"Content-Encoding: deflate\r\nContent-Length: {len(packed)}".encode()
    assert raw(narrow, head, packed)[0] == 413


def test_grpc_messages_that_are_too_large(narrow, grpc_call, predict_request):
    request = predict_request(images=np.zeros((1, 10, 10_000, 3), np.float32))
    with pytest.raises(grpc.RpcError) as caught:
        grpc_call(narrow.grpc, "Predict", request)
    assert caught.value.code().name == "RESOURCE_EXHAUSTED"


@pytest.fixture
def until(until):
    """As everywhere, but within ten seconds."""
    return functools.partial(until, seconds=10)


def test_half_sent_bodies(narrow, ask, counter, until):
    """One that stops, one whose client goes: the first is told, and nothing is kept of either."""
    started = time.monotonic()
    status, _, closes = raw(narrow, POST + b"Content-Length: 100", b'{"instances"')
    assert status == 408 and closes and TIMEOUT_S <= time.monotonic() - started < TIMEOUT_S + 5
    host, port = narrow.rest.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(POST + b"Content-Length: 100000\r\n\r\n" + b" " * 50_000)
        # The page of the metrics itself is not counted.
        until(lambda: counter(narrow, "deblur_zoo_held_bytes") >= 50_000)
    until(lambda: counter(narrow, "deblur_zoo_held_bytes") == 0)
    assert ask(f"{narrow.rest}/v1/models/tiny:predict", {"inputs": [[[[0, 0, 0]]]]})[0] == 200


def test_what_is_held_in_all_is_limited(narrow, counter, until):
    """400,000 bytes: two bodies of 190,000 that do not end fit, of a third only the beginning."""
    host, port = narrow.rest.removeprefix("http://").rsplit(":", 1)
    connections = [socket.create_connection((host, int(port)), 10) for _ in range(3)]
    try:
        for connection in connections[:2]:
            connection.sendall(POST + b"Content-Length: 195000\r\n\r\n" + b" " * 190_000)
        until(lambda: counter(narrow, "deblur_zoo_held_bytes") == 380_000)
        connections[2].sendall(POST + b"Content-Length: 195000\r\n\r\n" + b" " * 190_000)
        said = connections[2].recv(1000)
        assert said.startswith(b"HTTP/1.1 503 ") and b"try again later" in said
    finally:
        for connection in connections:
            connection.close()
    until(lambda: counter(narrow, "deblur_zoo_held_bytes") == 0)


def test_a_full_queue_refuses_both_protocols(narrow, ask, grpc_call, predict_request, counter, until):
    """One request runs, two wait; the fourth and fifth are refused while they do."""
    slow = predict_request("slow", seconds=np.array([1.5], np.float32))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = pool.submit(grpc_call, narrow.grpc, "Predict", slow)
        until(lambda: counter(narrow, "deblur_zoo_held_bytes") > 0 and counter(narrow, "deblur_zoo_queue_length") == 0)
        time.sleep(0.05)
        request = predict_request("two", a=np.zeros((1, 2), np.float32), b=np.array([1]))
        waiting = [pool.submit(grpc_call, narrow.grpc, "Predict", request) for _ in range(2)]
        until(lambda: counter(narrow, "deblur_zoo_queue_length") == 2)
        assert not running.done()
        status, answer = ask(f"{narrow.rest}/v1/models/tiny:predict", {"inputs": [[[[0, 0, 0]]]]})
        assert status == 503 and "queue to which this task was submitted is full" in answer["error"]
        with pytest.raises(grpc.RpcError, match="is full") as caught:
            grpc_call(narrow.grpc, "Predict", request)
        assert caught.value.code().name == "UNAVAILABLE" and not running.done()
        assert [protocol.to_array(job.result().outputs["text"]).tolist() for job in waiting] == [[b"b=1"]] * 2


def test_a_rest_request_that_takes_too_long(narrow, ask):
    started = time.monotonic()
    status, answer = ask(f"{narrow.rest}/v1/models/tiny:predict", {"signature_name": "slow", "inputs": [3.0]})
    assert status == 504 and "deadline" in answer["error"] and time.monotonic() - started < 2.8


@pytest.mark.parametrize("protocol_name", ["REST", "gRPC"])
def test_a_client_that_has_gone_is_not_computed_for(server, grpc_call, predict_request, counter, protocol_name, until):
    """It goes while its request waits behind a slow one."""
    request = predict_request("two", a=np.zeros((1, 2), np.float32), b=np.array([1]))
    slow = predict_request("slow", seconds=np.array([1.5], np.float32))
    before = counter(server, "deblur_zoo_batch_rows_count", 'signature="two"')
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(grpc_call, server.grpc, "Predict", slow)
        until(lambda: counter(server, "deblur_zoo_held_bytes") > 0 and counter(server, "deblur_zoo_queue_length") == 0)
        time.sleep(0.05)
        if protocol_name == "gRPC":
            with pytest.raises(grpc.RpcError):
                grpc_call(server.grpc, "Predict", request, timeout=0.2)
        else:
            host, port = server.rest.removeprefix("http://").rsplit(":", 1)
            body = json.dumps({"signature_name": "two", "inputs": {"a": [[1, 2]], "b": [3]}}).encode()
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                until(lambda: counter(server, "deblur_zoo_queue_length") == 1)
        until(lambda: counter(server, "deblur_zoo_queue_length") == 0)
        assert not running.done()
        running.result()
    assert counter(server, "deblur_zoo_batch_rows_count", 'signature="two"') == before


def test_health_answers_while_a_large_body_is_read(server, ask):
    """A megabyte of numbers, which take a while to become an array."""
    body = json.dumps({"inputs": np.zeros((1, 200, 300, 3)).tolist()}).encode()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(ask, f"{server.rest}/v1/models/tiny:predict", body)
        longest = 0
        while not job.done():
            started = time.monotonic()
            assert ask(f"{server.rest}/healthz")[0] == 200
            longest = max(longest, time.monotonic() - started)
        status, answer = job.result()
    assert status == 200 and np.array(answer["outputs"]).min() == 1
    assert longest < 2
