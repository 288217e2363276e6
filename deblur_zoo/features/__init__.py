"""Frozen feature networks for losses and metrics, loaded from files.

Each network converts its input itself (range, channel order, warp).
"""

from deblur_zoo.features.factory import load_feature_network

__all__ = ["load_feature_network"]
