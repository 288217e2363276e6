"""The server's settings and limits, which are also the command's flags."""

import dataclasses


def _choice(default, text, lower_bound=1):
    return dataclasses.field(default=default, metadata={"help": text, "lower_bound": lower_bound})


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a server. Requests are not authenticated: anyone who can reach the address can use the models."""

    models: str = dataclasses.field(metadata={"help": "folder of NAME/VERSION/saved_model.pb"})
    host: str = dataclasses.field(default="127.0.0.1", metadata={"help": "address to listen on"})
    rest_port: int = _choice(0, "port for REST; 0: any free one", 0)
    grpc_port: int = _choice(0, "port for gRPC; 0: any free one", 0)
    enable_batching: bool = dataclasses.field(default=True, metadata={"help": "batch requests that arrive together"})
    max_batch_size: int = _choice(16, "maximum pictures in a request, and in a batch")
    batch_timeout_micros: int = _choice(1000, "how long a request waits for others", 0)
    # A full batch of 128x128 faces takes 3 MiB as floats and up to 16 MiB as JSON.
    max_request_bytes: int = _choice(32 << 20, "maximum size of a REST body or a gRPC message")
    # A network's activations take some hundred bytes for each pixel: 2048x2048 pixels stay near 1 GiB.
    max_pixels: int = _choice(2048 * 2048, "maximum pixels in all pictures of a request")
    # Each takes about three times its bytes: 16 of 32 MiB stay near 1.5 GiB.
    max_requests: int = _choice(16, "maximum requests in memory; others wait before they are read")
    rest_api_timeout_in_ms: int = _choice(
        30_000, "limit for receiving a REST request's head, answering it, and sending the answer"
    )
    grace_seconds: float = _choice(30.0, "time for running requests to finish after SIGTERM or Ctrl-C", 0)

    @property
    def address(self):
        """The host as written before a port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def timeout_s(self):
        """The REST timeout in seconds; it also limits how long a gRPC message may take to arrive."""
        return self.rest_api_timeout_in_ms / 1e3
