"""Frozen feature networks for losses and metrics, loaded from a path that the caller gives.
Input conversion (range, channel order, warp) is part of each network.
"""

from deblur_zoo.features.factory import load_feature_network

__all__ = ["load_feature_network"]
