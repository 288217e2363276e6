"""What is tried again, what is not, and when it ends."""

import threading
import time

import numpy as np
import pytest

from deblur_zoo.serving.client import (
    Client,
    InvalidRequest,
    ModelNotFound,
    ServingError,
    ServingTimeout,
    ServingUnavailable,
)
from deblur_zoo.serving.client import retries as retries_module
from deblur_zoo.serving.client.errors import one_line

PROTOCOLS = ("rest", "grpc")
# Close to mid-grey, so that the server's negative does not count as a failed network.
SENT = np.random.default_rng(0).integers(96, 160, (5, 7, 3), dtype=np.uint8)
RESTORED = 255 - SENT[:, ::-1]
BUSY = ("refuse", 503, "UNAVAILABLE", None, "The batch scheduling queue to which this task was submitted is full")


def connect(fake, name, **options):
    return Client(fake.target[name], protocol=name, **options)


def test_pauses_double_up_to_a_limit():
    assert [retries_module.pause_before(retry, lambda: 1) for retry in range(4)] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert retries_module.pause_before(3, lambda: 0) == pytest.approx(0.4)
    assert retries_module.pause_before(10_000, lambda: 1) == 5.0
    drawn = [retries_module.pause_before(0) for _ in range(50)]
    assert min(drawn) >= 0.05 and max(drawn) <= 0.1 and len(set(drawn)) > 40


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("status, code", [(503, "UNAVAILABLE"), (429, "RESOURCE_EXHAUSTED")])
def test_a_busy_server_is_asked_again_after_growing_pauses(fake, name, status, code):
    fake.script = [("refuse", status, code, None, "full")] * 3
    with connect(fake, name) as client:
        np.testing.assert_array_equal(client.deblur(SENT), RESTORED)
    times = [request[0] for request in fake.requests]
    gaps = np.diff(times)
    # At least half of 0.1, 0.2 and 0.4 s.
    assert len(times) == 4 and (gaps >= [0.05, 0.1, 0.2]).all()
    bodies = {request[3] for request in fake.requests}
    assert len(bodies) == 1


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize(
    "status, code, kind",
    [
        (400, "INVALID_ARGUMENT", InvalidRequest),
        (404, "NOT_FOUND", ModelNotFound),
        (500, "INTERNAL", ServingError),
        (403, "PERMISSION_DENIED", ServingError),
        (504, "DEADLINE_EXCEEDED", ServingTimeout),
    ],
)
def test_other_refusals_are_final(fake, name, status, code, kind):
    fake.script = [("refuse", status, code, None, "the reason\nand  more")]
    with connect(fake, name) as client, pytest.raises(ServingError) as error:
        client.deblur(SENT)
    assert type(error.value) is kind and error.value.code == code and len(fake.requests) == 1
    assert "the reason and more" in str(error.value) and fake.target[name] in str(error.value)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_retries_are_counted(fake, name):
    fake.script = [BUSY] * 9
    with connect(fake, name, retries=2) as client, pytest.raises(ServingUnavailable, match=r"full \(3 attempts\)\.$"):
        client.deblur(SENT)
    assert len(fake.requests) == 3
    fake.requests.clear()
    with connect(fake, name, retries=0) as client, pytest.raises(ServingUnavailable) as error:
        client.deblur(SENT)
    assert len(fake.requests) == 1 and error.value.code == "UNAVAILABLE" and error.value.retryable


@pytest.mark.parametrize("name, seconds", [("rest", 1), ("grpc", 0.5)])
def test_the_server_says_when_to_come_back(fake, name, seconds):
    fake.script = [("refuse", 429, "RESOURCE_EXHAUSTED", seconds, "full")]
    with connect(fake, name) as client:
        np.testing.assert_array_equal(client.deblur(SENT), RESTORED)
    assert seconds <= fake.requests[1][0] - fake.requests[0][0] < seconds + 3


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_waiting_for_what_comes_after_the_deadline(fake, name):
    fake.script = [("refuse", 503, "UNAVAILABLE", 3600, "full")]
    start = time.monotonic()
    with connect(fake, name, timeout=30) as client, pytest.raises(ServingUnavailable) as error:
        client.deblur(SENT)
    assert time.monotonic() - start < 5
    assert "1 attempt, and 30 s leave no time for another" in str(error.value) and error.value.retry_after == 3600


