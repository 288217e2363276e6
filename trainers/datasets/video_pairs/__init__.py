"""Pairs of blurred and sharp faces from videos, by averaging frames (Chrysos et al. 2019, section 3.4).
One video in clip.py, a folder of them in folder.py, thousands on Apache Beam in beam_pipeline.py.
"""
