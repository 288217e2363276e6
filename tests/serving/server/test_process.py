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
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(
        command("--rest_port=0", "--grpc_port=0", *flags),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as started:
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
        (("--models=docs",), "docs holds no model: NAME/VERSION/saved_model.pb is looked for."),
        (("--models=a", "--rest_port=70000"), "--rest_port=70000"),
    ],
)
def test_bad_input(flags, sentence):
    finished = subprocess.run(command(*flags), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2 and sentence in finished.stderr
    assert finished.stderr.count("\n") == 1 and not finished.stdout


def test_a_package_that_is_not_installed(tmp_path):
    (tmp_path / "aiohttp.py").write_text('raise ModuleNotFoundError("No module named aiohttp", name="aiohttp")')
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
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


def test_memory_is_bounded(models_folder, predict_request):
    """Forty messages of 30 MiB at once by gRPC, where 64 MiB may be held: four are read at a time, others are refused.

    Room for the four as they come in and once more as they are put together, for what is held, and for TensorFlow."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("there is no /proc here")

    def memory(server):
        pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    images = np.zeros((1, 1000, 2600, 3), np.float32)
    content = predict_request(images=images).SerializeToString()
    with process(f"--models={models_folder}", f"--max_held_bytes={64 * MEBIBYTE}") as server:
        before, most = memory(server), 0
        with concurrent.futures.ThreadPoolExecutor(40) as pool, grpc.insecure_channel(server.grpc) as channel:
            predict = channel.unary_unary(PREDICT)
            jobs = [pool.submit(predict, content, timeout=60) for _ in range(40)]
            while not all(job.done() for job in jobs):
                most = max(most, memory(server) - before)
                time.sleep(0.02)
            codes = {job.exception() and job.exception().code().name for job in jobs}
        assert "UNAVAILABLE" in codes and codes <= {None, "UNAVAILABLE", "DEADLINE_EXCEEDED"}
        assert most < (2 * 4 * 30 + 64 + 300) * MEBIBYTE


def test_sigterm_while_it_loads(models_folder, until):
    """Before the line with the addresses: it ends at once, not when TensorFlow is there."""
    flags = (f"--models={models_folder}", "--rest_port=0", "--grpc_port=0")
    with subprocess.Popen(command(*flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        # Its own child, which tries the models, says that it is that far.
        tasks = Path(f"/proc/{started.pid}/task")
        if not tasks.exists():
            started.kill()
            pytest.skip("there is no /proc here")
        until(lambda: any(path.read_text() for path in tasks.glob("*/children")), seconds=60)
        started.send_signal(signal.SIGTERM)
        assert started.wait(10) == 0 and not started.stdout.read()


def test_sigterm_under_load_loses_no_answer(models_folder, predict_request):
    """Every request that was sent over an open connection is answered; new connections are refused; exit code 0."""
    body = '{"signature_name": "two", "inputs": {"a": [[1, 2]], "b": [3]}}'
    request = predict_request("two", a=np.array([[1, 2]], np.float32), b=np.array([3])).SerializeToString()
    slow = predict_request("slow", seconds=np.array([1.5], np.float32)).SerializeToString()

    def rest_client(server):
        host, port = server.rest.removeprefix("http://").rsplit(":", 1)
        connection, answers = http.client.HTTPConnection(host, int(port), timeout=30), 0
        while True:
            try:
                connection.request("POST", "/v1/models/tiny:predict", body)
            except ConnectionRefusedError:
                return answers
            response = connection.getresponse()
            assert response.status == 200 and b'"sum": [[4.0, 5.0]]' in response.read()
            answers += 1

    def grpc_client(server, content=request, most=None):
        answers = 0
        with grpc.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            predict = channel.unary_unary(PREDICT)
            while answers != most:
                try:
                    protocol.PredictResponse.FromString(predict(content, timeout=30))
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                    break
                answers += 1
        return answers

    with process(f"--models={models_folder}") as server, concurrent.futures.ThreadPoolExecutor(9) as pool:
        clients = [pool.submit(client, server) for client in (rest_client, grpc_client) * 4]
        time.sleep(0.5)
        clients.append(pool.submit(grpc_client, server, slow, 1))
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert min(client.result() for client in clients) >= 1


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
            assert "unanswered" in server.process.stderr.read()
            assert job.exception().code().name in ("CANCELLED", "UNAVAILABLE")
