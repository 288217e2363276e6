"""Serve exported SavedModels over TensorFlow Serving's REST and gRPC.

    deblur-zoo-serve --models exported
    deblur-zoo-serve --check HOST:PORT [--model NAME]

For laptops and tests; in production TensorFlow Serving serves the same folders (docs/serving.md). --models is a folder
with NAME/VERSION/saved_model.pb; the highest version of each model is served. A SavedModel is a program: serve only
models that you trust. The server listens on 127.0.0.1 unless --host says otherwise, without authentication. It prints
its addresses on one line once every model is loaded, and finishes running requests on SIGTERM and Ctrl-C.
"""

import asyncio
import dataclasses
import os
import signal
import sys
from typing import Any

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError
from deblur_zoo.serving.server.settings import Settings

FLAGS = flags.FLAGS
_PORTS = {"rest_port": 8501, "grpc_port": 8500}
for _field in dataclasses.fields(Settings):
    _define: dict[Any, Any] = {
        str: flags.DEFINE_string, bool: flags.DEFINE_bool, int: flags.DEFINE_integer, float: flags.DEFINE_float
    }  # fmt: skip
    _default = None if _field.name == "models" else _PORTS.get(_field.name, _field.default)
    _limits = {"upper_bound": 65535} if _field.name in _PORTS else {}
    _define[_field.type](_field.name, _default, **{**_field.metadata, **_limits})
flags.DEFINE_string("check", None, "do not serve; compare the server at HOST:PORT (REST or gRPC) with golden outputs")
flags.DEFINE_list("model", None, "for --check: required models (default: the presets that the server has)")
flags.DEFINE_enum("protocol", None, ["rest", "grpc"], "for --check: protocol of the port (default: detected)")
flags.DEFINE_string("golden", None, "for --check with one --model: a golden.npz to use instead of the preset's")


def run_server(arguments):
    """Serve until told to stop. Returns the exit code."""
    command_line_tools.require_flags(arguments)
    if FLAGS.check is not None:
        from deblur_zoo.serving import check

        return check.check(FLAGS.check, FLAGS.model, FLAGS.protocol, FLAGS.golden)
    if FLAGS.models is None:
        raise UsageError("give the folder of models with --models; see --help")
    try:
        from deblur_zoo.serving.server.server import Server
    except ImportError as error:
        raise UsageError(f"serving needs the package {error.name}: pip install 'deblur-zoo[serving]'") from None

    settings = Settings(**{field.name: FLAGS[field.name].value for field in dataclasses.fields(Settings)})
    try:
        return asyncio.run(_serve(Server(settings), settings))
    except ValueError as error:
        raise UsageError(str(error)) from None


async def _serve(server, settings):
    stop = asyncio.Event()
    with command_line_tools.working("loading models"):
        await server.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"REST http://{settings.address}:{server.rest_port} gRPC {settings.address}:{server.grpc_port}", flush=True)
    await stop.wait()
    finished = await server.stop()
    if not finished:
        print("deblur-zoo-serve: some requests were not answered within --grace_seconds", file=sys.stderr, flush=True)
    # A batch in TensorFlow cannot be interrupted, and its own end takes seconds.
    os._exit(0 if finished else 1)


def main():
    command_line_tools.run(run_server, "deblur-zoo-serve")


if __name__ == "__main__":
    main()
