"""Training losses as pure functions of (truth, estimate) in ``keras.ops``.

They have no layers, optimisers or state.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
