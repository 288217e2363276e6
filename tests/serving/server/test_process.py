"""``deblur-zoo-serve`` as a process: what it prints and refuses, clients that are killed, memory, and how it ends."""

import concurrent.futures
import contextlib
import http.client
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from deblur_zoo.serving import protocol

pytest.importorskip("aiohttp", reason="the extra 'serving' is not installed")
grpc = pytest.importorskip("grpc", reason="the extra 'serving' is not installed")

ROOT = Path(__file__).parents[3]
POST = "POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\n"
MEBIBYTE = 1 << 20


def command(*flags):
    return [sys.executable, "-m", "deblur_zoo.serving.server", *map(str, flags)]


@contextlib.contextmanager
def process(*flags):
    """A server that runs: its process, and the addresses that it printed."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        command("--rest_port=0", "--grpc_port=0", *flags), cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
    ) as started:
        try:
            line = started.stdout.readline()
            found = re.fullmatch(r"REST (http://127\.0\.0\.1:\d+) gRPC (127\.0\.0\.1:\d+)\n", line)
            assert found, line
            yield SimpleNamespace(process=started, rest=found[1], grpc=found[2])
        finally:
            started.kill()


@pytest.fixture(scope="module")
def running(models_folder):
    with process(f"--models={models_folder}", f"--max_held_bytes={64 * MEBIBYTE}") as server:
        yield server


def address(server):
    host, port = server.rest.removeprefix("http://").rsplit(":", 1)
    return host, int(port)


def memory(server):
    """Resident bytes of a process."""
    pages = Path(f"/proc/{server.process.pid}/statm")
    if not pages.exists():
        pytest.skip("there is no /proc here")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    "flags, sentence",
    [
        ((), "give the models with either --models or --model_config_file"),
        (("--models=none",), "There is no folder none."),
        (("--models=docs",), "docs holds no model: NAME/VERSION/saved_model.pb is looked for."),
        (("--models=a", "--rest_port=70000"), "--rest_port=70000"),
        (("models",), "unexpected argument 'models'"),
        (("--models=docs", "--batching_parameters_file=none", "--max_batch_size=3"), "cannot go together"),
    ],
)
def test_bad_input(flags, sentence):
    finished = subprocess.run(command(*flags), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2 and sentence in finished.stderr
    assert finished.stderr.count("\n") == 1 and not finished.stdout


def test_a_package_that_is_not_installed(tmp_path):
    (tmp_path / "aiohttp.py").write_text('raise ModuleNotFoundError("No module named aiohttp", name="aiohttp")')
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    finished = subprocess.run(
        command("--models=docs"), cwd=ROOT, capture_output=True, text=True, timeout=60, env=environment
    )
    assert finished.returncode == 2
    assert finished.stderr == "deblur-zoo-serve: serving needs the package aiohttp: pip install 'deblur-zoo[serving]'\n"


@pytest.mark.parametrize("taken", ["rest", "grpc"])
def test_a_port_in_use(models_folder, taken):
    with socket.socket() as other:
        # Whoever says this too would share the port, and get half of its connections.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        flags = [f"--{which}_port={other.getsockname()[1] if which == taken else 0}" for which in ("rest", "grpc")]
        finished = subprocess.run(
            command(f"--models={models_folder}", *flags), cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert finished.returncode == 2
    last = finished.stderr.splitlines()[-1]
    assert re.match(rf"deblur-zoo-serve: {'REST' if taken == 'rest' else 'gRPC'} cannot listen at 127.0.0.1:\d+", last)


def test_sigterm_while_it_loads(models_folder, until):
    """Before the line with the addresses: it ends at once, not when TensorFlow is there."""
    flags = (f"--models={models_folder}", "--rest_port=0", "--grpc_port=0")
    with subprocess.Popen(command(*flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        # Python's own first second, in which a signal ends any program, is over when libraries are mapped.
        maps = Path(f"/proc/{started.pid}/maps")
        if not maps.exists():
            started.kill()
            pytest.skip("there is no /proc here")
        until(lambda: "tensorflow" in maps.read_text())
        started.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        assert started.wait(20) == 0 and time.monotonic() - sent < 4
        assert not started.stdout.read()


def test_killed_clients_leave_nothing_behind(running, ask, counter, until):
    """kill -9 in the middle of a body, and while answers are computed."""
    program = f"""
