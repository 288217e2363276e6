"""Serving over the wire: TensorFlow Serving's REST and gRPC. ``client`` asks any such server, ``server`` is one for
laptops and tests, and ``check`` compares a running server with golden outputs."""

import importlib

_LAZY = {
    name: "deblur_zoo.serving.client"
    for name in (
        "Client",
        "InvalidRequest",
        "ModelNotFound",
        "ServingError",
        "ServingTimeout",
        "ServingUnavailable",
        "UnreadableAnswer",
    )
}
__all__ = list(_LAZY)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'deblur_zoo.serving' has no attribute {name!r}; it has {', '.join(__all__)}")
