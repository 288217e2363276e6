"""Serve exported SavedModels over TensorFlow Serving's REST and gRPC.

    deblur-zoo-serve --models exported
    deblur-zoo-serve --check HOST:PORT [--model NAME]

For laptops and tests; in production TensorFlow Serving serves the same folders (docs/serving.md). The folder given with
--models holds NAME/VERSION/saved_model.pb; of each model the highest version is served. A SavedModel is a program:
serve only what you trust. The server listens at 127.0.0.1 unless --host says otherwise; it asks nobody for a password.
The addresses are printed on one line once every model is loaded. SIGTERM and Ctrl-C let it finish what it has.
"""

import dataclasses

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_string("models", None, "folder of NAME/VERSION/saved_model.pb")
flags.DEFINE_string("host", "127.0.0.1", "address to listen at")
flags.DEFINE_integer("rest_port", 8501, "port for REST; 0 takes a free one", lower_bound=0, upper_bound=65535)
flags.DEFINE_integer("grpc_port", 8500, "port for gRPC; 0 takes a free one", lower_bound=0, upper_bound=65535)
flags.DEFINE_bool("enable_batching", True, "put requests of one kind together")
flags.DEFINE_integer("max_batch_size", 16, "pictures in a request, and in a batch", lower_bound=1)
flags.DEFINE_integer("batch_timeout_micros", 1000, "how long a lone request waits for company", lower_bound=0)
flags.DEFINE_integer("max_request_bytes", 32 << 20, "of a REST body or a gRPC message", lower_bound=1)
flags.DEFINE_integer("max_pixels", 2048 * 2048, "in all pictures of a request", lower_bound=1)
flags.DEFINE_integer("max_queued", 256, "requests that may wait; more are refused at once", lower_bound=1)
flags.DEFINE_integer("max_held_bytes", 512 << 20, "of all requests and answers that are held", lower_bound=1)
flags.DEFINE_integer(
    "rest_api_timeout_in_ms", 30_000, "for a REST request's head, its answer, and the client to take it", lower_bound=1
)
flags.DEFINE_float("grace_seconds", 30, "that requests get to finish when the server is told to stop", lower_bound=0)
flags.DEFINE_string("check", None, "serve nothing; compare the server at HOST:PORT (REST or gRPC) with golden outputs")
flags.DEFINE_list("model", None, "for --check: models that must be there (default: the presets that the server has)")
flags.DEFINE_enum("protocol", None, ["rest", "grpc"], "for --check: what the port must speak (default: what answers)")
flags.DEFINE_string("golden", None, "for --check with one --model: a golden.npz instead of the preset's own")


def run_server(arguments):
    """Serve until told to stop. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    if FLAGS.check is not None:
        from deblur_zoo.serving import check

        return check.check(FLAGS.check, FLAGS.model, FLAGS.protocol, FLAGS.golden)
    if FLAGS.models is None:
        raise UsageError("give the folder of models with --models; see --help")
    import asyncio

    try:
        from deblur_zoo.serving.server.server import Server
    except ImportError as error:
        raise UsageError(f"serving needs the package {error.name}: pip install 'deblur-zoo[serving]'") from None
    from deblur_zoo.serving.server.settings import Settings

    settings = Settings(**{field.name: FLAGS[field.name].value for field in dataclasses.fields(Settings)})
    try:
        return asyncio.run(_serve(Server(settings), settings))
    except ValueError as error:
        raise UsageError(str(error)) from None


async def _serve(server, settings):
    import asyncio
    import signal
    import threading

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(server.start())
    await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        # The thread that loads cannot be interrupted, and has nothing to lose.
        _leave(0)
    # Raises what went wrong.
    starting.result()
    print(f"REST http://{settings.address}:{server.rest_port} gRPC {settings.address}:{server.grpc_port}", flush=True)
    await stopped
    # Should the event loop not have its turn.
    timer = threading.Timer(settings.grace_seconds, _leave, [1])
    timer.daemon = True
    timer.start()
    _leave(0 if await server.stop() else 1)


def _leave(code):
    """End the process: a batch in TensorFlow cannot be interrupted, and its own end takes seconds."""
    import os
    import sys

    if code:
        print("deblur-zoo-serve: requests were left unanswered (--grace_seconds)", file=sys.stderr, flush=True)
    os._exit(code)


def main():
    command_line_tools.run(run_server, "deblur-zoo-serve")


if __name__ == "__main__":
    main()