import socket, time
half = socket.create_connection({address(running)!r})
half.sendall({POST!r}.encode() + b"Content-Length: 9000000\\r\\n\\r\\n" + b" " * 5000000)
waiting = []
for _ in range(20):
    waiting.append(socket.create_connection({address(running)!r}))
    body = b'{{"signature_name": "slow", "inputs": [0.3]}}'
    waiting[-1].sendall({POST!r}.encode() + b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
print("sent", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "sent\n"
        until(lambda: counter(running, "deblur_zoo_held_bytes") > 5_000_000)
        client.send_signal(signal.SIGKILL)
    until(lambda: counter(running, "deblur_zoo_held_bytes") == counter(running, "deblur_zoo_queue_length") == 0)
    answer = ask(f"{running.rest}/v1/models/tiny:predict", {"inputs": [[[[1, 0.5, 0]]]]})
    assert answer == (200, {"outputs": [[[[0, 0.5, 1]]]]})


def test_memory_is_bounded(running, ask, grpc_call, predict_request, counter, until):
    """40 clients that begin bodies of 30 MiB and never end them, and messages that claim terabytes.

    64 MiB may be held; as much again is left for the copies that the network's buffers and the allocator keep.
    """
    ask(f"{running.rest}/v1/models/tiny:predict", {"inputs": np.zeros((1, 64, 64, 3)).tolist()})
    before = memory(running)
    connections = []
    for _ in range(40):
        connection = socket.create_connection(address(running), 20)
        connections.append(connection)
        with contextlib.suppress(ConnectionError):
            connection.sendall(f"{POST}Content-Length: {30 * MEBIBYTE}\r\n\r\n".encode() + b" " * (3 * MEBIBYTE))
    # 21 whole bodies may be held; the others, or more where several shared the rest, are refused.
    until(lambda: len(select.select(connections, (), (), 0)[0]) >= 40 - 21)
    for _ in range(20):
        with pytest.raises(grpc.RpcError, match="pixels"):
            request = predict_request(images=protocol.filled_tensor(0, (10**5, 10**4, 10**4, 3)))
            grpc_call(running.grpc, "Predict", request)
    assert memory(running) - before < 2 * 64 * MEBIBYTE
    for connection in select.select(connections, (), (), 0)[0]:
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100).startswith(b"HTTP/1.1 503 ")
    for connection in connections:
        connection.close()
    until(lambda: counter(running, "deblur_zoo_held_bytes") == 0)


def test_sigterm_under_load_loses_no_answer(running, predict_request):
    """Every request that was sent over an open connection is answered; new connections are refused; exit code 0.

    The last test of this file: it ends the server.
    """
    body = '{"signature_name": "two", "inputs": {"a": [[1, 2]], "b": [3]}}'
    request = predict_request("two", a=np.array([[1, 2]], np.float32), b=np.array([3]))
    slow = predict_request("slow", seconds=np.array([1.5], np.float32))

    def rest_client(server):
        connection, answers = http.client.HTTPConnection(*address(server), timeout=30), 0
        while True:
            try:
                connection.request("POST", "/v1/models/tiny:predict", body)
            except ConnectionRefusedError:
                return answers
            response = connection.getresponse()
            assert response.status == 200 and b'"sum": [[4.0, 5.0]]' in response.read()
            answers += 1

    def grpc_client(server):
        path = "/tensorflow.serving.PredictionService/Predict"
        request_class, response_class = protocol.METHODS[path]
        answers = 0
        with grpc.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            predict = channel.unary_unary(path, request_class.SerializeToString, response_class.FromString)
            while True:
                try:
                    response = predict(request, timeout=30)
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                    return answers
                assert protocol.to_array(response.outputs["sum"]).tolist() == [[4, 5]]
                answers += 1

    def slow_client(server):
        path = "/tensorflow.serving.PredictionService/Predict"
        with grpc.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            protocol.PredictResponse.FromString(channel.unary_unary(path)(slow.SerializeToString(), timeout=30))
            return 1

    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        clients = [pool.submit(client, running) for client in (rest_client, grpc_client) * 4]
        time.sleep(0.5)
        clients.append(pool.submit(slow_client, running))
        time.sleep(0.3)
        with grpc.insecure_channel(running.grpc, [("grpc.use_local_subchannel_pool", 1)]) as open_channel:
            open_channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            with pytest.raises(grpc.RpcError, match="The server is shutting down"):
                predict = open_channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
                predict(request.SerializeToString(), timeout=30)
        assert running.process.wait(20) == 0
        assert min(client.result() for client in clients) >= 1
