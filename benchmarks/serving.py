"""Throughput of the embedded server relative to the network itself, and its latency.

    python -m exporters --preset one_step_lite --format saved_model --out exported
    python -m benchmarks.serving --models exported --model one_step_lite

Times the server with and without batching, with 1, 8 and 32 clients that each send the next face once they have an
answer: floats over gRPC and JPEG files over REST. For comparison, the same SavedModel is called directly, in batches as
large as the server formed for the most clients, and one by one. Server, clients and direct calls are separate
processes. The clients send prepared bytes and check only the status of answers. Rounds are interleaved, so that other
load on the machine affects all alike; the median over the rounds counts. The ratio is server over direct (in those
batches) within a round.
"""

import asyncio
import base64
import io
import json
import multiprocessing
import statistics
import subprocess
import sys
import time

import numpy as np
from absl import flags
from PIL import Image

from deblur_zoo.exported.saved_model_folder import BYTES_SIGNATURE, FLOAT_SIGNATURE
from deblur_zoo.files import command_line_tools
from deblur_zoo.serving import protocol

FLAGS = flags.FLAGS
flags.DEFINE_string("models", None, "folder of NAME/VERSION/saved_model.pb")
flags.DEFINE_string("model", "one_step_lite", "name of the model to time")
flags.DEFINE_integer("version", 1, "version of the model, for the direct calls")
flags.DEFINE_list("clients", ["1", "8", "32"], "numbers of clients")
flags.DEFINE_integer("rounds", 3, "rounds of timing", lower_bound=1)
flags.DEFINE_float("seconds", 5, "duration of each timing", lower_bound=0.1)
flags.DEFINE_integer("crop_size", 128, "side of the faces in pixels", lower_bound=16)
flags.DEFINE_integer("max_batch_size", 16, "the server's maximum batch size", lower_bound=1)

KINDS = {"gRPC floats": FLOAT_SIGNATURE, "REST bytes": BYTES_SIGNATURE}


def face(size):
    """A smooth image with some detail, float32 (size, size, 3), and its JPEG file."""
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).resize((size, size), Image.BICUBIC)
    pixels = np.asarray(small)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=90)
    return (pixels / 255).astype(np.float32), buffer.getvalue()


def prepared(kind, model, size):
    """The bytes of a request."""
    picture, file = face(size)
    if kind == "gRPC floats":
        request = protocol.PredictRequest(model_spec=protocol.ModelSpec(name=model, signature_name=KINDS[kind]))
        request.inputs["images"].CopyFrom(protocol.to_tensor(picture[None]))
        return request.SerializeToString()
    encoded = {"b64": base64.b64encode(file).decode()}
    body = json.dumps({"signature_name": KINDS[kind], "instances": [encoded]}).encode()
    head = f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _grpc_client(address, message, until, latencies):
    import grpc

    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        while time.monotonic() < until:
            started = time.monotonic()
            await predict(message)
            latencies.append(time.monotonic() - started)


async def _rest_client(address, message, until, latencies):
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    while time.monotonic() < until:
        started = time.monotonic()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        latencies.append(time.monotonic() - started)
    writer.close()


def _ask(pipe):
    """The clients' process: (kind, address, message, clients, seconds) -> (requests per second, latencies)."""

    async def together(kind, address, message, clients, seconds):
        client = _grpc_client if kind == "gRPC floats" else _rest_client
        latencies, started = [], time.monotonic()
        await asyncio.gather(*(client(address, message, started + seconds, latencies) for _ in range(clients)))
        return len(latencies) / (time.monotonic() - started), latencies

    while (job := pipe.recv()) is not None:
        pipe.send(asyncio.run(together(*job)))


