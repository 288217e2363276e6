"""What can go wrong between a client and a model server, with gRPC's status codes, whatever the protocol."""

# HTTP status to the gRPC code that TensorFlow Serving turns into it, and what web servers in between answer.
CODE_OF_HTTP_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    411: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# A prediction changes nothing on the server, so a request that got no answer may be sent again.
RETRYABLE = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")


class ServingError(Exception):
    """A request to a model server failed; its text is one sentence.

    Attributes:
        code: gRPC's name for the kind of failure, such as "UNAVAILABLE"; the same over REST.
        retryable: the same request may succeed a little later.
        retry_after: seconds that the server asked to wait before that, or None.
    """

    def __init__(
        self, message: str, code: str = "UNKNOWN", retryable: bool | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = code in RETRYABLE if retryable is None else retryable
        self.retry_after = retry_after


class ServingTimeout(ServingError):
    """The deadline passed before the answer was there (DEADLINE_EXCEEDED)."""


class ServingUnavailable(ServingError):
    """Nobody answers, or the server has no room, after all retries (UNAVAILABLE, RESOURCE_EXHAUSTED)."""


class InvalidRequest(ServingError, ValueError):
    """The server refuses the request itself: a picture that it cannot read, a wrong shape (INVALID_ARGUMENT)."""


class ModelNotFound(ServingError):
    """The server has no such model, version or label (NOT_FOUND)."""


class UnreadableAnswer(ServingError):
    """The server answered, but not as a deblurring model does (DATA_LOSS)."""


_CLASSES = {
    "DEADLINE_EXCEEDED": ServingTimeout,
    "UNAVAILABLE": ServingUnavailable,
    "RESOURCE_EXHAUSTED": ServingUnavailable,
    "INVALID_ARGUMENT": InvalidRequest,
    "FAILED_PRECONDITION": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "NOT_FOUND": ModelNotFound,
    "DATA_LOSS": UnreadableAnswer,
}


def error_of(code, message, retryable=None, retry_after=None):
    """The exception for a code; see ``ServingError``."""
    return _CLASSES.get(code, ServingError)(message, code, retryable, retry_after)


def one_line(text, longest=300):
    """A server's message on one line, shortened: TensorFlow's may hold a whole stack trace."""
    text = " ".join(str(text).split())
    return text if len(text) <= longest else f"{text[:longest]} ..."
