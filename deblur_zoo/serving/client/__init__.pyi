from .client import Client as Client
from .errors import (
    InvalidRequest as InvalidRequest,
    ModelNotFound as ModelNotFound,
    ServingError as ServingError,
    ServingTimeout as ServingTimeout,
    ServingUnavailable as ServingUnavailable,
    UnreadableAnswer as UnreadableAnswer,
)
