"""Video files, face tracking through their frames, and averages of frames: real motion blur.

``frame_averages.py`` decides which frames become one blurred face, ``frame_sequence.py`` where a sequence ends.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
