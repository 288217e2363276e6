"""Image quality and identity measures, each stating its range, window and border.
Losses that are trained on live in ``losses``; numbers that tables report live here.
"""
