"""What goes wrong with a request: one of gRPC's canonical status codes, and a sentence."""

from deblur_zoo.serving.protocol import STATUS_CODES

# As TensorFlow Serving maps them (model_servers/http_server.cc).
HTTP_STATUS = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
_LONGEST = 1000


class ServingError(Exception):
    """A request that cannot be answered.

    Args:
        code: name of a canonical code, such as "NOT_FOUND".
        message: a sentence for the client.
        http_status: REST's status where TensorFlow Serving has no rule; otherwise it follows from the code.
    """

    def __init__(self, code, message, http_status=None):
        # What a client sent may be in it, and gRPC's head of an answer holds a few kilobytes.
        self.message = message[:_LONGEST]
        super().__init__(self.message)
        self.code = code
        self.http_status = http_status or HTTP_STATUS[code]


def invalid(message):
    """The error for a request that is wrong in itself."""
    return ServingError("INVALID_ARGUMENT", message)


def from_tensorflow(error):
    """A ``ServingError`` for what TensorFlow raised while it ran or loaded a graph."""
    number = getattr(error, "error_code", None)
    # OpError carries the canonical number. Wrong arguments of a signature are TypeError or ValueError.
    if isinstance(number, int) and 0 < number < len(STATUS_CODES):
        code = STATUS_CODES[number]
    elif isinstance(error, FileNotFoundError):
        code = "NOT_FOUND"
    elif isinstance(error, (TypeError, ValueError)):
        code = "INVALID_ARGUMENT"
    else:
        code = "INTERNAL"
    lines = str(getattr(error, "message", "") or error).strip().splitlines()
    return ServingError(code, lines[0] if lines else type(error).__name__)
