"""What goes wrong with a request: one of gRPC's canonical status codes, and a sentence."""

from deblur_zoo.serving.protocol import STATUS_CODES

# As TensorFlow Serving maps them (model_servers/http_server.cc); 500 for the others.
_HTTP_STATUS = {
    **dict.fromkeys(("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"), 400),
    **{"PERMISSION_DENIED": 403, "NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429},
    **{"UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504},
}
# What a client sent may be in a message, and gRPC's head of an answer holds a few kilobytes.
_LONGEST = 1000


class RequestError(Exception):
    """A request that cannot be answered: a canonical code's name, such as "NOT_FOUND", and a sentence for the client.

    ``http_status`` is REST's, where it does not follow from the code.
    """

    def __init__(self, code, message, http_status=None):
        super().__init__(message[:_LONGEST])
        self.code = code
        self.http_status = http_status or _HTTP_STATUS.get(code, 500)


def invalid(message):
    """The error for a request that is wrong in itself."""
    return RequestError("INVALID_ARGUMENT", message)


def from_tensorflow(error):
    """A ``RequestError`` for what was raised while a graph was loaded or run."""
    number = getattr(error, "error_code", None)
    # OpError carries the canonical number. Wrong arguments of a signature are TypeError or ValueError.
    code = "INVALID_ARGUMENT" if isinstance(error, (TypeError, ValueError)) else "INTERNAL"
    if isinstance(number, int) and 0 < number < len(STATUS_CODES):
        code = STATUS_CODES[number]
    lines = str(getattr(error, "message", "") or error).strip().splitlines()
    return RequestError(code, lines[0] if lines else type(error).__name__)
