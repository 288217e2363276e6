"""Pairs of blurred and sharp faces from videos, by averaging frames (Chrysos et al. 2019, section 3.4).

clip.py processes one video, folder.py a folder of them, beam_jobs.py thousands on Apache Beam (the command is
beam_pipeline.py).
"""
