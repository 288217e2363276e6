from . import (
    acceptance as acceptance,
    alignment as alignment,
    detection as detection,
    folder as folder,
    journal as journal,
    warp as warp,
)
from .alignment import canonical_points as canonical_points, similarity_transform as similarity_transform
from .detection import Detector as Detector, Face as Face, detect as detect
from .folder import align_folder as align_folder
from .warp import align as align, paste_back as paste_back
