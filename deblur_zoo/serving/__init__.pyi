from . import client as client, server as server
from .client import (
    Client as Client,
    InvalidRequest as InvalidRequest,
    ModelNotFound as ModelNotFound,
    ServingError as ServingError,
    ServingTimeout as ServingTimeout,
    ServingUnavailable as ServingUnavailable,
    UnreadableAnswer as UnreadableAnswer,
)