def _call(pipe, folder, size):
    """The process for direct calls: (kind, batch size, seconds) -> images per second."""
    import tensorflow as tf

    signatures = tf.saved_model.load(folder).signatures
    picture, file = face(size)
    while (job := pipe.recv()) is not None:
        kind, count, seconds = job
        function = signatures[KINDS[kind]]
        images = np.repeat(picture[None], count, 0)

        def run(function=function, kind=kind, count=count, images=images):
            sent = (
                {"images": tf.constant(images)} if kind == "gRPC floats" else {"encoded": tf.constant([file] * count)}
            )
            return next(iter(function(**sent).values())).numpy()

        run()
        calls, started = 0, time.monotonic()
        while time.monotonic() - started < seconds:
            run()
            calls += 1
        pipe.send(calls * count / (time.monotonic() - started))


class Worker:
    """A process that runs jobs one after the other."""

    def __init__(self, function, *arguments):
        context = multiprocessing.get_context("spawn")
        self.pipe, inner = context.Pipe()
        self.process = context.Process(target=function, args=(inner, *arguments), daemon=True)
        self.process.start()

    def __call__(self, *job):
        self.pipe.send(job)
        return self.pipe.recv()


def start_server(*more):
    """Start a server process; returns it with its REST and its gRPC address."""
    command = [sys.executable, "-m", "deblur_zoo.serving.server", f"--models={FLAGS.models}", "--rest_port=0"]
    command += ["--grpc_port=0", f"--max_batch_size={FLAGS.max_batch_size}", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    words = process.stdout.readline().split()
    if len(words) != 4:
        raise command_line_tools.UsageError("the server did not start")
    return process, {"REST bytes": words[1].removeprefix("http://"), "gRPC floats": words[3]}


def benchmark(arguments):
    """Time and print. Returns the exit code."""
    command_line_tools.require_flags(arguments, "models")
    servers = {"with batching": start_server(), "without": start_server("--enable_batching=false")}
    clients = Worker(_ask)
    direct = Worker(_call, f"{FLAGS.models}/{FLAGS.model}/{FLAGS.version}", FLAGS.crop_size)
    try:
        for kind in KINDS:
            _time_kind(kind, servers, clients, direct)
    finally:
        for worker in (clients, direct):
            worker.pipe.send(None)
        for process, _ in servers.values():
            process.terminate()
            process.wait()
    return 0


def _time_kind(kind, servers, clients, direct):
    """Time one kind of request, and print its rows."""
    message = prepared(kind, FLAGS.model, FLAGS.crop_size)
    jobs = [(how, int(count)) for how in servers for count in FLAGS.clients]
    rates = {job: [] for job in [*jobs, "direct", "one by one"]}
    latencies = {job: [] for job in jobs}
    together = min(max(count for _, count in jobs), FLAGS.max_batch_size)
    for number in range(FLAGS.rounds + 1):
        # The first round warms up.
        seconds = FLAGS.seconds if number else min(FLAGS.seconds, 2)
        for how, count in jobs:
            rate, found = clients(kind, servers[how][1][kind], message, count, seconds)
            if number:
                rates[how, count].append(rate)
                latencies[how, count] += found
        for how, size in (("direct", together), ("one by one", 1)):
            rate = direct(kind, size, seconds)
            if number:
                rates[how].append(rate)
    print(f"\n{kind}, {FLAGS.model}, {FLAGS.crop_size}x{FLAGS.crop_size}")
    print(f"{'':16}{'clients':>8}{'batch':>7}{'faces/s':>9}{'of direct':>11}{'p50 ms':>8}{'p99 ms':>8}")
    for how, size in (("direct", together), ("one by one", 1)):
        print(f"{'direct':16}{'':8}{size:7}{statistics.median(rates[how]):9.1f}")
    for how, count in jobs:
        ratios = [ours / theirs for ours, theirs in zip(rates[how, count], rates["direct"], strict=True)]
        cuts = statistics.quantiles(latencies[how, count], n=100)
        print(
            f"{how:16}{count:8}{'':7}{statistics.median(rates[how, count]):9.1f}"
            f"{statistics.median(ratios):10.0%} {cuts[49] * 1e3:8.0f}{cuts[98] * 1e3:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    command_line_tools.run(benchmark, "benchmarks.serving")
