"""Serving over the wire: TensorFlow Serving's REST and gRPC. ``client`` asks any such server, ``server`` is one for
laptops and tests, and ``check`` compares a running server with golden outputs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
