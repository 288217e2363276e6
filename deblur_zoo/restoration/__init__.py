"""Photos and folders of them in, restored ones out: the ``Restorer`` and the ``deblur-zoo`` command.
What callers need is resolved on first use; ``folders.py`` has the documentation.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
