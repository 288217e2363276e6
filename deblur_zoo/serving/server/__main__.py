"""Serve exported SavedModels over TensorFlow Serving's REST and gRPC.

    deblur-zoo-serve --models exported
    deblur-zoo-serve --model_config_file models.config --rest_port 8501 --grpc_port 8500
    deblur-zoo-serve --check HOST:PORT [--model NAME]

For laptops and tests; in production TensorFlow Serving serves the same folders (docs/serving.md). The folder given with
--models holds NAME/VERSION/saved_model.pb. A SavedModel is a program: serve only what you trust. The server listens at
127.0.0.1 unless --host says otherwise; it asks nobody for a password. The addresses are printed on one line once every
model is loaded. SIGTERM and Ctrl-C let it finish what it has.
"""

from absl import flags

from deblur_zoo.files import command_line_tools
from deblur_zoo.files.command_line_tools import UsageError

FLAGS = flags.FLAGS
flags.DEFINE_string("models", None, "folder of NAME/VERSION/saved_model.pb")
flags.DEFINE_string("model_config_file", None, "instead of --models: TensorFlow Serving's models.config")
flags.DEFINE_string("host", "127.0.0.1", "address to listen at")
flags.DEFINE_integer("rest_port", 8501, "port for REST; 0 takes a free one", lower_bound=0, upper_bound=65535)
flags.DEFINE_integer("grpc_port", 8500, "port for gRPC; 0 takes a free one", lower_bound=0, upper_bound=65535)
flags.DEFINE_bool("enable_batching", True, "put requests of one kind together")
flags.DEFINE_integer("max_batch_size", 16, "pictures in a batch, and at most in a request", lower_bound=1)
flags.DEFINE_integer("batch_timeout_micros", 1000, "how long a lone request waits for company", lower_bound=0)
flags.DEFINE_integer("num_batch_threads", 1, "batches that run at the same time", lower_bound=1)
flags.DEFINE_string(
    "batching_parameters_file", None, "TensorFlow Serving's batching.config, instead of the three above"
)
flags.DEFINE_integer("max_request_bytes", 32 << 20, "of a REST body or a gRPC message", lower_bound=1)
flags.DEFINE_integer("max_pixels", 2048 * 2048, "in all pictures of a request", lower_bound=1)
flags.DEFINE_integer("max_queued", 256, "requests that may wait; more are refused at once", lower_bound=1)
flags.DEFINE_integer("max_held_bytes", 512 << 20, "of all requests that are being read, wait or run", lower_bound=1)
flags.DEFINE_integer("rest_api_timeout_in_ms", 30_000, "for a REST request", lower_bound=1)
flags.DEFINE_float("file_system_poll_wait_seconds", 1, "how often to look for new versions", lower_bound=0.01)
flags.DEFINE_float("grace_seconds", 30, "that requests get to finish when the server is told to stop", lower_bound=0)
flags.DEFINE_integer("tensorflow_intra_op_parallelism", 0, "TensorFlow's threads; 0: one a core", lower_bound=0)
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
    if (FLAGS.models is None) == (FLAGS.model_config_file is None):
        raise UsageError("give the models with either --models or --model_config_file; see --help")
    import asyncio

    try:
        from deblur_zoo.serving.server.server import Server
    except ImportError as error:
        raise UsageError(f"serving needs the package {error.name}: pip install 'deblur-zoo[serving]'") from None
    try:
        return asyncio.run(_serve(Server(_settings()), FLAGS.host))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _settings():
    from deblur_zoo.serving.server.settings import Settings

    batching, max_queued = _batching()
    return Settings(
        models=FLAGS.models,
        model_config_file=FLAGS.model_config_file,
        host=FLAGS.host,
        rest_port=FLAGS.rest_port,
        grpc_port=FLAGS.grpc_port,
        batching=batching,
        max_request_bytes=FLAGS.max_request_bytes,
        max_pixels=FLAGS.max_pixels,
        max_queued=max_queued,
        max_held_bytes=FLAGS.max_held_bytes,
        rest_timeout_s=FLAGS.rest_api_timeout_in_ms / 1e3,
        poll_s=FLAGS.file_system_poll_wait_seconds,
        grace_s=FLAGS.grace_seconds,
    )


def _batching():
    """``settings.Batching`` from the flags or the file, and how many requests may wait."""
    from deblur_zoo.serving.server.settings import Batching

    if FLAGS.batching_parameters_file is None:
        timeout_s = FLAGS.batch_timeout_micros / 1e6
        options = Batching(FLAGS.enable_batching, FLAGS.max_batch_size, timeout_s, FLAGS.num_batch_threads)
        return options, FLAGS.max_queued
    for name in ("max_batch_size", "batch_timeout_micros", "num_batch_threads", "max_queued"):
        if FLAGS[name].present:
            raise UsageError(f"--{name} and --batching_parameters_file cannot go together")
    from deblur_zoo.serving.server import configuration

    options, max_batches = configuration.batching_from_file(FLAGS.batching_parameters_file, FLAGS.enable_batching)
    return options, FLAGS.max_queued if max_batches is None else max_batches * options.max_batch_size


async def _serve(server, host):
    import asyncio
    import os
    import signal

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if FLAGS.tensorflow_intra_op_parallelism:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(FLAGS.tensorflow_intra_op_parallelism)
    stopped = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(server.start())
    await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        # Raises what went wrong.
        starting.result()
        host = f"[{host}]" if ":" in host else host
        print(f"REST http://{host}:{server.rest_port} gRPC {host}:{server.grpc_port}", flush=True)
        await stopped
        await server.stop()
    else:
        starting.cancel()
        await asyncio.wait({starting})
        # The thread that loads cannot be interrupted, and has nothing to lose.
        os._exit(0)
    return 0


def main():
    command_line_tools.run(run_server, "deblur-zoo-serve")


if __name__ == "__main__":
    main()
