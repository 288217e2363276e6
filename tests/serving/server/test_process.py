"""``deblur-zoo-serve`` as a process: what it prints and refuses, memory, and how it ends."""

import concurrent.futures
import contextlib
import http.client
import os
import re
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
PREDICT = "/tensorflow.serving.PredictionService/Predict"
MEBIBYTE = 1 << 20


def command(*flags):
    return [sys.executable, "-m", "deblur_zoo.serving.server", *map(str, flags)]


@contextlib.contextmanager
def process(*flags):
    """A server that runs: its process, and the addresses that it printed."""
    options = {"cwd": ROOT, "text": True, "env": {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}}
    flags = command("--rest_port=0", "--grpc_port=0", *flags)
    with subprocess.Popen(flags, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as started:
        try:
            line = started.stdout.readline()
            found = re.fullmatch(r"REST (http://127\.0\.0\.1:\d+) gRPC (127\.0\.0\.1:\d+)\n", line)
            assert found, line
            yield SimpleNamespace(process=started, rest=found[1], grpc=found[2])
        finally:
            started.kill()


@pytest.mark.parametrize(
    "flags, sentence",
    [
        ((), "give the folder of models with --models"),
        (("--models=none",), "There is no folder none."),
        (("--models=docs",), "docs has no model (NAME/VERSION/saved_model.pb)"),
        (("--models=a", "--rest_port=70000"), "--rest_port=70000"),
    ],
)
def test_bad_input(flags, sentence):
    finished = subprocess.run(command(*flags), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2 and sentence in finished.stderr
    assert finished.stderr.count("\n") == 1 and not finished.stdout


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
    assert re.match(r"deblur-zoo-serve: .*(address already in use|port in use)", finished.stderr.splitlines()[-1])


@pytest.mark.slow
def test_memory_is_bounded(models_folder, predict_request):
    """Forty messages of 30 MiB at once by gRPC, of which two may be in memory.

    Room for the two as they come in, as they are put together, as arrays, twice for the answers, and for TensorFlow."""
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc here")

    def peak(server):
        kilobytes = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())[1]
        return int(kilobytes) << 10

    content = predict_request(images=np.zeros((1, 1000, 2600, 3), np.float32)).SerializeToString()
    with process(f"--models={models_folder}", "--max_requests=2") as server:
        before = peak(server)
        with concurrent.futures.ThreadPoolExecutor(40) as pool, grpc.insecure_channel(server.grpc) as channel:
            jobs = [pool.submit(channel.unary_unary(PREDICT), content, timeout=60) for _ in range(40)]
            codes = {job.exception() and job.exception().code().name for job in jobs}
        assert codes <= {None, "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
        assert peak(server) - before < (2 * 5 * 30 + 300) * MEBIBYTE


def test_sigterm_under_load_loses_no_answer(models_folder, predict_request):
    """Every request that is being answered is answered whole; others are refused; exit code 0."""
    body = '{"signature_name": "two", "inputs": {"a": [[1, 2]], "b": [3]}}'
    quick = predict_request("two", a=np.array([[1, 2]], np.float32), b=np.array([3])).SerializeToString()
    slow = predict_request("slow", seconds=np.array([1.5], np.float32)).SerializeToString()

    def rest_client(server):
        connection, answers = http.client.HTTPConnection(server.rest.removeprefix("http://"), timeout=30), 0
        while True:
            try:
                connection.request("POST", "/v1/models/tiny:predict", body)
                response = connection.getresponse()
            except ConnectionError:
                return answers
            assert response.status == 200 and b'"sum": [[4.0, 5.0]]' in response.read()
            answers += 1

    def grpc_client(server):
        answers = 0
        with grpc.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            while True:
                try:
                    protocol.PredictResponse.FromString(channel.unary_unary(PREDICT)(quick, timeout=30))
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                    return answers
                answers += 1

    with process(f"--models={models_folder}") as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client, server) for client in (rest_client, grpc_client) * 4]
        time.sleep(0.5)
        with grpc.insecure_channel(server.grpc) as channel:
            job = channel.unary_unary(PREDICT).future(slow, timeout=30)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(20) == 0
            assert b"seconds" in job.result() and min(client.result() for client in clients) >= 1


def test_the_grace_ends_what_still_runs(models_folder, predict_request):
    """A batch that takes a minute, and a client that does not take its answer."""
    with process(f"--models={models_folder}", "--grace_seconds=2") as server:
        with grpc.insecure_channel(server.grpc) as channel:
            request = predict_request("slow", seconds=np.array([60], np.float32))
            job = channel.unary_unary(PREDICT).future(request.SerializeToString(), timeout=60)
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            assert server.process.wait(20) == 1 and time.monotonic() - started < 4
            assert "--grace_seconds" in server.process.stderr.read()
            assert job.exception().code().name in ("CANCELLED", "UNAVAILABLE")
