"""Video files, face tracking through their frames, and averages of frames: real motion blur.

``frame_averages.py`` decides which frames become one blurred face, ``frame_sequence.py`` where a sequence ends.
"""
