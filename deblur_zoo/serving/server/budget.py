"""How many bytes of requests a server holds at once."""

import contextlib

from deblur_zoo.serving.server.errors import ServingError


class Budget:
    """Bytes that are given out and come back; to be used from one thread.

    Args:
        limit: bytes that may be out at the same time.
    """

    def __init__(self, limit):
        self.limit = limit
        self.held = 0

    @contextlib.contextmanager
    def account(self):
        """For the time of the block, gives a function that takes more bytes; it raises ServingError when none are left.

        UNAVAILABLE, since the same request may pass a moment later.
        """
        taken = 0

        def take(count):
            nonlocal taken
            if self.held + count > self.limit:
                raise ServingError(
                    "UNAVAILABLE", f"The server already holds {self.held} bytes of requests; try again later"
                )
            self.held += count
            taken += count

        try:
            yield take
        finally:
            self.held -= taken
