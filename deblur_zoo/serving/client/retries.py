"""One deadline for everything that a call does, and further attempts while it lasts."""

import random
import time

from deblur_zoo.serving.client.errors import ServingError, error_of

# Seconds before the first retry; each further one waits twice as long, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class Deadline:
    """So many seconds from now, by a clock that nobody sets."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self):
        """Seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def error(self, server):
        """The exception for a passed deadline."""
        return error_of("DEADLINE_EXCEEDED", f"{server} did not answer within {self.seconds:g} s.")


def pause_before(retry, chance=random.random):
    """Seconds to wait before retry number 0, 1, ...: doubled each time, times a random factor of 0.5 to 1.

    The random factor keeps clients that failed together from coming back together.
    """
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(retry, 30)) * (0.5 + 0.5 * chance())


def call(attempt, server, deadline, retries, stopped):
    """Call ``attempt(deadline)`` until it succeeds, may not be repeated, or time or retries are used up.

    Args:
        attempt: function that raises ``ServingError``.
        server: what error sentences call the server.
        deadline: Deadline for all attempts and the pauses between them.
        retries: how many further attempts are made.
        stopped: threading.Event; ends a pause at once, without another attempt.

    Returns:
        what ``attempt`` returns.

    Raises:
        ServingError: the last attempt's; a ``ServingTimeout`` where the deadline passed.
    """
    for count in range(retries + 1):
        if not deadline.remaining():
            raise deadline.error(server)
        try:
            return attempt(deadline)
        except ServingError as error:
            if not error.retryable or count == retries:
                raise _with_attempts(error, count + 1, "") from error
            # What the server asks for is the least: coming earlier would only be refused again.
            pause = max(pause_before(count), error.retry_after or 0)
            if pause >= deadline.remaining():
                left = f", and {deadline.seconds:g} s leave no time for another"
                raise _with_attempts(error, count + 1, left) from error
            if stopped.wait(pause):
                raise error_of("CANCELLED", "The client was closed.") from error


def _with_attempts(error, attempts, left):
    if attempts == 1 and not left:
        return error
    text = f"{str(error).rstrip('.')} ({attempts} attempt{'s' if attempts > 1 else ''}{left})."
    return type(error)(text, error.code, error.retryable, error.retry_after)
