"""What may be chosen about a server."""

import dataclasses

MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests are put together.

    Attributes:
        enabled: False runs every request by itself, one after the other.
        max_batch_size: pictures in a batch; a request with more is refused, as TensorFlow Serving refuses it.
        timeout_s: how long a request waits for company while nothing else runs, in seconds.
        threads: batches that run at the same time. TensorFlow already spreads one over the processor's cores.
    """

    enabled: bool = True
    max_batch_size: int = 16
    timeout_s: float = 0.001
    threads: int = 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a server is started with.

    Attributes:
        models: folder of NAME/VERSION/saved_model.pb, or None with ``model_config_file``.
        model_config_file: a tensorflow.serving.ModelServerConfig in text form, or None.
        host: address to listen at. Whoever reaches it may use the models: nobody is asked for a password.
        rest_port, grpc_port: 0 takes any free port.
        batching: see ``Batching``.
        max_request_bytes: of one REST body (unpacked) or gRPC message.
        max_pixels: height times width, added up over the pictures of a request and, too, of a batch.
        max_queued: requests that wait for the network; more are refused at once.
        max_held_bytes: of all requests that are being read, wait or run.
        rest_timeout_s: for a REST request, from its first byte to its answer. gRPC clients say their own deadline.
        poll_s: how often the folders of versions are looked at, in seconds.
        grace_s: how long requests may take to finish once the server is told to stop.
    """

    models: str | None = None
    model_config_file: str | None = None
    host: str = "127.0.0.1"
    rest_port: int = 0
    grpc_port: int = 0
    batching: Batching = Batching()
    # A full batch of 128x128 faces takes 3 MiB as floats and up to 16 MiB as JSON.
    max_request_bytes: int = 32 * MEBIBYTE
    # A network's activations take some hundred bytes for each pixel: 2048x2048 pixels stay near 1 GiB.
    max_pixels: int = 2048 * 2048
    max_queued: int = 256
    max_held_bytes: int = 512 * MEBIBYTE
    rest_timeout_s: float = 30
    poll_s: float = 1
    grace_s: float = 30
