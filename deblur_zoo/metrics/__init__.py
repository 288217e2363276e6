"""Image quality, identity and parsing measures for tables, each stating its range, window and border.

Losses for training are in ``losses``.
"""
