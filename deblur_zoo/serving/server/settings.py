"""What may be chosen about a server, and its limits: the command's flags of the same names."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a server is started with; see the command's ``--help`` for what each means.

    Attributes:
        models: folder of NAME/VERSION/saved_model.pb.
        host: address to listen at. Whoever reaches it may use the models: nobody is asked for a password.
    """

    models: str
    host: str = "127.0.0.1"
    rest_port: int = 0
    grpc_port: int = 0
    enable_batching: bool = True
    max_batch_size: int = 16
    batch_timeout_micros: int = 1000
    # A full batch of 128x128 faces takes 3 MiB as floats and up to 16 MiB as JSON.
    max_request_bytes: int = 32 << 20
    # A network's activations take some hundred bytes for each pixel: 2048x2048 pixels stay near 1 GiB.
    max_pixels: int = 2048 * 2048
    max_queued: int = 256
    max_held_bytes: int = 512 << 20
    rest_api_timeout_in_ms: int = 30_000
    grace_seconds: float = 30

    @property
    def address(self):
        """The host as it stands before a port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def timeout_s(self):
        """The REST timeout in seconds; it also limits how long a gRPC message may take to arrive."""
        return self.rest_api_timeout_in_ms / 1e3
