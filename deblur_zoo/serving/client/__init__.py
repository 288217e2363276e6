"""A client of TensorFlow Serving, or of anything that speaks its REST or gRPC: needs neither TensorFlow nor Keras.
``python -m deblur_zoo.serving.client`` (also ``deblur-zoo-client``) restores a folder of crops.
"""

import importlib

_LAZY = {
    "Client": "deblur_zoo.serving.client.client",
    "InvalidRequest": "deblur_zoo.serving.client.errors",
    "ModelNotFound": "deblur_zoo.serving.client.errors",
    "ServingError": "deblur_zoo.serving.client.errors",
    "ServingTimeout": "deblur_zoo.serving.client.errors",
    "ServingUnavailable": "deblur_zoo.serving.client.errors",
    "UnreadableAnswer": "deblur_zoo.serving.client.errors",
}
__all__ = list(_LAZY)


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'deblur_zoo.serving.client' has no attribute {name!r}; it has {', '.join(__all__)}")