def test_a_retry_after_that_is_no_time(fake):
    fake.script = [("refuse", 503, None, "soon", "full")]
    with connect(fake, "rest") as client:
        np.testing.assert_array_equal(client.deblur(SENT), RESTORED)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_slow_server(fake, name):
    fake.script = [("delay", 3)]
    start = time.monotonic()
    with connect(fake, name, timeout=0.5) as client, pytest.raises(ServingTimeout, match=r"within 0\.5 s") as error:
        client.deblur(SENT)
    assert 0.5 <= time.monotonic() - start < 2 and error.value.code == "DEADLINE_EXCEEDED"
    assert len(fake.requests) == 1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_deadline_is_for_all_attempts_together(fake, name):
    fake.script = [BUSY] * 1000
    start = time.monotonic()
    with connect(fake, name, timeout=0.8, retries=1000) as client, pytest.raises(ServingUnavailable):
        client.deblur(SENT)
    assert time.monotonic() - start < 1.5 and 2 <= len(fake.requests) <= 6


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_deadline_is_for_all_requests_of_a_call(fake, name):
    # The second request may take only what the first has left.
    fake.script = [("delay", 1), ("delay", 5)]
    start = time.monotonic()
    with connect(fake, name, timeout=1.5) as client, pytest.raises(ServingTimeout):
        client.deblur(np.stack([SENT] * 4), batch_size=1)
    assert time.monotonic() - start < 2.3 and len(fake.requests) == 2


def test_a_body_that_comes_byte_by_byte(fake):
    # About 300 bytes: 30 s, while each byte comes in time.
    fake.script = [("dribble", 0.1)]
    start = time.monotonic()
    with connect(fake, "rest", timeout=0.6) as client, pytest.raises(ServingTimeout):
        client.deblur(SENT)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("action", ["drop", "half"])
def test_a_connection_that_breaks_off(fake, action):
    fake.script = [(action,)] * 2
    with connect(fake, "rest") as client:
        np.testing.assert_array_equal(client.deblur(SENT), RESTORED)
        assert len(fake.requests) == 3
        fake.script = [(action,)] * 2
        with pytest.raises(ServingUnavailable, match="broke the connection off.*2 attempts"):
            connect(fake, "rest", retries=1).deblur(SENT)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_nobody_listens(free_port, name):
    client = Client(f"127.0.0.1:{free_port}", protocol=name, retries=1)
    start = time.monotonic()
    with client, pytest.raises(ServingUnavailable, match=r"cannot be reached: .*refused.*\(2 attempts\)\.$") as error:
        client.deblur(SENT)
    assert time.monotonic() - start < 5 and "\n" not in str(error.value)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_server_that_starts_later(free_port, late_fake, name):
    late_fake(name, 0.8)
    with Client(f"127.0.0.1:{free_port}", protocol=name, retries=20, timeout=20) as client:
        np.testing.assert_array_equal(client.deblur(SENT), RESTORED)


@pytest.mark.parametrize("name, hint", [("rest", "does not speak HTTP"), ("grpc", "does not speak gRPC")])
def test_the_other_protocols_port(fake, name, hint):
    other = fake.target["grpc" if name == "rest" else "rest"]
    start = time.monotonic()
    with Client(other, protocol=name, retries=50, timeout=20) as client, pytest.raises(ServingUnavailable, match=hint):
        client.deblur(SENT)
    assert time.monotonic() - start < 5


def test_a_message_that_is_too_large_is_not_sent_again(fake):
    # The fake server takes 4 MiB.
    with connect(fake, "grpc") as client, pytest.raises(InvalidRequest, match="larger than max"):
        client(np.zeros((1, 700, 700, 3), np.float32))
    fake.script = [("refuse", 413, None, None, "too large")]
    with connect(fake, "rest") as client, pytest.raises(InvalidRequest, match="too large"):
        client.deblur(SENT)
    assert len(fake.requests) == 1


@pytest.mark.parametrize("name", PROTOCOLS)
def test_closing_ends_a_pause(fake, name):
    fake.script = [("refuse", 503, "UNAVAILABLE", 20, "full")]
    client = connect(fake, name)
    threading.Timer(0.3, client.close).start()
    start = time.monotonic()
    with pytest.raises(ServingError, match="The client was closed"):
        client.deblur(SENT)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("name", PROTOCOLS)
def test_connections_are_used_again(fake, name):
    with connect(fake, name) as client:
        for _ in range(3):
            client.deblur(SENT)
        if name == "rest":
            assert client._transport._pool.num_connections == 1


def test_long_messages_are_shortened():
    assert one_line("a\n  b\tc") == "a b c"
    assert len(one_line("x" * 5000)) < 310
